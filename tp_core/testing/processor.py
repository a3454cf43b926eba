"""The contracts of a processor, checked on records from its author."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tp_core.data.cache.rows import ArrowRows, write_rows
from tp_core.data.sampling.order import EVALUATION, TRAIN, generator
from tp_core.errors import DataError
from tp_core.interfaces import ONLY, Batch, Processor, Record, Rows
from tp_core.interfaces.tokenizer import Tokenizer
from tp_core.options.context import BuildContext, DataContext
from tp_core.options.ports import Port
from tp_core.options.processor import ProcessorConfig
from tp_core.testing import metrics
from tp_core.testing.batches import sequence_count
from tp_core.testing.subject import Subject

#: Fields that a batch may omit if it has no padding.
_OPTIONAL = ("attention_mask", "lengths")
#: Inputs whose padding must be marked. In waveforms, a model may read padding as silence.
_PADDED = ("input_ids", "input_features")


def check(
    subject: Subject,
    *,
    records: list[dict[str, Any]],
    tokenizer: Tokenizer | None = None,
    data: DataContext | None = None,
    prediction: Mapping[str, Any] | None = None,
) -> None:
    """Check a processor on records from its author.

    Checks:

    - rows are stored and read without changes;
    - a sample only depends on (seed, epoch, index), and drawing it changes neither rows nor other samples;
    - batches have the fields and labels that the config provides;
    - sequences are not longer than the config's limits;
    - records without labels can be encoded for inference, and also the items of a search alone;
    - the processor's metrics are those that its config declares.

    Args:
        subject: the processor.
        records: fields of good training records, enough for several rows.
        tokenizer: the tokenizer, for processors that need one.
        data: facts about the model and the spec for the processor.
        prediction: a possible prediction of the model's targets for a sample, for a processor that computes metrics.
    """
    config = subject.config()
    assert isinstance(config, ProcessorConfig)
    processor = config.build(data or DataContext(), tokenizer)
    source = [Record(dict(value), "records", line) for line, value in enumerate(records, 1)]
    with TemporaryDirectory() as folder:
        rows = _prepared(processor, source, Path(folder) / "rows.arrow")
        _check_samples(processor, rows)
        _check_batches(processor, rows, config)
        _check_scores(processor, rows, config, prediction)
    _check_inference(processor, source, config)
    _check_sides(processor, source)


def _refuse(error: DataError) -> None:
    raise AssertionError(f"prepare() rejects a record: {error}") from error


def _prepared(processor: Processor, records: list[Record], path: Path) -> Rows:
    written: list[dict[str, list[Any]]] = []
    try:
        count = write_rows(path, _remembered(processor.prepare(iter(records), _refuse), written))
    except DataError as error:
        raise AssertionError(f"prepare() fails: {error}") from error
    assert count, "prepare() makes no rows of these records"
    rows = ArrowRows(path)
    _check_kept(rows, written)
    again = ArrowRows(path)
    second = path.with_name("again.arrow")
    write_rows(second, processor.prepare(iter(records), _refuse))
    assert second.read_bytes() == path.read_bytes(), (
        "prepare() gives other rows the second time; it must only depend on the records, because its result is cached"
    )
    assert len(rows) == len(again) == count
    return rows


def _remembered(
    chunks: Iterable[dict[str, list[Any]]], written: list[dict[str, list[Any]]]
) -> Iterator[dict[str, list[Any]]]:
    for chunk in chunks:
        written.append(deepcopy(chunk))
        yield chunk


def _check_kept(rows: Rows, chunks: list[dict[str, list[Any]]]) -> None:
    first = 0
    for chunk in chunks:
        for name, values in chunk.items():
            for row, given in enumerate(values, first):
                found = rows.get(name, row)
                assert _same(given, found), f"column '{name}' of row {row} was {given!r} and is read as {found!r}"
        first += max(map(len, chunk.values()), default=0)


def _same(given: Any, found: Any) -> bool:
    if isinstance(given, (bytes, bytearray)):
        return bytes(found) == bytes(given)
    expected = given.detach().cpu().numpy() if isinstance(given, Tensor) else np.asarray(given)
    return np.array_equal(expected, found, equal_nan=True)


def _draw(processor: Processor, rows: Rows, index: int, epoch: int = 0) -> dict[str, Any]:
    return processor.sample(rows, index, generator(0, TRAIN, epoch, index))


def _check_samples(processor: Processor, rows: Rows) -> None:
    indices = list(range(min(len(rows), 16)))
    first = [_draw(processor, rows, index) for index in indices]
    state = repr(np.random.get_state())
    backwards = [_draw(processor, rows, index) for index in reversed(indices)][::-1]
    assert state == repr(np.random.get_state()), (
        "sample() draws from numpy's global generator; it must use the generator in its argument"
    )
    for index, (before, after) in enumerate(zip(first, backwards)):
        different = _difference(before, after)
        assert not different, (
            f"'{different}' of sample {index} differs when it is drawn again; a sample must only depend on its row and "
            "the generator, and drawing it must not change the rows or the processor"
        )


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    for name in before.keys() | after.keys():
        if name not in before or name not in after or not _equal(before[name], after[name]):
            return name
    return ""


def _equal(one: Any, other: Any) -> bool:
    """True if two values of samples are equal; NaN, which marks a label that a sample does not have, equals NaN."""
    one, other = np.asarray(one), np.asarray(other)
    floats = one.dtype.kind == other.dtype.kind == "f"
    return np.array_equal(one, other, equal_nan=floats)


def _check_batches(processor: Processor, rows: Rows, config: ProcessorConfig) -> None:
    samples = [_draw(processor, rows, index) for index in range(min(len(rows), 16))]
    provided = config.provides(BuildContext())
    for port in provided:
        assert port.kind in ("input", "target_input", "labels"), f"a processor cannot provide {port}"
    for chosen in (samples, samples[:1]):
        batch = processor.collate(chosen)
        _check_tensors(batch, len(chosen), config)
        found = _ports(batch)
        for port in provided:
            there = any(_same_port(port, each) for each in found)
            assert there or (port.kind != "labels" and port.name in _OPTIONAL), (
                f"the config provides {port}, but the batch only has {', '.join(sorted(map(str, found)))}"
            )
        for port in found:
            there = any(_same_port(each, port) for each in provided)
            assert there, f"the batch has {port}, which the config does not provide"
    _check_padding(processor, samples)


def _check_padding(processor: Processor, samples: list[dict[str, Any]]) -> None:
    """Check that a sample has the same number of real positions in a batch and alone, on all sides."""
    together = _real_counts(processor.collate(samples))
    for row, sample in enumerate(samples):
        for side, (alone,) in _real_counts(processor.collate([sample])).items():
            found = together[side][row]
            assert found == alone, (
                f"{side} has {_shown(found)} real positions for a sample in a batch and {_shown(alone)} for it alone; "
                "a batch with padding needs attention_mask or lengths"
            )


def _shown(counts: list[int]) -> str:
    return " and ".join(map(str, counts))


def _real_counts(batch: Batch) -> dict[str, list[list[int]]]:
    """The numbers of real positions of each sample's sequences, for each side."""
    streams = {f"the stream '{name}'" if name else "the source": side for name, side in batch.source.items()}
    sides = {**streams, "the target side": batch.target or {}}
    counts: dict[str, list[int]] = {}
    for name, side in sides.items():
        lead = next((side[key] for key in _PADDED if key in side), None)
        if lead is None:
            continue
        mask = side.get("attention_mask")
        if mask is not None:
            counts[name] = mask.long().sum(dim=1).tolist()
        else:
            counts[name] = side["lengths"].tolist() if "lengths" in side else [lead.shape[1]] * len(lead)
    own = [[n] for n in range(batch.size)] if batch.sequences is None else batch.sequences.tolist()
    return {name: [[each[n] for n in numbers if n >= 0] for numbers in own] for name, each in counts.items()}


def _check_scores(
    processor: Processor, rows: Rows, config: ProcessorConfig, prediction: Mapping[str, Any] | None
) -> None:
    facts = config.measures(BuildContext())
    if not processor.has_metrics:
        metrics.check_declared([], facts, "score()")
        return
    assert prediction is not None, (
        "it computes metrics (score()); give check_module a prediction=, a possible prediction of the model's targets "
        "for a sample"
    )
    numbers = range(min(len(rows), 16))
    samples = [processor.evaluation_sample(rows, index, generator(0, EVALUATION, 0, index)) for index in numbers]
    starts = processor.record_starts(rows)
    first = list(numbers) if starts is None else starts[starts < len(numbers)].tolist()
    carried = [processor.carried(sample) for sample in samples]
    records = [carried[begin:end] for begin, end in zip(first, [*first[1:], len(carried)])]
    combined = []
    for own in records:
        combined.append(processor.combine(own, processor.describe([dict(prediction) for _ in own])))
    found = processor.score(combined, records)
    metrics.check_declared(found, facts, "score()")
    metrics.check_states(found, facts)
    for name in found:
        taken = name == "loss" or "/" in name
        assert not taken, f"the metric name '{name}' is reserved; expected a name without '/' that is not 'loss'"


def _ports(batch: Batch) -> set[Port]:
    """The batch's fields and labels as ports."""
    found = {Port.labels(name) for name in batch.labels} | {Port.target_input(name) for name in batch.target or {}}
    return found | {Port.input(name, stream) for stream, inputs in batch.source.items() for name in inputs}


def _same_port(provided: Port, found: Port) -> bool:
    """True if a declared port matches a port of the batch. Labels of one target are stored under its name."""
    if provided.kind == "labels":
        return found.kind == "labels" and found.name == (provided.of or provided.name)
    return provided[:2] == found[:2] and provided.of in ("", found.of)


def _check_tensors(batch: Batch, size: int, config: ProcessorConfig) -> None:
    assert batch.size == size, f"the batch of {size} samples has size {batch.size}"
    named = [name for name, inputs in batch.source.items() if name and isinstance(inputs, dict)]
    if config.feeds_streams:
        assert len(named) == len(batch.source), (
            "the config has feeds_streams, so the keys of a batch's source must be names of streams"
        )
    else:
        right = list(batch.source) == [ONLY] and isinstance(batch.source[ONLY], dict)
        assert right, "a batch of a single stream must be made with Batch.of(inputs, size)"
    _check_sequences(batch, size, config)
    count = sequence_count(batch)
    of = f"{count} {'samples' if batch.sequences is None else 'sequences'}"
    for side in batch.source.values():
        _check_side(side, count, of, "", config.sequence_length(), "sequence_length()")
    _check_side(batch.target or {}, count, of, "target:", config.target_sequence_length(), "target_sequence_length()")
    for labels in batch.labels.values():  # NaN marks a label that a sample does not have
        _check_side({key: _without_nan(value) for key, value in labels.items()}, size, f"{size} samples", "", None, "")


def _without_nan(value: Any) -> Any:
    return value.masked_fill(value.isnan(), 0) if isinstance(value, Tensor) else value


def _check_sequences(batch: Batch, size: int, config: ProcessorConfig) -> None:
    """Check that the numbers of the samples' sequences are in the batch if the config declares it, and each is once."""
    numbers = batch.sequences
    if not config.several_sequences:
        assert numbers is None, "the batch has sequences, but the config does not declare several_sequences"
        return
    assert numbers is not None, "the config declares several_sequences, but the batch has no sequences"
    assert (numbers.dtype, numbers.shape[:1], numbers.dim()) == (torch.int64, (size,), 2), (
        f"the sequences of the batch have shape {tuple(numbers.shape)} and dtype {numbers.dtype} for {size} samples; "
        "expected (size, most) of int64"
    )
    there = numbers >= 0
    first = bool((there[:, 1:] <= there[:, :-1]).all()) and bool(there[:, 0].all())
    assert first, "a sample of the batch has no sequence, or has -1 before one of its sequences"
    assert numbers[there].sort().values.tolist() == list(range(int(there.sum()))), (
        f"the sequences of the batch have the numbers {numbers.tolist()}; expected each number from 0 once, and -1"
    )


def _check_side(fields: Mapping[str, Any], size: int, of: str, side: str, limit: int | None, option: str) -> None:
    for key, value in fields.items():
        name = f"{side}{key}"
        assert isinstance(value, Tensor), f"'{name}' of the batch is {type(value).__name__}; expected a tensor"
        assert value.shape[:1] == (size,), f"'{name}' has shape {tuple(value.shape)} for {of}"
        if key == "input_ids" and limit is not None:
            assert value.shape[1] <= limit, f"'{name}' has {value.shape[1]} positions; {option} is {limit}"
        assert not value.is_floating_point() or bool(torch.isfinite(value).all()), f"'{name}' is not finite"


def _check_inference(processor: Processor, records: list[Record], config: ProcessorConfig) -> None:
    bare = [Record({k: v for k, v in r.value.items() if k != "label"}, r.file, r.line) for r in records]
    bare = [record for record in bare if any(record.value.values())][:16]
    samples = processor.encode(bare)
    assert len(samples) == len(bare), (
        f"encode() gives {len(samples)} samples for {len(bare)} records; expected one each"
    )
    divided = processor.divide(bare)
    assert len(divided) == len(bare), (
        f"divide() gives the samples of {len(divided)} records for {len(bare)}; expected those of each"
    )
    again = processor.encode(bare)
    for before, after in zip(samples, again):
        different = _difference(before, after)
        assert not different, f"encode() is random: '{different}' differs the second time"
    _check_tensors(processor.collate(samples), len(bare), config)


def _check_sides(processor: Processor, records: list[Record]) -> None:
    """Check that each item of a search can be encoded alone, for the stream of its side."""
    sides = processor.search_sides()
    if sides is None:
        return
    assert len(set(sides.names)) == 2, f"the names of the sides must differ, and they are {sides.names}"
    for side, name in enumerate(sides.names):
        for record in records[:16]:
            try:
                items = sides.items(record, side)
            except DataError:
                continue  # a record for training need not have both sides
            for item in items:
                assert sides.side_of(item.record) == side or sides.streams[0] == sides.streams[1], (
                    f"side_of() finds another side for an item of '{name}'"
                )
                try:
                    batch = processor.collate(processor.encode([item.record]))
                except DataError as error:
                    raise AssertionError(f"encode() rejects an item of '{name}' alone: {error}") from error
                fed = sides.streams[side] or ONLY
                assert fed in batch.source, f"an item of '{name}' does not feed the stream '{fed}'"
