"""Prepared data, kept under a key made of the content and the options it was prepared with."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from tp_core.data.digest_memo import DigestMemo
from tp_core.data.file_digests import Scheme, file_digests
from tp_core.data.records import BadRecords, fingerprint, read_records
from tp_core.data.rows import ArrowRows, write_rows
from tp_core.data.sources_named import named_files_fingerprint
from tp_core.errors import DataError
from tp_core.interfaces import Processor
from tp_core.spec.files import expand
from tp_core.spec.local_files import local_digest
from tp_core.spec.schema import Spec

#: Raised when the layout of cached rows changes, so that old files are not read.
_GENERATION = 2


def cache_folder(spec: Spec) -> Path:
    """``data.cache``, else ``$TP_CACHE``, else ``~/.cache/tp``."""
    return Path(spec.data.options.cache or os.environ.get("TP_CACHE") or Path.home() / ".cache" / "tp")


def _key(spec: Spec, paths: list[str], memo: DigestMemo) -> str:
    data = spec.data
    assert data.processor is not None
    processor = data.processor.config
    parts: dict[str, object] = {
        "generation": _GENERATION,
        "content": fingerprint([*paths, *processor.companions(paths)], memo),
        "columns": data.options.columns,
        "on_bad_record": data.options.on_bad_record,
        "processor": [data.processor.distribution, data.processor.version, data.processor.name],
        "options": processor.model_dump(mode="json", exclude=set(processor.sampling_options)),
        "files": [_fingerprint_of(path, memo) for path in processor.contents()],
        "targets": {t.called: getattr(t.config, "num_labels", None) for t in spec.model.targets},
    }
    named = named_files_fingerprint(paths, data.options.columns, processor.media_fields, memo)
    if named is not None:
        parts["named"] = named
    code = [local_digest(each) for each in (data.processor, data.tokenizer, data.target_tokenizer) if each is not None]
    if any(code):
        parts["code"] = code
    for side, chosen in (("tokenizer", data.tokenizer), ("target_tokenizer", data.target_tokenizer)):
        if chosen is not None:
            files = chosen.config.files()
            options = chosen.config.model_dump(mode="json", exclude=set(files))
            parts[side] = [chosen.name, options, [fingerprint([path], memo) for path in files.values()]]
    return hashlib.blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=16).hexdigest()


def _fingerprint_of(path: str, memo: DigestMemo) -> str:
    """A hash of a file that is no source of records."""
    (content,) = file_digests([path], Scheme(16), memo)
    if content.error is not None:
        reason = getattr(content.error, "strerror", None) or content.error
        raise DataError(f"cannot be read: {reason}", file=path) from content.error
    return content.digests.hex()


def prepared_rows(
    spec: Spec, processor: Processor, paths: str | list[str], say: Callable[[str], None] = lambda _: None
) -> ArrowRows:
    """The rows of ``paths``, from the cache or prepared now.

    Args:
        say: receives a line on what is being done.

    Raises:
        DataError: a record that cannot be used, or no instance at all.
    """
    files = expand(paths)
    with DigestMemo(cache_folder(spec), say) as memo:
        target = cache_folder(spec) / f"{_key(spec, files, memo)}.arrow"
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
