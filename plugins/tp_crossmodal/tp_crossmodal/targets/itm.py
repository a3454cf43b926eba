"""Image-text matching of two streams."""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tp_core.interfaces import Batch, Features, Sequence
from tp_core.modules.layers.linear import Linear
from tp_core.modules.targets.classification import Classification
from tp_core.options.context import BuildContext
from tp_crossmodal.targets.itm_options import ImageTextMatchingConfig


class StreamMatching(Classification):
    """First state of each stream → dense layer with ReLU → product of both → two classes (ViLBERT)."""

    def __init__(self, config: ImageTextMatchingConfig, context: BuildContext) -> None:
        widths = {name: facts.hidden_size for name, facts in context.streams.items()}
        size = config.size or max(widths.values())
        alone = context._replace(hidden_size=size, streams={})
        super().__init__(config.classification(hidden_layer=False), alone)
        self.sides = nn.ModuleDict({name: Linear(width, size, std=config.init_std) for name, width in widths.items()})

    def read_positions(self, sequence: Sequence, batch: Batch, stream: str) -> Tensor | None:
        return sequence.pooled_position("first")

    def pooled(self, features: Features) -> Tensor:
        sides = [F.relu(dense(features.streams[name].pooled("first"))) for name, dense in self.sides.items()]
        return reduce(torch.mul, sides)
