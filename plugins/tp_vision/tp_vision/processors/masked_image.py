"""Pictures with masked patches."""

from __future__ import annotations

import numpy as np
import torch

from tp_core.interfaces import Batch, Inputs, Rows, Sample
from tp_core.options.context import DataContext
from tp_vision.facts import GridFacts
from tp_vision.processors.image import PictureProcessor
from tp_vision.processors.masked_image_options import MaskedImageConfig
from tp_vision.processors.masks import blockwise_mask, random_mask


class MaskedImageProcessor(PictureProcessor):
    """Pictures as from the processor ``image``, with the positions of their masked patches.

    Evaluation masks patches too, without other random changes. Inference does not mask.
    """

    config: MaskedImageConfig

    def __init__(self, config: MaskedImageConfig, data: DataContext) -> None:
        super().__init__(config, data)
        self.grid, self.count = config.grid(data.fact(GridFacts)), config.count(data.fact(GridFacts))

    def _masked(self, sample: Sample, generator: np.random.Generator) -> Sample:
        config = self.config
        if config.masking == "random":
            positions = random_mask(self.grid, self.count, config.mask_unit, generator)
        else:
            positions = blockwise_mask(self.grid, self.count, config.min_block, config.aspect, generator)
        return {**sample, "masked": positions}

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        return self._masked(super().sample(rows, index, generator), generator)

    def evaluation_sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        return self._masked(super().evaluation_sample(rows, index, generator), generator)

    def collate(self, samples: list[Sample]) -> Batch:
        source: Inputs = {"pixel_values": self.pixels(samples)}
        if not samples or "masked" not in samples[0]:
            return Batch.of(source, len(samples))
        positions = torch.from_numpy(np.stack([sample["masked"] for sample in samples]))
        masked = torch.zeros(len(samples), self.grid[0] * self.grid[1], dtype=torch.bool)
        masked.scatter_(1, positions, True)
        # All pictures have the same number of visible patches. A stable sort keeps their order.
        visible = masked.to(torch.uint8).argsort(dim=1, stable=True)[:, : masked.shape[1] - positions.shape[1]]
        source |= {"bool_masked_pos": masked, "visible_ids": visible}
        return Batch.of(source, len(samples), labels={"masked": {"positions": positions}})
