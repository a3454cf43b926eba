"""The tensors of a batch of samples, by the parts of the model that they are for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from tp_core.errors import TPError

#: Named tensors of one side of the model, with the ecosystem's names: ``input_ids`` (batch, length),
#: ``attention_mask`` (batch, length), ``token_type_ids``, ``pixel_values``, ``input_features``, ...
#: Where anything is padded, a side has ``attention_mask`` or, if all its padding stands behind the real positions and
#: a causal model shall attend without a mask, ``lengths`` (batch,) in its place: numbers of real positions.
Inputs = dict[str, Tensor]

#: Label value that no loss counts.
IGNORE = -100

#: Name of the stream of a batch, and of a model, that has one without a name.
ONLY = ""


@dataclass
class Batch:
    """One batch of samples.

    Attributes:
        source: the encoder side's inputs, by stream; :data:`ONLY` names that of a processor which feeds one.
        size: number of samples.
        target: the decoder side's inputs, or None.
        labels: named tensors, by the target's own name. As a processor makes them they are by the kind of label
            (``Port.labels("cls")``), or by the target that its config says they are for (``Port.labels("cls",
            "topic")``); each target that asks for them then gets them under its own name.
        targets: names of the target modules that the batch is for; None for all. Data sets that are trained in turn
            feed different ones.
    """

    source: dict[str, Inputs]
    size: int
    target: Inputs | None = None
    labels: dict[str, Inputs] = field(default_factory=dict)
    targets: tuple[str, ...] | None = None

    @classmethod
    def of(
        cls, inputs: Inputs, size: int, target: Inputs | None = None, labels: Mapping[str, Inputs] | None = None
    ) -> Batch:
        """A batch of one stream."""
        return cls({ONLY: inputs}, size, target, dict(labels or {}))

    @property
    def inputs(self) -> Inputs:
        """The inputs of the only stream.

        Raises:
            TPError: the batch has several.
        """
        if len(self.source) != 1:
            there = ", ".join(self.source) or "none"
            named = any(isinstance(each, Tensor) for each in self.source.values())
            hint = "; Batch.of(inputs, size) makes a batch of one stream" if named else ""
            raise TPError(f"the batch has the streams {there}; one was expected{hint}")
        return next(iter(self.source.values()))

    def to(self, device: torch.device) -> Batch:
        """The batch on ``device``; copies from pinned memory do not block."""
        return self if device.type == "cpu" else self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """The batch with every tensor changed."""

        def changed(tensors: Inputs) -> Inputs:
            return {name: change(tensor) for name, tensor in tensors.items()}

        source = {name: changed(inputs) for name, inputs in self.source.items()}
        labels = {name: changed(inputs) for name, inputs in self.labels.items()}
        target = None if self.target is None else changed(self.target)
        return replace(self, source=source, target=target, labels=labels)

    def tokens(self) -> int:
        """Number of positions in the batch, padding included: what the model computes on."""
        total = 0
        for side in [*self.source.values(), *([self.target] if self.target else [])]:
            lead = side.get("input_ids")
            if lead is None:
                lead = next(iter(side.values()))
            total += lead.shape[0] * (lead.shape[1] if lead.dim() in (2, 3) else 1)
        return total
