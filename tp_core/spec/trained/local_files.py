"""The files of a spec's local modules, which a run and an export keep. Torch-free."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tp_core.errors import TPError
from tp_core.options.choice import Chosen, within
from tp_core.spec.choices.module_nodes import all_modules
from tp_core.spec.schema import Spec


class LocalFile(NamedTuple):
    """A file that a local module is made of.

    Attributes:
        inside: its path inside the folder of the spec that names the module, with slashes.
        path: where it was.
        content: what was run.
    """

    inside: str
    path: str
    content: bytes


def local_files(spec: Spec) -> list[LocalFile]:
    """The files of a spec's local modules (``my_file:MyConfig``), and those of their folder that they import.

    Raises:
        TPError: files of several folders would have one place in the run's folder, and differ.
    """
    found: dict[str, LocalFile] = {}
    for each in _files(all_modules(spec)):
        other = found.setdefault(each.inside, each)
        if other.content != each.content:
            raise TPError(
                f"the spec's modules need {other.path} and {each.path}, which differ, and a run has room for one "
                f"{each.inside}; rename one of them"
                if other.path != each.path
                else f"{each.path} was changed while the spec was loaded; start again"
            )
    return list(found.values())


def local_digest(chosen: Chosen[Any]) -> str:
    """A hash of the local files of a module and of those that its options choose; empty where all are installed."""
    found = sorted((file.inside, file.content) for file in _files((chosen, *within(chosen))))
    return hashlib.blake2b(repr(found).encode(), digest_size=16).hexdigest() if found else ""


def _files(modules: Iterable[Chosen[Any]]) -> Iterator[LocalFile]:
    for chosen in modules:
        if chosen.local is not None:
            space, module = chosen.local, chosen.name.partition(":")[0]
            for file, content in space.needed(module).items():
                yield LocalFile(file, space.path(file), content)
