"""``draw``: pictures that a trained model makes of texts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor

from tp_core.errors import TPError
from tp_core.inference.batches import inference_batches
from tp_core.inference.generate import continuations
from tp_core.inference.load import LoadedModel, load_model
from tp_core.inference.predict import as_records
from tp_core.interfaces import VisualTokenizer
from tp_core.spec.context import context_of
from tp_core.spec.schema_generate import SEARCH, GenerateOptions
from tp_core.suggest import did_you_mean
from tp_crossmodal.processors.image_text_lm import ImageTextLmProcessor


def draw(
    model: LoadedModel | str | os.PathLike[str],
    inputs: Iterable[Any],
    batch_size: int = 32,
    device: str = "auto",
    **options: Any,
) -> Iterator[Tensor]:
    """Draw a picture of each text: its image tokens are written one by one, and decoded.

    Args:
        model: a loaded model with the processor ``image_text_lm``, or its folder.
        inputs: texts, dictionaries of fields, or records.
        options: those of :data:`~tp_core.spec.schema_generate.SEARCH`; the others are as the spec's
            ``inference.generate`` says, of which nothing else counts: a picture has as many tokens as patches.

    Yields:
        One picture per input, in order: (channels, height, width), uint8.

    Raises:
        TPError: the model or its tokenizer of pictures cannot draw, or the options contradict each other.
        DataError: a record has no text.
    """
    loaded = model if isinstance(model, LoadedModel) else load_model(model, device)
    processor = loaded.processor
    if not isinstance(processor, ImageTextLmProcessor):
        chosen = loaded.spec.data.processor
        name = "none" if chosen is None else chosen.name
        raise TPError(f"pictures are drawn by models with the processor image_text_lm; this one's is {name}")
    processor.drawing()
    tokenizer = type(processor.image_tokenizer())
    if tokenizer.decode is VisualTokenizer.decode:
        name = next(iter(processor.config.image_tokenizer or {}))
        raise TPError(f"the image tokenizer {name} cannot turn tokens into pictures; train with one that can: vq")
    patches, longest = processor.grid.patches, context_of(loaded.spec, side="target").length_limit
    if longest is not None and longest < (processor.config.sequence_length() or 0):
        raise TPError(f"the model has {longest} positions, too few for a text and the {patches} tokens of a picture")
    for name in options:
        if name not in SEARCH:
            raise TPError(f"unknown option '{name}'; {did_you_mean(name, SEARCH) or 'known: ' + ', '.join(SEARCH)}")
    usual = loaded.spec.inference.generate.only(SEARCH)
    return _pictures(loaded, processor, inputs, usual.for_call({"max_new_tokens": patches, **options}), batch_size)


def _pictures(
    loaded: LoadedModel,
    processor: ImageTextLmProcessor,
    inputs: Iterable[Any],
    options: GenerateOptions,
    batch_size: int,
) -> Iterator[Tensor]:
    done, tokens, encode = 0, processor.drawing(), processor.drawing_prompts
    for chunk, groups, made in inference_batches(as_records(inputs), processor, batch_size, loaded.device, encode):
        found: dict[int, Tensor] = {}
        for group, batch in zip(groups, made):
            records = [chunk[index] for index in group]
            written = continuations(loaded, batch, tokens, options, [done + index for index in group], records)
            found.update(zip(group, processor.drawn([each.ids for each in written])))
        yield from (found[index] for index in range(len(chunk)))
        done += len(chunk)
