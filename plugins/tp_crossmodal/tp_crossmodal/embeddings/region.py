"""Given features of regions as a part of a sequence."""

from __future__ import annotations

import torch
from torch import nn

from tp_core.interfaces import Embedding, Inputs, Sequence
from tp_core.modules.layers.linear import Linear, draw
from tp_core.options.context import BuildContext
from tp_crossmodal.embeddings.joining import picture_behind
from tp_crossmodal.embeddings.region_options import RegionConfig


class Region(Embedding):
    """Projected ``visual_embeds``, behind the words of the sequence so far, or alone where there are none.

    Modules before it add to the words only, modules behind it to the whole sequence: see :func:`picture_behind`.
    """

    def __init__(self, config: RegionConfig, context: BuildContext) -> None:
        super().__init__()
        self.config = config
        size, std = config.embedding_size or context.embedding_size, config.init_std
        self.projection = Linear(config.size, size, std=std)
        self.boxes = Linear(5, size, std=std) if config.boxes else None
        self.segment = nn.Parameter(torch.empty(size)) if config.segment else None

    def reset_parameters(self) -> None:
        if self.segment is not None:
            draw(self.segment, self.config.init_std)

    def forward(self, inputs: Inputs, sequence: Sequence | None) -> Sequence:
        """Regions of each picture → states (batch, words + regions, embedding_size); its segment is 1, also alone.

        ``visual_embeds`` are (batch, regions, size), ``visual_attention_mask``, if there, (batch, regions), and
        ``visual_boxes`` (batch, regions, 5): left, top, right, bottom and area, as parts of the picture's.
        """
        states = self.projection(inputs["visual_embeds"].to(self.projection.weight.dtype))
        if self.boxes is not None:
            states = states + self.boxes(inputs["visual_boxes"].to(states.dtype))
        if self.segment is not None:
            states = states + self.segment
        mask = inputs.get("visual_attention_mask")
        mask = None if mask is None else mask.bool()
        if sequence is None:
            segments = torch.ones(states.shape[:2], dtype=torch.long, device=states.device)
            return Sequence(states, mask=mask, published={"token_type_ids": segments})
        return picture_behind(sequence, Sequence(states, mask=mask), self.config.text_length)
