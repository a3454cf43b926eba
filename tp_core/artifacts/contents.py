"""The contents that a model was trained with, kept in its checkpoint and compared with those of now. Torch-free."""

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

#: Its name in a checkpoint.
CONTENTS = "contents.json"

#: Files of one place that a message names.
_SHOWN = 3

#: Place in the spec → the files there, in order.
Contents = Mapping[str, list[Content]]


def module_contents(
    modules: Iterable[Chosen[Any]], digest_cache: DigestCache | None = None
) -> dict[str, list[Content]]:
    """The files that modules are made of, vocabularies and teachers for example, by the modules' place in the spec.

    Raises:
        TPError: a file or model that does not exist or cannot be read.
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
    """The contents that a checkpoint was trained with, of an export those that it does not have with it; or nothing.

    Raises:
        CheckpointError: they cannot be read.
    """
    try:
        plain = read_json(folder / CONTENTS)
        return {place: [Content(*each) for each in files] for place, files in plain.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{folder / CONTENTS}: cannot be read: {error}") from None


def changed_since(spec: Spec, model: Path) -> str:
    """The files with which a model reads its input, in words, where they are others than in training.

    Args:
        model: the folder of its weights, a checkpoint's for example.
    """
    return _changed(spec.data.chosen(), model)


def changed_labels(spec: Spec, model: Path) -> str:
    """As :func:`changed_since`, of the files with which the model's targets make labels: tokenizers', teachers'."""
    return _changed(spec.model.targets, model)


def _changed(modules: Iterable[Chosen[Any]], folder: Path) -> str:
    before = kept_contents(folder)
    every = (each for chosen in modules for each in (chosen, *within(chosen)))
    try:
        now = module_contents(each for each in every if each.place in before)
    except TPError:  # which is said when the file is read
        return ""
    return "; ".join(f"{place}: {difference}" for place, difference in other_contents(before, now).items())


def other_contents(before: Contents, now: Contents) -> dict[str, str]:
    """Places whose contents are no longer those that the run began with → the difference, in words.

    Files count by their contents: they may have moved, or have other names.
    """
    found = {}
    for place in (place for place in before if place in now):
        was, is_ = before[place], now[place]
        if difference := difference_of(was, is_):
            found[place] = difference
    return found


def difference_of(was: list[Content], is_: list[Content]) -> str:
    """The difference between two contents, in words; empty where there is none."""
    return "" if _by_content(was) == _by_content(is_) else _difference(was, is_)


def _by_content(files: list[Content]) -> list[tuple[str, str]]:
    return [(each.inside, each.digest) for each in files]


def _difference(was: list[Content], is_: list[Content]) -> str:
    alike = {each[1:] for each in was if each.inside} & {each[1:] for each in is_}
    was, is_ = ([each for each in files if each[1:] not in alike] for files in (was, is_))
    old, new = {each.path: each.digest for each in was}, {each.path: each.digest for each in is_}
    changed = [path for path in new if path in old and old[path] != new[path]]
    added, gone = [path for path in new if path not in old], [path for path in old if path not in new]
    if not changed and added and len(added) == len(gone):  # other files in their place
        return f"{_few(added)} differ from {_few(gone)}" if len(added) > 1 else f"{added[0]} differs from {gone[0]}"
    words = [("has changed", "have changed", changed), ("is new", "are new", added), ("is gone", "are gone", gone)]
    said = [f"{_few(paths)} {one if len(paths) == 1 else many}" for one, many, paths in words if paths]
    return ", ".join(said) or "the files stand in another order"


def _few(paths: list[str]) -> str:
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(paths[:_SHOWN]) + more
