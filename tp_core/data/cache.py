"""Prepared data, kept under a key made of the content and the options it was prepared with."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from tp_core.data.contents import Content, data_contents
from tp_core.data.digest_memo import DigestMemo
from tp_core.data.identity import code_identity, module_identity
from tp_core.data.mixture import SetProcessor
from tp_core.data.records import BadRecords, read_records
from tp_core.data.rows import ArrowRows, write_rows
from tp_core.errors import DataError
from tp_core.interfaces import Processor
from tp_core.spec.files import expand
from tp_core.spec.schema import Spec

#: Raised when the layout of cached rows changes, so that old files are not read.
_GENERATION = 3


def cache_folder(spec: Spec) -> Path:
    """``data.cache``, else ``$TP_CACHE``, else ``~/.cache/tp``."""
    return Path(spec.data.options.cache or os.environ.get("TP_CACHE") or Path.home() / ".cache" / "tp")


def _key(spec: Spec, processor: Processor, contents: list[Content], memo: DigestMemo) -> str:
    data = spec.data
    makers = {"processor": data.processor, "tokenizer": data.tokenizer, "target_tokenizer": data.target_tokenizer}
    used = {name: chosen for name, chosen in makers.items() if chosen is not None}
    made = processor.inner if isinstance(processor, SetProcessor) else processor
    parts: dict[str, object] = {
        "generation": _GENERATION,
        "content": [each.digest for each in contents],
        "columns": data.options.columns,
        "on_bad_record": data.options.on_bad_record,
        "targets": {t.called: getattr(t.config, "num_labels", None) for t in spec.model.targets},
        "modules": {name: module_identity(chosen, memo) for name, chosen in used.items()},
        "code": code_identity([type(made), *(type(chosen.config) for chosen in used.values())], memo),
    }
    return hashlib.blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=16).hexdigest()


def prepared_rows(
    spec: Spec,
    processor: Processor,
    paths: str | list[str],
    say: Callable[[str], None] = lambda _: None,
    contents: list[Content] | None = None,
) -> ArrowRows:
    """The rows of ``paths``, from the cache or prepared now.

    Args:
        contents: of the paths (:func:`tp_core.data.contents.data_contents`), where they are known already.
        say: receives a line on what is being done.

    Raises:
        DataError: a record that cannot be used, or no instance at all.
    """
    files = expand(paths)
    with DigestMemo(cache_folder(spec), say) as memo:
        contents = data_contents(spec, files, memo) if contents is None else contents
        target = cache_folder(spec) / f"{_key(spec, processor, contents, memo)}.arrow"
    skipped = target.with_suffix(".skipped")
    if target.is_file():
        try:
            rows = ArrowRows(target)
            if skipped.is_file():
                say(f"of {', '.join(files)}, prepared before:\n{skipped.read_text(encoding='utf-8')}")
            return rows
        except (pa.ArrowInvalid, OSError):
            say(f"the cached file {target} is damaged and is made anew")
    say(f"preparing {', '.join(files)}")
    bad = BadRecords(spec.data.options.on_bad_record)
    records = read_records(files, spec.data.options.columns, bad)
    try:
        count = write_rows(target, processor.prepare(records, bad.report))
        summary = bad.summary()
        if summary and count:
            skipped.write_text(summary, encoding="utf-8")
    except OSError as error:
        place = error.filename or target
        raise DataError(f"{place}: cannot be written: {error.strerror}; data.cache names another folder") from error
    if summary:
        say(summary)
    if not count:
        raise DataError(f"{', '.join(files)}: no training instances: the data hold nothing that the processor can use")
    say(f"prepared {count:,} instances in {target}")
    return ArrowRows(target)
