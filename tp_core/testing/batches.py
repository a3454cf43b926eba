"""Random batches for a model, from the fields that its modules declare."""

from __future__ import annotations

import math
from collections.abc import Sequence as Items
from typing import Any

import torch
from torch import Tensor

from tp_core.interfaces import IGNORE, Batch
from tp_core.model import Model
from tp_core.options.facts import FieldSpec


def random_batch(model: Model, lengths: Items[int], seed: int = 0) -> Batch:
    """One sample per length, padded on the right to the longest; labels included.

    Padding holds random values as real positions do, so that nothing but ``attention_mask`` (which is there
    only if something is padded) tells them apart; labels of padded positions are ``IGNORE``. Every sample is
    drawn by a generator of its own: the same lengths and seed give the same samples.

    Raises:
        AssertionError: a field with a shape or type that is not one of :class:`tp_core.FieldSpec`'s.
    """
    width = max(lengths)
    fields = model.fields()
    drawn = [_sample(fields, length, width, min(lengths), seed + 1000 * i) for i, length in enumerate(lengths)]
    return _stacked(drawn, fields, keep_mask=min(lengths) < width)


def single_batches(model: Model, lengths: Items[int], seed: int = 0) -> list[Batch]:
    """The samples of :func:`random_batch` one by one, without their padding."""
    fields, width = model.fields(), max(lengths)
    batches = []
    for i, length in enumerate(lengths):
        sample = _sample(fields, length, width, min(lengths), seed + 1000 * i)
        cut = {name: _cut(value, fields[name], length) if name in fields else value for name, value in sample.items()}
        batches.append(_stacked([cut], fields, keep_mask=False))
    return batches


def padded_sides(model: Model) -> set[str]:
    """The sides (``source:<stream>``, ``target:``) that have a length and so can be padded."""
    return {_side(name) for name, spec in model.fields().items() if "length" in spec.shape and _is_input(name)}


def _is_input(name: str) -> bool:
    return not name.startswith("labels:")


def _side(name: str) -> str:
    return name.rpartition(":")[0]


def _sample(fields: dict[str, FieldSpec], length: int, width: int, shortest: int, seed: int) -> dict[str, Tensor]:
    """One sample's tensors without the batch dimension, as wide as the batch, by ``Model.fields``' names."""
    generator = torch.Generator().manual_seed(seed)
    sample: dict[str, Tensor] = {}
    for name, spec in fields.items():
        assert spec.shape[:1] == ("batch",), (
            f"the field '{name}' has shape {spec.shape}; the first size must be 'batch'"
        )
        if not _is_input(name) and "length" in spec.shape and spec.fraction < 1:
            count = max(1, math.floor(spec.fraction * shortest))
            places = torch.randperm(shortest, generator=generator)[:count].sort().values
            sample[name] = torch.randint(0, spec.high, (count,), generator=generator)
            sample[f"{_side(name)}:positions"] = places
            continue
        shape = [width if size == "length" else size for size in spec.shape[1:]]
        value = _drawn(name, spec, shape, generator)
        if not _is_input(name) and spec.shape[1:2] == ("length",) and spec.dtype == "int64":
            value[length:] = IGNORE
        sample[name] = value
    for side in {_side(n) for n, s in fields.items() if "length" in s.shape and _is_input(n)}:
        sample[f"{side}:attention_mask"] = (torch.arange(width) < length).long()
    return sample


def _drawn(name: str, spec: FieldSpec, shape: list[Any], generator: torch.Generator) -> Tensor:
    assert all(isinstance(size, int) for size in shape), (
        f"the field '{name}' has shape {spec.shape}; sizes are integers, 'batch' or 'length'"
    )
    if spec.dtype == "int64":
        return torch.randint(0, spec.high, shape, generator=generator)
    if spec.dtype == "bool":
        return torch.rand(shape, generator=generator) < 0.5
    assert spec.dtype == "float32", f"the field '{name}' has dtype '{spec.dtype}'; expected int64, float32 or bool"
    return torch.randn(shape, generator=generator)


def _cut(value: Tensor, spec: FieldSpec, length: int) -> Tensor:
    if spec.fraction < 1:
        return value
    for dimension, size in enumerate(spec.shape[1:]):
        if size == "length":
            value = value.narrow(dimension, 0, length)
    return value


def _stacked(samples: list[dict[str, Tensor]], fields: dict[str, FieldSpec], keep_mask: bool) -> Batch:
    source: dict[str, Any] = {}
    target: dict[str, Tensor] = {}
    labels: dict[str, dict[str, Tensor]] = {}
    for name in samples[0]:
        side, group, key = name.split(":", 2)
        if key == "attention_mask" and not keep_mask and name not in fields:
            continue
        value = torch.stack([sample[name] for sample in samples])
        if side == "labels":
            labels.setdefault(group, {})[key] = value
        elif side == "target":
            target[key] = value
        elif group:
            source.setdefault(group, {})[key] = value
        else:
            source[key] = value
    return Batch(source, len(samples), target or None, labels)
