"""A hash of the contents of sources, to know prepared data by. Torch-free."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tp_core.data.sources_arrow import dataset_identity
from tp_core.data.sources_find import MEDIA, find_sources
from tp_core.errors import DataError

_SEGMENT = 1 << 26
_READ = 1 << 20


def fingerprint(paths: list[str]) -> str:
    """A hash of what :func:`tp_core.data.records.read_records` would read; 32 hexadecimal digits.

    It depends on the order, forms, sizes and contents of the files, not on where they are or their times.
    Segments of 64 MiB are hashed at the same time, as hashing releases the interpreter.

    Args:
        paths: files, folders and ``hf://`` names.

    Raises:
        DataError: a path that does not exist or cannot be read.
    """
    total = hashlib.blake2b(digest_size=16)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for source in find_sources(paths):
            # The form decides how contents are read, so equal bytes of two forms are different sources.
            label = "" if source.label is None else f" {source.label}"
            total.update(f"{source.form} {source.compressed}{label}\n".encode())
            if source.form == "hub":
                total.update(f"{source.path} {dataset_identity(source)}\n".encode())
                continue
            for file in _files(source.path):
                try:
                    size = os.path.getsize(file)
                    total.update(f"{size}\n".encode())
                    starts = range(0, size, _SEGMENT)
                    for digest in pool.map(_hash_segment, [file] * len(starts), starts):
                        total.update(digest)
                except OSError as error:
                    if source.form in MEDIA:  # one bad record, which is for the processor to report
                        total.update(b"cannot be read\n")
                        continue
                    raise DataError(f"cannot be read: {error.strerror}", file=file) from error
    return total.hexdigest()


def _files(path: str) -> Iterator[str]:
    if os.path.isdir(path):
        yield from (str(p) for p in sorted(Path(path).rglob("*")) if p.is_file())
    else:
        yield path


def _hash_segment(file: str, start: int) -> bytes:
    hashed = hashlib.blake2b(digest_size=32)
    buffer = memoryview(bytearray(_READ))
    with open(file, "rb", buffering=0) as raw:
        raw.seek(start)
        left = _SEGMENT
        while left and (count := raw.readinto(buffer[: min(left, _READ)])):
            hashed.update(buffer[:count])
            left -= count
    return hashed.digest()
