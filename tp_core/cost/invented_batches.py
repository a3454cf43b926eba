"""Batches of invented values with the fields that a model asks for: for its price, and for checks of modules."""

from __future__ import annotations

import math
from collections.abc import Mapping
from collections.abc import Sequence as Items

import torch
from torch import Tensor

from tp_core.interfaces import IGNORE, Batch, Inputs
from tp_core.options.facts import BatchFields, FieldSpec

#: Values of integers whose range is not declared.
_HIGH = 2


def invented_batch(
    fields: BatchFields, lengths: Items[int], seed: int = 0, device: torch.device | str = "cpu"
) -> Batch:
    """One sample per length, padded on the right to the longest; labels included.

    Padding holds random values as real positions do, so that nothing but ``attention_mask`` (which is there
    only if something is padded) tells them apart; labels of padded positions are ``IGNORE``. Every sample is
    drawn by a generator of its own: the same lengths and seed give the same samples. Labels at a share of the positions
    come as (batch, ceil(share × shortest)), with their positions.

    Args:
        fields: of :meth:`tp_core.model.Model.fields`.
        device: on ``meta``, tensors have shapes and no values.

    Raises:
        AssertionError: a field with a shape or type that is not one of :class:`tp_core.FieldSpec`'s.
    """
    width, shortest = max(lengths), min(lengths)
    drawn = [_Sample(length, width, shortest, seed + 1000 * i, device) for i, length in enumerate(lengths)]
    return _stacked(drawn, fields, keep_mask=shortest < width)


def single_batches(fields: BatchFields, lengths: Items[int], seed: int = 0) -> list[Batch]:
    """The samples of :func:`invented_batch` one by one, without their padding."""
    width, shortest = max(lengths), min(lengths)
    drawn = [_Sample(length, width, shortest, seed + 1000 * i, "cpu") for i, length in enumerate(lengths)]
    return [_stacked([sample], fields, keep_mask=False, cut=True) for sample in drawn]


class _Sample:
    """Draws the tensors of one sample, without the batch dimension and as wide as the batch.

    Args:
        length: real positions of the sample.
        width: of the batch.
        shortest: real positions of the batch's shortest sample.
    """

    def __init__(self, length: int, width: int, shortest: int, seed: int, device: torch.device | str) -> None:
        self.length, self.width, self.shortest = length, width, shortest
        self.device = torch.device(device)
        self._generator = None if self.device.type == "meta" else torch.Generator().manual_seed(seed)

    def inputs(self, fields: Mapping[str, FieldSpec]) -> Inputs:
        """Those of one side, with its mask where it has a length."""
        made = {name: self._drawn(name, spec) for name, spec in fields.items()}
        if any("length" in spec.shape for spec in fields.values()):
            made["attention_mask"] = (torch.arange(self.width, device=self.device) < self.length).long()
        return made

    def labels(self, fields: Mapping[str, FieldSpec]) -> Inputs:
        """Those of one target."""
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
        """A value without the positions that are padded."""
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


def _stacked(samples: list[_Sample], fields: BatchFields, keep_mask: bool, cut: bool = False) -> Batch:
    def stacked(made: list[Inputs], specs: Mapping[str, FieldSpec]) -> Inputs:
        kept = [name for name in made[0] if name != "attention_mask" or keep_mask or name in specs]
        if cut:
            (sample,) = samples
            made = [{name: sample.cut(v, specs[name]) if name in specs else v for name, v in made[0].items()}]
        return {name: torch.stack([each[name] for each in made]) for name in kept}

    source, target, labels = {}, None, {}
    for stream, specs in fields.source.items():
        source[stream] = stacked([sample.inputs(specs) for sample in samples], specs)
    if fields.target:
        target = stacked([sample.inputs(fields.target) for sample in samples], fields.target)
    for name, specs in fields.labels.items():
        if specs:
            labels[name] = stacked([sample.labels(specs) for sample in samples], specs)
    return Batch(source, len(samples), target, labels)
