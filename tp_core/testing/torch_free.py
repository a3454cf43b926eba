"""A check that importing a config class does not import heavy libraries."""

from __future__ import annotations

import functools
import json
import subprocess
import sys

from tp_core.local import LOCAL
from tp_core.options.base import ModuleConfig

HEAVY = ("torch", "transformers", "tensorflow", "jax")

# The first heavy import ends the process, because a real import of torch would take seconds.
_SCRIPT = """
import importlib, importlib.util, json, os, sys

class Guard:
    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, self) if name in sys.argv[3:] else None

    def create_module(self, spec):
        print(spec.name, flush=True)
        os._exit(0)

    def exec_module(self, module):
        pass

sys.path[:] = json.loads(sys.argv[1])
sys.meta_path.insert(0, Guard())
importlib.import_module(sys.argv[2])
"""


def check_torch_free(cls: type[ModuleConfig]) -> None:
    """Import the module of a config class in a fresh interpreter and check that it imports no heavy library.

    Raises:
        AssertionError: the module cannot be imported, or it imports a heavy library.
    """
    if cls.__module__.startswith(LOCAL):
        return  # a file in a spec's folder, which tp only imports on request
    failure, heavy = _imported(cls.__module__)
    assert not failure, f"{cls.__module__} cannot be imported in a fresh interpreter: {failure}"
    assert not heavy, (
        f"importing {cls.__module__}, the module of the config {cls.__name__}, imports {heavy}; import it "
        "inside build() (and under TYPE_CHECKING), so that listing and checking modules stays fast"
    )


@functools.cache
def _imported(module: str) -> tuple[str, str]:
    command = [sys.executable, "-c", _SCRIPT, json.dumps(sys.path), module, *HEAVY]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    failure = done.stderr.strip().splitlines()[-1] if done.returncode else ""
    return failure, done.stdout.strip()
