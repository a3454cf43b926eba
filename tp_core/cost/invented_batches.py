"""Batches of random values with the fields that a model requires, to measure its cost and to check modules."""

from __future__ import annotations

import math
from collections.abc import Mapping
from collections.abc import Sequence as Items

import torch
from torch import Tensor

from tp_core.interfaces import IGNORE, Batch, Inputs
from tp_core.options.facts import BatchFields, FieldSpec

#: Exclusive upper limit of integers whose range is not declared.
_HIGH = 2


def invented_batch(
    fields: BatchFields, lengths: Items[int], seed: int = 0, device: torch.device | str = "cpu"
) -> Batch:
    """One sample per length, padded on the right to the longest; labels included.

    If a target reads samples of several sequences, each sample has as many as is usual for it, of equal length. Any
    other target then gets labels for each sequence.

    Padded positions have random values like real positions, so that only ``attention_mask`` distinguishes them; the
    mask exists only if there is padding. Labels of padded positions are ``IGNORE``. Every sample has its own random
    generator: equal lengths and seeds give equal samples. Labels for a share of the positions have the shape (batch,
    ceil(share × shortest)) and come with their positions.

    Args:
        fields: the result of :meth:`tp_core.model.Model.fields`.
        lengths: number of real positions of each sample.
        seed: seed of the random values.
        device: device of the tensors; on ``meta`` they have no values.

    Raises:
        AssertionError: a field has a shape or dtype that :class:`tp_core.FieldSpec` does not allow.
    """
    drawn = _drawn(fields, lengths, seed, device)
    return _stacked(drawn, fields, keep_mask=min(lengths) < max(lengths))


def single_batches(fields: BatchFields, lengths: Items[int], seed: int = 0) -> list[Batch]:
    """The samples of :func:`invented_batch` one by one, without their padding."""
    drawn = _drawn(fields, lengths, seed, "cpu")
    return [_stacked([sample], fields, keep_mask=False, cut=True) for sample in drawn]


def _drawn(fields: BatchFields, lengths: Items[int], seed: int, device: torch.device | str) -> list[list[_Sequence]]:
    """The sequences of each sample."""
    width, shortest, each = max(lengths), min(lengths), max([1, *fields.sequences.values()])
    return [
        [_Sequence(length, width, shortest, seed + 1000 * i + j, device) for j in range(each)]
        for i, length in enumerate(lengths)
    ]


class _Sequence:
    """Draws the tensors of one sequence, padded to the width of the batch and without the batch dimension.

    Args:
        length: number of real positions of the sequence.
        width: number of positions of the batch.
        shortest: number of real positions of the shortest sample in the batch.
        seed: seed of the random values.
        device: device of the tensors.
    """

    def __init__(self, length: int, width: int, shortest: int, seed: int, device: torch.device | str) -> None:
        self.length, self.width, self.shortest = length, width, shortest
        self.device = torch.device(device)
        self._generator = None if self.device.type == "meta" else torch.Generator().manual_seed(seed)

    def inputs(self, fields: Mapping[str, FieldSpec]) -> Inputs:
        """The tensors of one side, with ``attention_mask`` if a field has a length."""
        made = {name: self._drawn(name, spec) for name, spec in fields.items()}
        if any("length" in spec.shape for spec in fields.values()):
            made["attention_mask"] = (torch.arange(self.width, device=self.device) < self.length).long()
        return made

    def labels(self, fields: Mapping[str, FieldSpec]) -> Inputs:
        """The labels of one target."""
        made: Inputs = {}
        for name, spec in fields.items():
            if spec.fraction < 1 and "length" in spec.shape:
                count = math.ceil(spec.fraction * self.shortest)
                places = torch.randperm(self.shortest, generator=self._generator, device=self.device)
                made["positions"] = places[:count].sort().values
                made[name] = self._integers(spec, [count])
                continue
            made[name] = self._drawn(name, spec)
            if spec.shape[1:2] == ("length",) and spec.dtype == "int64" and self.device.type != "meta":
                made[name][self.length :] = IGNORE
        return made

    def cut(self, value: Tensor, spec: FieldSpec) -> Tensor:
        """A tensor without its padded positions."""
        for dimension, size in enumerate(spec.shape[1:]):
            if size == "length" and spec.fraction == 1:
                value = value.narrow(dimension, 0, self.length)
        return value

    def _drawn(self, name: str, spec: FieldSpec) -> Tensor:
        assert spec.shape[:1] == ("batch",), (
            f"the field '{name}' has shape {spec.shape}; the first size must be 'batch'"
        )
        sizes = [self.width if size == "length" else size for size in spec.shape[1:]]
        known = [size for size in sizes if isinstance(size, int)]
        assert len(known) == len(sizes), (
            f"the field '{name}' has shape {spec.shape}; sizes are integers, 'batch' or 'length'"
        )
        if spec.dtype == "int64":
            return self._integers(spec, known)
        if spec.dtype == "bool":
            return torch.rand(known, generator=self._generator, device=self.device) < 0.5
        assert spec.dtype == "float32", f"the field '{name}' has dtype '{spec.dtype}'; expected int64, float32 or bool"
        return torch.randn(known, generator=self._generator, device=self.device)

    def _integers(self, spec: FieldSpec, sizes: list[int]) -> Tensor:
        high = _HIGH if spec.high is None else spec.high
        return torch.randint(0, high, sizes, generator=self._generator, device=self.device)


def _stacked(samples: list[list[_Sequence]], fields: BatchFields, keep_mask: bool, cut: bool = False) -> Batch:
    every = [sequence for own in samples for sequence in own]

    def stacked(made: list[Inputs], drawn: list[_Sequence], specs: Mapping[str, FieldSpec]) -> Inputs:
        kept = [name for name in made[0] if name != "attention_mask" or keep_mask or name in specs]
        if cut:
            made = [
                {name: one.cut(v, specs[name]) if name in specs else v for name, v in each.items()}
                for one, each in zip(drawn, made)
            ]
        return {name: torch.stack([each[name] for each in made]) for name in kept}

    source, target, labels = {}, None, {}
    for stream, specs in fields.source.items():
        source[stream] = stacked([each.inputs(specs) for each in every], every, specs)
    if fields.target:
        target = stacked([each.inputs(fields.target) for each in every], every, fields.target)
    for name, specs in fields.labels.items():
        if specs:
            drawn = [own[0] for own in samples] if fields.sequences.get(name, 1) > 1 else every
            labels[name] = stacked([each.labels(specs) for each in drawn], drawn, specs)
    batch = Batch(source, len(samples), target, labels)
    if len(every) > len(samples):
        batch.sequences = torch.arange(len(every), device=every[0].device).reshape(len(samples), -1)
    return batch
