"""The files of a spec's local modules, which are copied to a run and an export. Torch-free."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tp_core.errors import TPError
from tp_core.options.choice import Chosen, within
from tp_core.spec.choices.module_nodes import all_modules
from tp_core.spec.schema import Spec


class LocalFile(NamedTuple):
    """A file of a local module.

    Attributes:
        inside: path relative to the folder of the spec that names the module, with slashes.
        path: original path.
        content: the content that was run.
    """

    inside: str
    path: str
    content: bytes


def local_files(spec: Spec) -> list[LocalFile]:
    """The files of a spec's local modules (``my_file:MyConfig``), and the files of their folder that they import.

    Raises:
        TPError: different files of several folders would have the same path in the run's folder.
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
    """A hash of the local files of a module and of the modules that its options choose; empty if all are installed."""
    found = sorted((file.inside, file.content) for file in _files((chosen, *within(chosen))))
    return hashlib.blake2b(repr(found).encode(), digest_size=16).hexdigest() if found else ""


def _files(modules: Iterable[Chosen[Any]]) -> Iterator[LocalFile]:
    for chosen in modules:
        if chosen.local is not None:
            space, module = chosen.local, chosen.name.partition(":")[0]
            for file, content in space.needed(module).items():
                yield LocalFile(file, space.path(file), content)
