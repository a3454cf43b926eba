"""The hook ``similarities``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from tp_core import hookimpl
from tp_core.data.sampling.mixture import DataSet
from tp_core.data.sampling.order import EVALUATION, generator
from tp_core.diagram.fonts import is_font
from tp_core.evaluation.mode import evaluating
from tp_core.interfaces import IGNORE, Batch, Inputs, Processor, Sample
from tp_core.modules.targets.contrastive import Contrastive
from tp_core.modules.targets.contrastive_options import ContrastiveConfig
from tp_crossmodal.hooks.heat_map import Label, heat_map
from tp_crossmodal.hooks.similarities_options import SimilaritiesConfig
from tp_crossmodal.processors.visual import Pixels

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec
    from tp_core.training.trainer import Trainer

#: Maximum number of consecutive records that are tried until one is a true pair.
_TRIES = 16


class Similarities:
    """Writes ``similarities/step_N.png`` into the run's folder, and the same picture to TensorBoard.

    Rows are samples of the first stream, and columns are samples of the second stream. Cells show their cosine or dot
    product, as the target ``clr`` computes it. True pairs are on the diagonal.
    """

    def __init__(self, config: SimilaritiesConfig) -> None:
        self.config = config

    @hookimpl
    def tp_check(self, spec: Spec) -> Iterable[str]:
        if not any(isinstance(target.config, ContrastiveConfig) for target in spec.model.targets):
            yield "train.hooks.similarities: shows similarities of the target clr, but the model has no such target"
        elif all(part.data.options.eval is None for part in spec.sets().values() if _compares(part)):
            yield "train.hooks.similarities: needs data.eval"
        if self.config.font is not None and not is_font(self.config.font):
            yield f"train.hooks.similarities.font: {self.config.font} is not a font file"

    @hookimpl
    def tp_evaluation_end(self, trainer: Trainer, step: int, metrics: dict[str, float]) -> None:
        if trainer.strategy.rank or trainer.evaluator is None:
            return
        sets = trainer.spec.sets()
        for data in trainer.evaluator.sets:
            if not _compares(sets[data.name]):
                continue
            picture = self.picture(trainer, data, step)
            if picture is None:
                continue
            name = f"similarities_{data.name}" if data.name else "similarities"
            folder = trainer.run / name
            folder.mkdir(exist_ok=True)
            picture.save(folder / f"step_{step:08}.png")
            trainer.loggers.picture(step, name, torch.from_numpy(np.array(picture)).permute(2, 0, 1))

    def picture(self, trainer: Trainer, data: DataSet, step: int) -> Image.Image | None:
        """Draw the labelled matrix of a data set; None if it has fewer than two pairs."""
        samples = list(_pairs(data, self.config.count, trainer.spec.train.options.seed))
        if len(samples) < 2:
            return None
        model = trainer.model
        batch = data.feed.collate(samples).to(trainer.strategy.device)
        name, target = next((name, t) for name, t in model.named_targets().items() if isinstance(t, Contrastive))
        with evaluating(model):
            one, other = target.vectors(model.view(model.encode(batch), name))
        rows, columns = (list(_labels(batch.source[side], batch, data.processor)) for side in target.sides)
        values = (one @ other.t()).cpu().numpy()
        kind = "cosine" if target.config.normalize else "dot product"
        return heat_map(values, rows, columns, target.sides, f"{kind} at step {step}", self.config.font)


def _compares(spec: Spec) -> bool:
    """True if a data set feeds a contrastive target; ``spec`` is the spec of this data set."""
    return any(isinstance(target.config, ContrastiveConfig) for target in spec.model.targets)


def _pairs(data: DataSet, count: int, seed: int) -> Iterator[Sample]:
    """Yield evaluation samples spread over the data. The next true pair replaces a sample that is none."""
    rows, processor = data.rows, data.processor
    taken: set[int] = set()
    for number in range(min(count, len(rows))):
        start = number * len(rows) // min(count, len(rows))
        for index in range(start, min(start + _TRIES, len(rows))):
            if index in taken:
                continue
            sample = processor.evaluation_sample(rows, index, generator(seed, EVALUATION, 0, index))
            if int(processor.collate([sample]).labels["clr"]["labels"][0]) != IGNORE:
                taken.add(index)
                yield sample
                break


def _labels(inputs: Inputs, batch: Batch, processor: Processor) -> Iterator[Label]:
    """Labels of the samples of a stream: their pictures, their texts, or else their numbers."""
    tokenizer = getattr(processor, "tokenizer", None)
    if "pixel_values" in inputs:
        visual = getattr(processor, "visual", None)
        yield from map(_picture, _colours(inputs["pixel_values"].float().cpu(), visual))
    elif "input_ids" in inputs and tokenizer is not None:
        silent = {i for role, i in tokenizer.special.items() if role not in ("unk", "mask")}
        for ids in inputs["input_ids"].tolist():
            yield tokenizer.decode([i for i in ids if i not in silent])
    else:
        yield from (str(number + 1) for number in range(batch.size))


def _colours(pixels: torch.Tensor, visual: object) -> torch.Tensor:
    """Undo the normalisation of pixels: (batch, channels, height, width) between 0 and 1."""
    if isinstance(visual, Pixels):
        pictures = visual.inner.pictures
        return (pixels * pictures.std + pictures.mean).clamp(0, 1)
    low, high = pixels.amin(dim=(1, 2, 3), keepdim=True), pixels.amax(dim=(1, 2, 3), keepdim=True)
    return (pixels - low) / (high - low).clamp(min=1e-6)


def _picture(colours: torch.Tensor) -> Image.Image:
    whole = colours.expand(3, -1, -1) if colours.shape[0] == 1 else colours[:3]
    return Image.fromarray((whole * 255).round().to(torch.uint8).permute(1, 2, 0).numpy())
