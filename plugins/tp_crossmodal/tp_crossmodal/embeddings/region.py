"""Embedding of the features of regions."""

from __future__ import annotations

import torch
from torch import nn

from tp_core.interfaces import Embedding, Inputs, Sequence
from tp_core.modules.layers.linear import Linear, draw
from tp_core.options.context import BuildContext
from tp_crossmodal.embeddings.joining import picture_behind
from tp_crossmodal.embeddings.region_options import RegionConfig


class Region(Embedding):
    """Projects ``visual_embeds`` and puts them after the words of the sequence, if there are any.

    Modules before it add to the words only. Modules after it add to the whole sequence; see :func:`picture_behind`.
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
        """Regions of each picture → states (batch, words + regions, embedding_size); the segment of regions is 1.

        ``visual_embeds`` is (batch, regions, size). The optional ``visual_attention_mask`` is (batch, regions).
        ``visual_boxes`` is (batch, regions, 5): left, top, right, bottom and area, relative to the size of the picture.
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
