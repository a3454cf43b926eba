"""The contents that a run works on: kept in its folder, compared when it goes on, and between its processes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tp_core.data.cache import cache_folder
from tp_core.data.contents import Content, file_contents, source_contents
from tp_core.data.digest_memo import DigestMemo
from tp_core.data.identity import module_facts
from tp_core.data.sources_named import named_files_fingerprint
from tp_core.errors import CheckpointError, TPError
from tp_core.inference.load import find_model
from tp_core.marks import paths_in
from tp_core.spec.files import expand
from tp_core.spec.local_files import local_files
from tp_core.spec.schema import Spec

#: Files of one place that a message names.
_SHOWN = 3

#: Place in the spec → the files there, in order.
Contents = Mapping[str, list[Content]]


def run_contents(spec: Spec, say: Callable[[str], None] = lambda _: None) -> dict[str, list[Content]]:
    """The files that decide what a run learns: data, vocabularies, teachers, local code; by their place in the spec.

    Files that have not changed since they were last read are not read.

    Raises:
        DataError: a file that does not exist or cannot be read.
    """
    found: dict[str, list[Content]] = {}
    with DigestMemo(cache_folder(spec), say) as memo:
        for name, own in spec.sets().items():
            for key in ("train", "eval"):
                if paths := getattr(own.data.options, key):
                    place = f"data.sets.{name}.{key}" if name else f"data.{key}"
                    found[place] = _sources(own, expand(paths), memo)
        for chosen in spec.chosen():
            if files := chosen.config.contents():
                place = chosen.path.replace(chosen.written, chosen.name)  # whatever the spec writes
                found[place] = file_contents(files, memo)
    return found


def _sources(spec: Spec, paths: list[str], memo: DigestMemo) -> list[Content]:
    assert spec.data.processor is not None
    config = spec.data.processor.config
    found = source_contents([*paths, *config.companions(paths)], memo)
    named = named_files_fingerprint(paths, spec.data.options.columns, config.media_fields, memo)
    return found if named is None else [*found, Content("the files that the records name", "", named)]


def start_contents(spec: Spec) -> dict[str, list[Content]]:
    """The files that only the beginning of a run reads: the weights of ``init_from``."""
    places = {part: f"init_from.{part}" if part else "init_from" for part in spec.init_from}
    with DigestMemo(cache_folder(spec)) as memo:
        return {places[part]: file_contents([str(find_model(path)[1])], memo) for part, path in spec.init_from.items()}


# -- when a run goes on ------------------------------------------------------------------------------------------


def plain_contents(contents: Contents) -> str:
    """The contents as JSON, for a checkpoint."""
    return json.dumps({place: [list(each) for each in files] for place, files in contents.items()})


def contents_of_plain(plain: str) -> dict[str, list[Content]]:
    """The way back from :func:`plain_contents`."""
    return {place: [Content(*each) for each in files] for place, files in json.loads(plain).items()}


def compare_with_checkpoint(before: Contents, now: Contents, checkpoint: Path, say: Callable[[str], None]) -> None:
    """Make sure that a run goes on with the contents that it was trained with; other evaluation data are told.

    Raises:
        CheckpointError: they differ; it names places and files.
    """
    other = other_contents(before, now)
    refused = [f"  {place}: {difference}" for place, difference in other.items() if not place.endswith(".eval")]
    if refused:
        raise CheckpointError(
            "\n".join([f"{checkpoint}: the run was trained with other contents than there are now", *refused])
            + "\n  (put them back, or start another run with --run DIR, and init_from for its weights)"
        )
    for place, difference in other.items():
        say(f"{place}: {difference}; evaluations from here on do not compare with those before")


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


# -- between the processes of a run ------------------------------------------------------------------------------


def compare_between(gather: Callable[[Any], list[Any]], spec: Spec, contents: Contents) -> None:
    """Make sure that all processes have the same spec and files, which may be on disks of their own.

    Args:
        gather: gives every process the values of all, by rank.

    Raises:
        TPError: they differ; every process raises it, and names the rank and the file.
    """
    code = [Content(each.path, each.inside, hashlib.sha256(each.content).hexdigest()) for each in local_files(spec)]
    local = {"local code": code} if code else {}
    own = {place: [list(each) for each in files] for place, files in {**contents, **local}.items()}
    facts = spec_identity(spec)
    first, *others = gather((facts, own))
    for rank, (their_facts, theirs) in enumerate(others, 1):
        for path, one, other in _unequal(first[0], their_facts):
            raise TPError(f"{path} is {_brief(other)} in the spec of rank {rank}, and {_brief(one)} in that of rank 0")
        for place in first[1]:
            for one, other in zip(first[1][place], theirs.get(place, [])):
                if one[1:] != other[1:]:
                    where = f"{place}: {other[0]} of rank {rank}"
                    raise TPError(f"{where} is not the file of rank 0 ({one[0]}); all processes must have the same")
            if len(first[1][place]) != len(theirs.get(place, [])):
                counts = f"{len(theirs.get(place, []))} files, rank 0 has {len(first[1][place])}"
                raise TPError(f"{place}: rank {rank} has {counts}; all processes must have the same")


def spec_identity(spec: Spec) -> dict[str, Any]:
    """A spec as plain values, without the paths in it, which may differ between machines."""
    return {
        "name": spec.name,
        "model": spec.model.options.model_dump(mode="json") | {"vocab_size": spec.model.vocab_size},
        "data": {name: _plain(own.data.options) for name, own in spec.sets().items()},
        "train": {key: value for key, value in spec.train.dump().items() if key != "hooks"},
        "modules": {chosen.path: module_facts(chosen) for chosen in spec.chosen()},
    }


def _plain(options: Any) -> dict[str, Any]:
    paths = {path.partition(".")[0] for path in paths_in(options)}
    plain: dict[str, Any] = options.model_dump(mode="json", exclude=paths)
    return plain


def _unequal(one: Any, other: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in [*one, *(key for key in other if key not in one)]:
            yield from _unequal(one.get(key), other.get(key), f"{path}.{key}" if path else str(key))
    elif one != other:
        yield path, one, other


def _brief(value: Any) -> str:
    return "unset" if value is None else json.dumps(value)
