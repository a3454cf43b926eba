"""HuBERT's masked prediction of cluster units."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tp_audio.projection import Projection
from tp_audio.targets.units_options import UnitsConfig
from tp_core.interfaces import IGNORE, Batch, Features, Target, TargetOutput
from tp_core.modules.layers.precision import full_precision
from tp_core.options.context import BuildContext


class Units(Target):
    """Predicts units. The logits are cosine similarities of projected states and unit vectors, over a temperature.

    Labels ``units``: ``labels`` (batch, frames), the unit of each frame or ``IGNORE``, and ``masked`` (batch, frames),
    bool.
    """

    def __init__(self, config: UnitsConfig, context: BuildContext) -> None:
        super().__init__()
        self.temperature = config.temperature
        self.weights = (config.masked_weight, config.unmasked_weight)
        self.projection = Projection(context.hidden_size, config.projection_size)
        self.vectors = nn.Parameter(torch.empty(config.num_units, config.projection_size))

    def reset_parameters(self) -> None:
        if not self.vectors.is_meta:
            nn.init.uniform_(self.vectors)

    def frame_logits(self, states: Tensor) -> Tensor:
        """States (..., hidden) → logits (..., units)."""
        projected = self.projection(states)
        with full_precision(projected):
            similar = F.normalize(projected.float(), dim=-1) @ F.normalize(self.vectors.float(), dim=-1).T
            return similar / self.temperature

    def _counted(self, batch: Batch, masked: bool) -> Tensor:
        """A mask (batch, frames) of the masked or unmasked frames that have a unit; all False if their weight is 0."""
        labels = self.labels_of(batch)
        if not self.weights[0 if masked else 1]:
            return torch.zeros_like(labels["masked"].bool())
        return (labels["labels"] != IGNORE) & (labels["masked"].bool() == masked)

    def denominator(self, batch: Batch) -> Tensor:
        return (self._counted(batch, True) | self._counted(batch, False)).sum().float()

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        labels = self.labels_of(batch)["labels"]
        frames = min(features.sequence.states.shape[1], labels.shape[1])
        logits = self.frame_logits(features.sequence.states[:, :frames])
        labels = labels[:, :frames]
        losses = F.cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORE, reduction="none")
        right = logits.argmax(dim=-1) == labels
        total = losses.new_zeros(())
        metrics = {}
        for name, masked in (("masked", True), ("unmasked", False)):
            counted = self._counted(batch, masked)[:, :frames]
            total = total + self.weights[0 if masked else 1] * losses.masked_fill(~counted, 0).sum()
            if self.weights[0 if masked else 1]:
                metrics[f"{name}_accuracy"] = ((right & counted).sum().float(), counted.sum().float())
        return TargetOutput(total, self.denominator(batch), metrics)

    @torch.no_grad()
    def predict(self, features: Features, batch: Batch) -> list[dict[str, Any]]:
        """The most probable unit of each real frame."""
        units = self.frame_logits(features.sequence.states).argmax(dim=-1)
        return [{"units": row[real].tolist()} for row, real in zip(units, features.sequence.real())]
