"""``draw``: pictures that a trained model makes from texts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from torch import Tensor

from tp_core.artifacts.load import LoadedModel, loaded_model
from tp_core.errors import TPError
from tp_core.evaluation.mode import evaluating
from tp_core.generation.writer import TextWriter
from tp_core.inference.batches import Unusable, answers
from tp_core.inference.predict import as_records
from tp_core.interfaces import Batch, Record
from tp_core.processes.shared import ALONE, Processes
from tp_core.spec.context import context_of
from tp_core.spec.sections.generate import SEARCH, GenerateOptions
from tp_core.spec.trained.generate_call import for_call
from tp_core.suggest import did_you_mean
from tp_crossmodal.processors.image_text_lm import ImageTextLmProcessor
from tp_vision import VisualTokenizer


def draw(
    model: LoadedModel | str | os.PathLike[str],
    inputs: Iterable[Any],
    batch_size: int = 32,
    device: str = "auto",
    processes: Processes = ALONE,
    **options: Any,
) -> Iterator[Tensor]:
    """Draw a picture of each text: generate its image tokens one by one and decode them.

    Args:
        model: a loaded model with the processor ``image_text_lm``, or its folder.
        inputs: texts, dictionaries of fields, or records.
        processes: the processes that share the inputs (:func:`tp_core.processes.shared.shared`); the first gets all
            pictures, the others none.
        options: options of :data:`~tp_core.spec.sections.generate.SEARCH`. Defaults are those of the spec's
            ``inference.generate``. Its other options are ignored, because a picture has one token per patch.

    Yields:
        One picture per input, in order: (channels, height, width), uint8.

    Raises:
        TPError: the model or its image tokenizer cannot draw, or the options contradict each other.
        DataError: a record has no text.
    """
    loaded = loaded_model(model, device, processes)
    processor = loaded.processor
    if not isinstance(processor, ImageTextLmProcessor):
        chosen = loaded.spec.data.processor
        name = "none" if chosen is None else chosen.name
        raise TPError(
            f"pictures are drawn by models with the processor image_text_lm; this model's processor is {name}"
        )
    processor.drawing()
    tokenizer = type(processor.image_tokenizer())
    if tokenizer.decode is VisualTokenizer.decode:
        maker = processor.config.image_tokenizer
        name = "" if maker is None else maker.name
        raise TPError(
            f"the image tokenizer {name} cannot turn tokens into pictures; train with one that can, such as vq"
        )
    patches, longest = processor.grid.patches, context_of(loaded.spec, side="target").length_limit
    if longest is not None and longest < (processor.config.sequence_length() or 0):
        raise TPError(f"the model has {longest} positions, too few for a text and the {patches} tokens of a picture")
    for name in options:
        if name not in SEARCH:
            raise TPError(f"unknown option '{name}'; {did_you_mean(name, SEARCH) or 'known: ' + ', '.join(SEARCH)}")
    usual = loaded.spec.inference.generate.only(SEARCH)
    wanted = for_call(usual, {"max_new_tokens": patches, **options})
    return _pictures(loaded, processor, inputs, wanted, batch_size, processes)


def _pictures(
    loaded: LoadedModel,
    processor: ImageTextLmProcessor,
    inputs: Iterable[Any],
    options: GenerateOptions,
    batch_size: int,
    processes: Processes,
) -> Iterator[Tensor]:
    writer = TextWriter(loaded.model, loaded.spec, processor, options, processor.drawing())

    def compute(batch: Batch, numbers: list[int], records: list[Record]) -> Sequence[Tensor]:
        with evaluating(loaded.model):
            written = writer(batch, numbers, records)
        # A clone is sent to another process without the rest of the batch.
        return [picture.clone() for picture in processor.drawn([each.ids for each in written])]

    encode = processor.drawing_prompts
    made = answers(as_records(inputs), loaded.feed, batch_size, loaded.device, compute, encode, processes=processes)
    for _, found in made:
        yield from (picture for picture in found if not isinstance(picture, Unusable))
