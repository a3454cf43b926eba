"""A hash of the files that tables name, such as pictures and recordings, in addition to the tables. Torch-free."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from tp_core.data.cache.digest_cache import DigestCache
from tp_core.data.cache.file_digests import Scheme, file_digests
from tp_core.data.sources.bad import BadRecords
from tp_core.data.sources.find import find_sources
from tp_core.data.sources.folder_rules import ANY_FORM, FolderRules
from tp_core.data.sources.passed_over import PassedOver
from tp_core.data.sources.records import source_records
from tp_core.interfaces.record import Record
from tp_core.spec.sections.data import Given

_WHOLE = Scheme(16)

#: Maximum number of files with separate digests; more files have only a common hash.
_MANY = 1000


class NamedFiles(NamedTuple):
    """The contents of the files that records name.

    Attributes:
        fingerprint: a hash of all files, in order; None if records name no files.
        digests: path → hash of its content, in order; empty if there are too many files for messages.
    """

    fingerprint: str | None
    digests: dict[str, str]


def named_files(
    given: Sequence[Given],
    columns: Mapping[str, str],
    fields: Collection[str],
    digest_cache: DigestCache | None = None,
    rules: FolderRules = ANY_FORM,
) -> NamedFiles:
    """The contents of the files that records name.

    A file that cannot be read is included as unreadable, so that the hash changes when it becomes readable.

    Args:
        given: files, folders, ``hf://`` names and choices of sources.
        columns: field → column, as in ``data.columns``.
        fields: fields that are a path or contain one.
        digest_cache: provides the digests of unchanged files, so that these are not read.
        rules: rules for the files of folders.

    Raises:
        DataError: a table cannot be read.
    """
    total, digests = hashlib.blake2b(digest_size=16), dict[str, str]()
    names, files = itertools.tee(_named(given, columns, fields, rules))
    for name, content in zip(names, file_digests(files, _WHOLE, digest_cache)):
        digest = content.digests if content.error is None else b"cannot be read"
        total.update(digest)
        if len(digests) <= _MANY:
            digests[name] = digest.hex()
    return NamedFiles(total.hexdigest() if digests else None, digests if len(digests) <= _MANY else {})


def _named(
    given: Sequence[Given], columns: Mapping[str, str], fields: Collection[str], rules: FolderRules
) -> Iterator[str]:
    for source in find_sources(given, rules):
        if not source.names_files or not fields:
            continue
        for record in source_records([source], columns, BadRecords("skip"), rules, PassedOver()):
            values = [record.value.get(field) for field in fields]
            if any(isinstance(value, bytes) or (isinstance(value, dict) and value.get("bytes")) for value in values):
                break  # the column holds the contents, which are part of the table's own hash
            yield from (path for value in values if (path := _path(value, record)))


def _path(value: object, record: Record) -> str | None:
    if isinstance(value, dict):
        value = value.get("path") if value.get("bytes") is None else None
    return os.path.join(os.path.dirname(record.file), value) if isinstance(value, str) and value else None
