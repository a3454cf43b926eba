"""A hash of the contents of sources, which identifies prepared data. Torch-free."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from tp_core.data.cache.digest_cache import DigestCache
from tp_core.data.cache.file_digests import Scheme, file_digests
from tp_core.data.sources.base import Source
from tp_core.data.sources.find import find_sources
from tp_core.data.sources.folder_rules import ANY_FORM, FolderRules
from tp_core.errors import DataError
from tp_core.spec.sections.data import Given

_SEGMENT = 1 << 26


def fingerprint(given: Sequence[Given], digest_cache: DigestCache | None = None, rules: FolderRules = ANY_FORM) -> str:
    """A hash of the data that :func:`tp_core.data.sources.records.read_records` would read; 32 hexadecimal digits.

    It depends on the order, forms, options, sizes and contents of the files, not on their paths or times. Segments of
    64 MiB are hashed in parallel, as hashing releases the GIL.

    Args:
        given: files, folders, ``hf://`` names and choices of sources.
        digest_cache: provides the digests of unchanged files, so that these are not read.
        rules: rules for the files of folders.

    Raises:
        DataError: a path does not exist or cannot be read.
    """
    total = hashlib.blake2b(digest_size=16)
    for _, digest in source_digests(given, digest_cache, rules):
        total.update(digest)
    return total.hexdigest()


def source_digests(
    given: Sequence[Given], digest_cache: DigestCache | None = None, rules: FolderRules = ANY_FORM
) -> Iterator[tuple[Source, bytes]]:
    """The given sources, in order, each with a hash of its form, options and contents.

    Args:
        given: see :func:`fingerprint`.

    Raises:
        DataError: a path does not exist or cannot be read.
    """
    sources = [(source, [*source.files()]) for source in find_sources(given, rules)]
    contents = file_digests((file for _, files in sources for file in files), Scheme(32, _SEGMENT), digest_cache)
    for source, files in sources:
        total = hashlib.blake2b(digest_size=16)
        total.update(f"{source.heading()}\n".encode())
        for file, content in zip(files, contents):
            if content.size is not None:
                total.update(f"{content.size}\n".encode())
            total.update(content.digests)
            if content.error is None:
                continue
            if not source.is_record:
                message = getattr(content.error, "strerror", None) or str(content.error)
                raise DataError(f"cannot be read: {message}", file=file) from content.error
            total.update(b"cannot be read\n")  # one bad record, which is reported when it is read
        yield source, total.digest()
