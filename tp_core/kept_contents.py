"""The contents that a model was trained with, kept in its checkpoint and compared with those of now. Torch-free."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tp_core.data.contents import Content, file_contents
from tp_core.data.digest_memo import DigestMemo
from tp_core.errors import CheckpointError, DataError
from tp_core.spec.choose import within
from tp_core.spec.schema import Spec
from tp_core.spec.schema_common import Chosen

#: Its name in a checkpoint.
CONTENTS = "contents.json"

#: Files of one place that a message names.
_SHOWN = 3

#: Place in the spec → the files there, in order.
Contents = Mapping[str, list[Content]]


def module_contents(modules: Iterable[Chosen[Any]], memo: DigestMemo | None = None) -> dict[str, list[Content]]:
    """The files that modules are made of, vocabularies and teachers for example, by the modules' place in the spec.

    Raises:
        DataError: a file that does not exist or cannot be read.
    """
    found = {}
    for chosen in modules:
        if files := chosen.config.contents():
            place = chosen.path.replace(chosen.written, chosen.name)  # whatever the spec writes
            found[place] = file_contents(files, memo, chosen.config.unread)
    return found


def keep_contents(contents: Contents, folder: Path) -> None:
    """Write contents into a folder."""
    plain = {place: [list(each) for each in files] for place, files in contents.items()}
    (folder / CONTENTS).write_text(json.dumps(plain), encoding="utf-8")


def kept_contents(folder: Path) -> dict[str, list[Content]]:
    """The contents that a checkpoint was trained with; nothing in another folder.

    Raises:
        CheckpointError: they cannot be read.
    """
    try:
        plain = json.loads((folder / CONTENTS).read_text(encoding="utf-8"))
        return {place: [Content(*each) for each in files] for place, files in plain.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{folder / CONTENTS}: cannot be read: {error}") from None


def changed_since(spec: Spec, checkpoint: Path) -> str:
    """The files with which a model of a checkpoint reads its input, in words, where they are others than in training.

    Teachers, which only training reads, are none of them.
    """
    before = kept_contents(checkpoint)
    readers = spec.data.chosen() if before else []
    try:
        now = module_contents(each for chosen in readers for each in (chosen, *within(chosen)))
    except DataError:  # which is said when the file is read
        return ""
    return "; ".join(f"{place}: {difference}" for place, difference in other_contents(before, now).items())


def other_contents(before: Contents, now: Contents) -> dict[str, str]:
    """Places whose contents are no longer those that the run began with → the difference, in words.

    Files count by their contents: they may have moved, or have other names.
    """
    found = {}
    for place in (place for place in before if place in now):
        was, is_ = before[place], now[place]
        if _by_content(was) != _by_content(is_):
            found[place] = _difference(was, is_)
    return found


def _by_content(files: list[Content]) -> list[tuple[str, str]]:
    return [(each.inside, each.digest) for each in files]


def _difference(was: list[Content], is_: list[Content]) -> str:
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
