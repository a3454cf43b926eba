"""Prepared data, stored under a key that is derived from the content of the data and the options."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa

from tp_core.data.cache.contents import Content, data_contents
from tp_core.data.cache.digest_cache import DigestCache
from tp_core.data.cache.identity import code_identity, module_classes, module_facts, module_identity
from tp_core.data.cache.manifest import Facts, facts_of
from tp_core.data.cache.place import user_cache
from tp_core.data.cache.rows import ArrowRows, write_rows
from tp_core.data.sources.folder_rules import folder_rules
from tp_core.data.sources.names import display_name, expanded
from tp_core.data.sources.records import BadRecords, read_records
from tp_core.errors import DataError
from tp_core.files.bounded_reads import read_json
from tp_core.files.whole_files import clear, write_whole
from tp_core.interfaces import Processor
from tp_core.local.trust import trusting
from tp_core.options.choice import Chosen
from tp_core.options.facts import ClassFacts, OutputFacts, SimilarityFacts
from tp_core.options.target import TargetConfig
from tp_core.packages.plugin_errors import plugin_error
from tp_core.spec.schema import Spec
from tp_core.spec.sections.data import Given
from tp_core.spec.trained.local_files import local_digest

#: Maximum number of paths in a message.
_TOLD = 5

#: Increase when the layout of cached rows changes, so that old files are not read.
_GENERATION = 4


def cache_folder(spec: Spec) -> Path:
    """The cache folder: ``data.cache``, else the default (:func:`tp_core.data.cache.place.user_cache`)."""
    return Path(spec.data.options.cache) if spec.data.options.cache else user_cache()


def _key(
    spec: Spec, processor: Processor, given: Sequence[Given], contents: list[Content], digest_cache: DigestCache
) -> str:
    data = spec.data
    makers = {"processor": data.processor, "tokenizer": data.tokenizer, "target_tokenizer": data.target_tokenizer}
    used = {name: chosen for name, chosen in makers.items() if chosen is not None}
    sources = [each for each in given if isinstance(each, Chosen)]
    parts: dict[str, object] = {
        "generation": _GENERATION,
        "content": [each.digest for each in contents],
        "sources": [module_facts(chosen) | {"code": local_digest(chosen)} for chosen in sources],
        "columns": data.options.columns,
        "labels": data.options.labels,
        "on_bad_record": data.options.on_bad_record,
        "targets": {t.instance_name: _label_facts(t.config) for t in spec.model.targets},
        "modules": {name: module_identity(chosen, digest_cache) for name, chosen in used.items()},
        "code": code_identity([type(processor), *module_classes([*used.values(), *sources])], digest_cache),
    }
    return hashlib.blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=16).hexdigest()


def _label_facts(target: TargetConfig) -> list[str]:
    """The facts about a target by which labels are read."""
    return [
        repr(fact) for fact in target.published_facts() if isinstance(fact, (ClassFacts, OutputFacts, SimilarityFacts))
    ]


def prepared_rows(
    spec: Spec,
    processor: Processor,
    given: Given | Sequence[Given],
    say: Callable[[str], None] = lambda _: None,
    contents: list[Content] | None = None,
) -> ArrowRows:
    """The prepared rows of data, from the cache or newly prepared.

    Args:
        given: paths, which may be patterns, and choices of sources.
        contents: contents of these (:func:`tp_core.data.cache.contents.data_contents`), if already known.
        say: receives progress messages.

    Raises:
        DataError: a record cannot be used, or there is no instance at all.
    """
    sources = expanded(given)
    named = _named([given] if isinstance(given, str | Chosen) else given)
    with trusting(spec.trust_code), DigestCache(cache_folder(spec), say) as digest_cache:
        contents = data_contents(spec, sources, digest_cache) if contents is None else contents
        target = cache_folder(spec) / f"{_key(spec, processor, sources, contents, digest_cache)}.arrow"
        clear(target.parent)
        rows = _cached(target, named, digest_cache, say)
    if rows is not None:
        return rows
    say(f"preparing {named}")
    bad = BadRecords(spec.data.options.on_bad_record)
    records = read_records(sources, spec.data.options.columns, bad, rules=folder_rules(spec.data))
    records.passed.tell(say)

    def told() -> str:
        return "\n".join([*filter(None, [bad.summary()]), *processor.remarks()])

    def keep(file: Path) -> None:
        # Written before the rows get their final name, so that the skipped records are always present with the rows.
        (facts,) = facts_of([file])
        write_whole(_facts_file(target), json.dumps({**facts._asdict(), "skipped": told()}))

    try:
        count = write_rows(target, processor.prepare(records, bad.report), keep)
        records.passed.tell(say)
    except OSError as error:
        if plugin_error(error) is not None:
            raise
        place = error.filename or target
        raise DataError(f"{place}: cannot be written: {error.strerror}; data.cache names another folder") from error
    if remarks := told():
        say(remarks)
    if not count:
        raise DataError(f"{named}: there is no record that the processor can use")
    say(f"prepared {count:,} instances in {target}")
    return ArrowRows(target)


def _facts_file(target: Path) -> Path:
    """The path of the file with the size and the digest of prepared rows, and with the skipped records."""
    return target.with_suffix(".json")


def _named(given: Sequence[Given]) -> str:
    """The data as text for messages, shortened, since a pattern may match a million files."""
    more = len(given) - _TOLD
    return ", ".join([*map(display_name, given[:_TOLD]), f"{more:,} more"] if more > 0 else map(display_name, given))


def _cached(target: Path, files: str, digest_cache: DigestCache, say: Callable[[str], None]) -> ArrowRows | None:
    """Rows that were prepared before and have not changed since; None if there are none."""
    if not target.is_file():
        return None
    try:
        plain = read_json(_facts_file(target))
        expected, skipped = Facts(int(plain["size"]), str(plain["digest"])), plain["skipped"]
        if target.stat().st_size == expected.size and facts_of([target], digest_cache) == [expected]:
            rows = ArrowRows(target)
            if skipped:
                say(f"of {files}, prepared before:\n{skipped}")
            return rows
    except (pa.ArrowInvalid, OSError, ValueError, KeyError, TypeError):
        pass
    say(f"the cached file {target} is damaged and will be prepared again")
    return None
