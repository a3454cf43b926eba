"""The contents of a run's files, stored in its folder and compared on resume and between processes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tp_core.artifacts.contents import Contents, kept_contents, module_contents, other_contents
from tp_core.artifacts.find import find_model
from tp_core.data.cache.contents import Content, data_contents, file_contents
from tp_core.data.cache.digest_cache import DigestCache
from tp_core.data.cache.identity import module_facts
from tp_core.data.cache.nested_models import bare
from tp_core.data.cache.prepared import cache_folder
from tp_core.data.sources.names import expanded
from tp_core.errors import CheckpointError, TPError
from tp_core.options.marks import is_path
from tp_core.spec.choices.module_nodes import all_modules
from tp_core.spec.schema import Spec
from tp_core.spec.sections.data import SOURCES
from tp_core.spec.trained.local_files import local_files
from tp_core.spec.trained.portable import replaced


def run_contents(spec: Spec, say: Callable[[str], None] = lambda _: None) -> dict[str, list[Content]]:
    """The files that decide the result of a run: data, vocabularies, teachers, local code; by place in the spec.

    Files that have not changed since they were last read are not read again.

    Raises:
        DataError: a file does not exist or cannot be read.
    """
    found: dict[str, list[Content]] = {}
    with DigestCache(cache_folder(spec), say) as digest_cache:
        for name, own in spec.sets().items():
            for key in SOURCES:
                if given := own.data.options.given(key):
                    found[data_place(name, key)] = data_contents(own, expanded(given), digest_cache)
        found |= module_contents((each for each in all_modules(spec) if each.kind != "source"), digest_cache)
    return found


def data_place(name: str, key: str) -> str:
    """Place of a data set's files in the spec; ``name`` is empty if there is only one set."""
    return f"data.sets.{name}.{key}" if name else f"data.{key}"


def start_contents(spec: Spec) -> dict[str, list[Content]]:
    """The files that are only read at the start of a run: the weights of ``init_from``."""
    places = {part: f"init_from.{part}" if part else "init_from" for part in spec.init_from}
    with DigestCache(cache_folder(spec)) as digest_cache:
        return {
            places[part]: file_contents([str(find_model(path)[1])], digest_cache)
            for part, path in spec.init_from.items()
        }


def compare_with_checkpoint(now: Contents, checkpoint: Path, say: Callable[[str], None]) -> None:
    """Check that the contents match those that a run was trained with; changed evaluation data are only reported.

    Raises:
        CheckpointError: contents differ; the message names places and files.
    """
    other = other_contents(kept_contents(checkpoint), now)
    refused = [f"  {place}: {difference}" for place, difference in other.items() if not place.endswith(".eval")]
    if refused:
        raise CheckpointError(
            "\n".join([f"{checkpoint}: the run was trained with other contents than there are now", *refused])
            + "\n  (put them back, or start another run with --run DIR, and init_from for its weights)"
        )
    for place, difference in other.items():
        say(f"{place}: {difference}; evaluations from here on do not compare with those before")


# -- between the processes of a run ------------------------------------------------------------------------------


def compare_between(gather: Callable[[Any], list[Any]], spec: Spec, contents: Contents) -> None:
    """Check that all processes have the same spec and files, which may be on separate disks.

    Args:
        gather: returns the values of all processes on every process, by rank.

    Raises:
        TPError: they differ; every process raises it, and it names the rank and the file.
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
                    both = f"{other[0]} on rank {rank} differs from {one[0]} on rank 0"
                    raise TPError(f"{place}: {both}; all processes must have the same")
            if len(first[1][place]) != len(theirs.get(place, [])):
                counts = f"{len(theirs.get(place, []))} files, rank 0 has {len(first[1][place])}"
                raise TPError(f"{place}: rank {rank} has {counts}; all processes must have the same")


def spec_identity(spec: Spec) -> dict[str, Any]:
    """A spec as plain values without paths, which may differ between machines."""
    return {
        "name": spec.name,
        "data": {name: _plain(own.data.options) for name, own in spec.sets().items()},
        "data.sets": list(spec.data.sets),
        "train": {key: value for key, value in spec.train.dump().items() if key != "hooks"},
        "modules": {chosen.path: module_facts(chosen) for chosen in all_modules(spec)},
        "model": replaced(spec, bare).model.dump(),
    }


def _plain(options: Any) -> dict[str, Any]:
    paths = {name for name, info in type(options).model_fields.items() if is_path(info)}
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
