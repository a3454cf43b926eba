"""The contents that a model was trained with, stored in its checkpoint for later comparison. Torch-free."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tp_core.data.cache.contents import Content
from tp_core.data.cache.digest_cache import DigestCache
from tp_core.data.cache.nested_models import module_files
from tp_core.errors import CheckpointError, TPError
from tp_core.files.bounded_reads import read_json
from tp_core.options.choice import Chosen, within
from tp_core.spec.schema import Spec

#: Name of the contents file in a checkpoint.
CONTENTS = "contents.json"

#: Maximum number of files of one place that a message names.
_SHOWN = 3

#: Place in the spec → the files there, in order.
Contents = Mapping[str, list[Content]]


def module_contents(
    modules: Iterable[Chosen[Any]], digest_cache: DigestCache | None = None
) -> dict[str, list[Content]]:
    """The files that modules consist of, such as vocabularies and teachers, by the modules' place in the spec.

    Raises:
        TPError: a file or model does not exist or cannot be read.
    """
    found = {}
    for chosen in modules:
        if files := module_files(chosen, digest_cache):
            found[chosen.place] = files
    return found


def keep_contents(contents: Contents, folder: Path) -> None:
    """Write contents into the folder of a model's weights."""
    plain = {place: [list(each) for each in files] for place, files in contents.items()}
    (folder / CONTENTS).write_text(json.dumps(plain), encoding="utf-8")


def kept_contents(folder: Path) -> dict[str, list[Content]]:
    """The stored contents of a checkpoint, or those of an export's external files; empty if nothing is stored.

    Raises:
        CheckpointError: the contents cannot be read.
    """
    try:
        plain = read_json(folder / CONTENTS)
        return {place: [Content(*each) for each in files] for place, files in plain.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{folder / CONTENTS}: cannot be read: {error}") from None


def changed_since(spec: Spec, model: Path) -> str:
    """Describe the files that a model reads its input with and that have changed since training.

    Args:
        model: the folder of its weights, such as a checkpoint.
    """
    return _changed(spec.data.chosen(), model)


def changed_labels(spec: Spec, model: Path) -> str:
    """Like :func:`changed_since`, for files with which targets make labels, such as tokenizers and teachers."""
    return _changed(spec.model.targets, model)


def _changed(modules: Iterable[Chosen[Any]], folder: Path) -> str:
    before = kept_contents(folder)
    every = (each for chosen in modules for each in (chosen, *within(chosen)))
    try:
        now = module_contents(each for each in every if each.place in before)
    except TPError:  # reading the file reports the error
        return ""
    return "; ".join(f"{place}: {difference}" for place, difference in other_contents(before, now).items())


def other_contents(before: Contents, now: Contents) -> dict[str, str]:
    """Places whose contents differ from those at the start of the run → description of the difference.

    Files are compared by content. They may have been moved or renamed.
    """
    found = {}
    for place in (place for place in before if place in now):
        was, is_ = before[place], now[place]
        if difference := difference_of(was, is_):
            found[place] = difference
    return found


def difference_of(was: list[Content], is_: list[Content]) -> str:
    """A description of the difference between two contents; empty if they are equal."""
    return "" if _by_content(was) == _by_content(is_) else _difference(was, is_)


def _by_content(files: list[Content]) -> list[tuple[str, str]]:
    return [(each.inside, each.digest) for each in files]


def _difference(was: list[Content], is_: list[Content]) -> str:
    alike = {each[1:] for each in was if each.inside} & {each[1:] for each in is_}
    was, is_ = ([each for each in files if each[1:] not in alike] for files in (was, is_))
    old, new = {each.path: each.digest for each in was}, {each.path: each.digest for each in is_}
    changed = [path for path in new if path in old and old[path] != new[path]]
    added, gone = [path for path in new if path not in old], [path for path in old if path not in new]
    if not changed and added and len(added) == len(gone):  # files were replaced by others
        return f"{_few(added)} differ from {_few(gone)}" if len(added) > 1 else f"{added[0]} differs from {gone[0]}"
    words = [("has changed", "have changed", changed), ("is new", "are new", added), ("is gone", "are gone", gone)]
    said = [f"{_few(paths)} {one if len(paths) == 1 else many}" for one, many, paths in words if paths]
    return ", ".join(said) or "the files stand in another order"


def _few(paths: list[str]) -> str:
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(paths[:_SHOWN]) + more
