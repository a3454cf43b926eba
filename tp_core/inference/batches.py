"""Records in order → batches for inference, of rows of like length."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import torch

from tp_core.errors import DataError, TPError
from tp_core.interfaces import Batch, Processor, Record, Sample


def _length(sample: dict[str, object]) -> int:
    return max((len(value) for value in sample.values() if hasattr(value, "__len__")), default=0)


def need_batch_size(size: int) -> None:
    """Raise a :class:`TPError` where a number of records per batch is below 1."""
    if size < 1:
        raise TPError(f"batch_size must be at least 1, got {size}")


def inference_batches(
    records: Iterable[Record],
    processor: Processor,
    batch_size: int,
    device: torch.device,
    encode: Callable[[list[Record]], list[Sample]] | None = None,
    report: Callable[[int, DataError], None] | None = None,
) -> Iterator[tuple[list[Record], list[list[int]], list[Batch]]]:
    """Chunks of records with their batches and, per batch, the numbers of its records in the chunk.

    Args:
        encode: makes samples of records; the processor's ``encode`` if None.
        report: told the number of each record in its chunk that cannot be used, and why, which is then in no batch.

    Raises:
        DataError: a record that cannot be used, if ``report`` is None.
        TPError: the batch size is none.
    """
    need_batch_size(batch_size)
    source, encode = iter(records), encode or processor.encode
    while chunk := list(islice(source, processor.read_ahead)):
        samples = _samples(chunk, encode, report)
        order = sorted(samples, key=lambda i: _length(samples[i]))
        groups = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
        yield chunk, groups, [processor.collate([samples[i] for i in group]).to(device) for group in groups]


def _samples(
    chunk: list[Record],
    encode: Callable[[list[Record]], list[Sample]],
    report: Callable[[int, DataError], None] | None,
) -> dict[int, Sample]:
    """The samples of a chunk's records by their number."""
    try:
        return dict(enumerate(encode(chunk)))
    except DataError:
        if report is None:
            raise
    found = {}
    for number, record in enumerate(chunk):
        try:
            (found[number],) = encode([record])
        except DataError as error:
            report(number, error)
    return found
