"""Whose Python files may run: a model's folder is data until the user trusts its code. Torch-free.

The files beside a spec that the user gives to training, checks or previews are the user's own, and run. Those of models
that are used, started from or learned from came from somewhere, and run only where the user says so.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from contextvars import ContextVar

from tp_core.switches import switched

#: The code of models' folders is trusted.
_models: ContextVar[bool] = ContextVar("models", default=False)

#: The names of a spec that is being read may be those of local files. Names that stand elsewhere, such as those of
#: a config.json, may not.
_spec: ContextVar[bool] = ContextVar("spec", default=False)


def trusted() -> bool:
    """True where the user lets the code of models' folders run."""
    return _models.get()


def trusting(code: bool = True) -> AbstractContextManager[None]:
    """Let the code of models' folders run, or not, inside the block; what a caller trusts stays trusted."""
    return switched(_models, code or trusted())


def running_local_files(run: bool) -> AbstractContextManager[None]:
    """Let the names that are resolved inside the block be those of local files, or not."""
    return switched(_spec, run)


def may_run(name: str, folder: str) -> bool:
    """True if ``module:Class`` may run now: code is trusted, or is that of an installed package with modules."""
    if _spec.get():
        return True
    from tp_core import discovery
    from tp_core.local.load import file_of
    from tp_core.local.namespace import LOCAL

    module = name.partition(":")[0]
    if module.startswith(LOCAL):  # of files in any folder, under the names by which processes hand them on
        return False
    return module.partition(".")[0] in {"tp_core", *discovery.packages()} and file_of(module, folder) is None


def refusal(name: str, folder: str) -> str:
    """The message that refuses to resolve the name of a local file, with the files that would run."""
    from tp_core.local.load import file_of
    from tp_core.local.namespace import Namespace

    module = name.partition(":")[0]
    if file_of(module, folder) is None:
        what = f"the module {module}"
    else:
        space = Namespace(folder)
        space.collect(module)  # which reads and runs nothing
        what = ", ".join(space.path(file) for file in sorted(space.needed(module)))
    return (
        f"'{name}' is Python code that came with the model: {what}. It runs only if you trust it: "
        "read it, then give --trust-code (in Python: trust_code=True)"
    )
