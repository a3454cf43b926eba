"""The tensors of a batch of samples, grouped by the part of the model that reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from tp_core.errors import TPError

#: Named tensors of one side of the model, with the names of Hugging Face transformers: ``input_ids`` (batch, length),
#: ``attention_mask`` (batch, length), ``token_type_ids``, ``pixel_values``, ``input_features``, ...
#: A side with padding has ``attention_mask``. If all padding is on the right, it may have ``lengths`` (batch,) instead,
#: the numbers of real positions; a causal model then attends without a mask.
Inputs = dict[str, Tensor]

#: Label value that losses ignore.
IGNORE = -100

#: Name of the only stream of a batch or a model that has a single unnamed stream.
ONLY = ""


@dataclass
class Batch:
    """One batch of samples.

    Attributes:
        source: the encoder side's inputs, by stream. A processor that feeds a single stream uses the name
            :data:`ONLY`.
        size: number of samples. The tensors of both sides have one sequence per sample, unless ``sequences`` says
            otherwise; those of labels always have one row per sample.
        target: the decoder side's inputs, or None.
        labels: named tensors, by the name of the target. A processor names them by the kind of label
            (``Port.labels("cls")``) or by kind and target (``Port.labels("cls", "topic")``), as its config declares.
            Each target that requires them then gets them under its own name.
        targets: names of the target modules that the batch is for; None for all. Data sets that are trained in turn
            may train different targets.
        sequences: (size, most) int64, for samples of several sequences, such as the choices of a question: the numbers
            of each sample's sequences along the first dimension of the inputs, then -1 for a sample with fewer than
            the others. None if each sample is one sequence. ``ProcessorConfig.several_sequences`` declares it.
    """

    source: dict[str, Inputs]
    size: int
    target: Inputs | None = None
    labels: dict[str, Inputs] = field(default_factory=dict)
    targets: tuple[str, ...] | None = None
    sequences: Tensor | None = None

    @classmethod
    def of(
        cls,
        inputs: Inputs,
        size: int,
        target: Inputs | None = None,
        labels: Mapping[str, Inputs] | None = None,
        sequences: Tensor | None = None,
    ) -> Batch:
        """A batch with one unnamed stream."""
        return cls({ONLY: inputs}, size, target, dict(labels or {}), sequences=sequences)

    @property
    def inputs(self) -> Inputs:
        """The inputs of the only stream.

        Raises:
            TPError: the batch does not have exactly one stream.
        """
        if len(self.source) != 1:
            there = ", ".join(self.source) or "none"
            named = any(isinstance(each, Tensor) for each in self.source.values())
            hint = "; Batch.of(inputs, size) makes a batch of one stream" if named else ""
            raise TPError(f"the batch has the streams {there}; one was expected{hint}")
        return next(iter(self.source.values()))

    def by_sample(self, values: Tensor, fill: float = 0.0) -> Tensor:
        """Values of sequences, (sequences, ...), as those of samples, (size, most, ...).

        It runs without a device synchronisation.

        Args:
            fill: the value in the place of the sequences that a sample does not have.
        """
        if self.sequences is None:
            return values.unsqueeze(1)
        found = values[self.sequences.clamp(min=0)]
        absent = self.sequences < 0
        return found.masked_fill(absent.reshape(*absent.shape, *(1 for _ in values.shape[1:])), fill)

    def to(self, device: torch.device) -> Batch:
        """The batch on ``device``; copies from pinned memory do not block."""
        return self if device.type == "cpu" else self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """The batch with ``change`` applied to every tensor."""

        def changed(tensors: Inputs) -> Inputs:
            return {name: change(tensor) for name, tensor in tensors.items()}

        source = {name: changed(inputs) for name, inputs in self.source.items()}
        labels = {name: changed(inputs) for name, inputs in self.labels.items()}
        target = None if self.target is None else changed(self.target)
        sequences = None if self.sequences is None else change(self.sequences)
        return replace(self, source=source, target=target, labels=labels, sequences=sequences)

    def tokens(self) -> int:
        """Number of positions in the batch, padding included, which is the number that the model processes."""
        total = 0
        for side in [*self.source.values(), *([self.target] if self.target else [])]:
            lead = side.get("input_ids")
            if lead is None:
                lead = next(iter(side.values()))
            total += lead.shape[0] * (lead.shape[1] if lead.dim() in (2, 3) else 1)
        return total
