"""The hook ``reconstructions``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torchvision.utils import make_grid

from tp_core import hookimpl
from tp_core.data.sampling.mixture import DataSet
from tp_core.data.sampling.order import EVALUATION, generator
from tp_core.evaluation.mode import evaluating
from tp_core.interfaces import Batch
from tp_vision.hooks.reconstructions_options import ReconstructionsConfig
from tp_vision.png import write_png
from tp_vision.processors.masked_image import MaskedImageProcessor
from tp_vision.targets.pixels import Pixels, patchify, unpatchify
from tp_vision.targets.pixels_options import PixelsConfig

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec
    from tp_core.training.trainer import Trainer

#: Small pictures are enlarged to about this width, in pixels.
_WIDTH = 96


class Reconstructions:
    """Writes ``reconstructions/step_N.png`` into the run's folder, and the same picture to TensorBoard.

    Each row shows the original picture, its visible patches, and the visible patches together with the predicted ones.
    """

    def __init__(self, config: ReconstructionsConfig) -> None:
        self.count = config.count

    @hookimpl
    def tp_check(self, spec: Spec) -> Iterable[str]:
        if not any(isinstance(target.config, PixelsConfig) for target in spec.model.targets):
            yield "train.hooks.reconstructions: shows predictions of the target pixels, but the model does not have it"
        if all(part.data.options.eval is None for part in spec.sets().values()):
            yield "train.hooks.reconstructions: needs data.eval"

    @hookimpl
    def tp_evaluation_end(self, trainer: Trainer, step: int, metrics: dict[str, float]) -> None:
        if trainer.strategy.rank or trainer.evaluator is None:
            return
        for data in trainer.evaluator.sets:
            processor = data.processor
            if isinstance(processor, MaskedImageProcessor):
                picture = self.picture(trainer, data, processor)
                name = f"reconstructions_{data.name}" if data.name else "reconstructions"
                folder = trainer.run / name
                folder.mkdir(exist_ok=True)
                write_png(picture, folder / f"step_{step:08}.png")
                trainer.loggers.picture(step, name, picture)

    def picture(self, trainer: Trainer, data: DataSet, processor: MaskedImageProcessor) -> Tensor:
        """Draw all rows into one picture, (3, height, width) uint8."""
        model, seed = trainer.model, trainer.spec.train.options.seed
        shown = min(self.count, len(data.rows))
        spread = [
            number * len(data.rows) // shown for number in range(shown)
        ]  # records of one class are next to each other
        samples = [processor.evaluation_sample(data.rows, i, generator(seed, EVALUATION, 0, i)) for i in spread]
        batch = data.feed.collate(samples).to(trainer.strategy.device)
        name, target = next((name, t) for name, t in model.named_targets().items() if isinstance(t, Pixels))
        with evaluating(model):
            found = target.reconstructions(model.view(model.encode(batch), name), batch)
        return drawn(processor.collate(samples), found, target.patch, processor)


def drawn(batch: Batch, predicted: Tensor, patch: tuple[int, int], processor: MaskedImageProcessor) -> Tensor:
    """Original, visible and completed pictures side by side, (3, height, width) uint8.

    Args:
        predicted: (batch, channels, height, width), normalised like ``pixel_values``.
    """
    mean, std = processor.pictures.mean, processor.pictures.std
    pixels = batch.inputs["pixel_values"]
    before, after = (patchify((each.float().cpu() * std + mean).clamp(0, 1), patch) for each in (pixels, predicted))
    hidden = batch.inputs["bool_masked_pos"].cpu().unsqueeze(-1)
    grid = pixels.shape[-2] // patch[0], pixels.shape[-1] // patch[1]
    columns = [before, before.masked_fill(hidden, 0.5), torch.where(hidden, after, before)]
    rows = torch.stack([unpatchify(each, grid, patch) for each in columns], dim=1).flatten(0, 1)
    zoom = max(1, _WIDTH // rows.shape[-1])
    rows = rows.repeat_interleave(zoom, dim=-2).repeat_interleave(zoom, dim=-1)
    whole: Tensor = make_grid(rows, nrow=len(columns), padding=4, pad_value=1.0)
    return (whole * 255).round().to(torch.uint8)
