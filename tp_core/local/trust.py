"""Permission to run Python files. The code in a model's folder runs only if the user trusts it. Torch-free.

Files beside a spec that the user gives to training, checks or previews are the user's own, and run. Files of models
(for inference, as a starting point or as a teacher) may come from others, and run only if the user allows it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from contextvars import ContextVar

from tp_core.switches import switched

#: True if the code in models' folders is trusted.
_models: ContextVar[bool] = ContextVar("models", default=False)

#: True if names may refer to local files. This holds for names in a spec, not for names in other files, such as
#: config.json.
_spec: ContextVar[bool] = ContextVar("spec", default=False)


def trusted() -> bool:
    """True if the user allows the code in models' folders to run."""
    return _models.get()


def trusting(code: bool = True) -> AbstractContextManager[None]:
    """A context in which the code in models' folders may run, if ``code`` is True or an outer context allows it."""
    return switched(_models, code or trusted())


def running_local_files(run: bool) -> AbstractContextManager[None]:
    """A context in which names may refer to local files, or may not."""
    return switched(_spec, run)


def may_run(name: str, folder: str) -> bool:
    """True if ``module:Class`` may run now: local files are allowed, or it is in an installed package with modules."""
    if _spec.get():
        return True
    from tp_core import discovery
    from tp_core.local.load import file_of
    from tp_core.local.namespace import LOCAL

    module = name.partition(":")[0]
    if module.startswith(LOCAL):  # local files of any folder, under the names that processes exchange
        return False
    return module.partition(".")[0] in {"tp_core", *discovery.packages()} and file_of(module, folder) is None


def refusal(name: str, folder: str) -> str:
    """The message if a local file is not trusted, with the files that would run."""
    from tp_core.local.load import file_of
    from tp_core.local.namespace import Namespace

    module = name.partition(":")[0]
    if file_of(module, folder) is None:
        what = f"the module {module}"
    else:
        space = Namespace(folder)
        space.collect(module)  # reads the files without running them
        what = ", ".join(space.path(file) for file in sorted(space.needed(module)))
    return (
        f"'{name}' is Python code that came with the model: {what}. It runs only if you trust it: "
        "read it, then give --trust-code (in Python: trust_code=True)"
    )
