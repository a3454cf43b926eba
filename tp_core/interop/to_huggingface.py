"""The conversion of a model of tp to a Hugging Face folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from tp_core.artifacts.layout import ORIGIN
from tp_core.artifacts.shards import write_shards
from tp_core.artifacts.specs import find_spec
from tp_core.data.build import build_processor, build_target_tokenizer, build_tokenizer
from tp_core.errors import TPError
from tp_core.files.bounded_reads import read_json
from tp_core.interfaces.format import Say
from tp_core.interfaces.tokenizer import Tokenizer, TransformersUse
from tp_core.interop import classifiers
from tp_core.interop.config_json import CONFIG, completed
from tp_core.interop.description import Description, describe, without
from tp_core.interop.equivalents import convert_weights, difference, read_all
from tp_core.interop.folders import write_json
from tp_core.interop.generation_config import GENERATION_CONFIG, written_generation
from tp_core.interop.matching import WeightMap
from tp_core.interop.preprocessing import PREPROCESSOR, written
from tp_core.interop.sentence_transformers_written import write_sentence_transformer
from tp_core.interop.tensors import Tensors, open_stored
from tp_core.interop.weight_files import check_ours, our_shapes, split
from tp_core.options.base import Equivalent
from tp_core.spec.choices.part_names import key_of
from tp_core.spec.context import context_of
from tp_core.spec.schema import Spec


def to_huggingface(
    source: Path,
    folder: Path,
    architecture: str | None,
    model_type: str | None,
    limit: int,
    approximate: bool,
    say: Say,
) -> None:
    """Convert a model of tp and write it into ``folder``, which exists and is empty.

    Args:
        source: a model, run or checkpoint of tp.
        folder: the folder to write.
        architecture: class in transformers; default: the one with a head for each of the model's targets.
        model_type: name of the converter; default: the one that fits.
        limit: maximum number of bytes of one file of weights.
        approximate: True to write a model that transformers can only compute nearly.
        say: receives notes for the user.

    Raises:
        TPError: no converter supports the architecture of the model.
    """
    spec, _, weights = find_spec(source, say)
    origin = _origin(spec.base / ORIGIN)
    found = describe(spec, architecture, model_type, origin)
    tensors = open_stored(weights)
    check_ours(tensors, our_shapes(spec), weights)
    if found.stream:
        beginning = f"streams.{key_of(found.stream)}."
        tensors.rename(lambda name: name.removeprefix(beginning))
    if found.replaced():
        _replace(found, tensors, approximate, say)
    config = completed(found.converter, found.config)
    weight_map = WeightMap(found.converter.weights(config), our_shapes(found.spec), found.name)
    # A model without a head is saved without the prefix that its tensors have in models with a head.
    prefix = "" if found.converter.architectures[found.architecture] else found.converter.prefix
    planned, read = split(weight_map, tensors, lambda name: name.removeprefix(prefix))
    write_shards(folder, planned, read, limit)
    generation, said = written_generation(found.spec, found.config)
    start = {key: generation[key] for key in ("decoder_start_token_id",) if generation and key in generation}
    known = without(found.config, found.converter.unwritten)
    write_json(folder / CONFIG, {**known, **start, "torch_dtype": _dtype(tensors)})
    if generation is not None:
        write_json(folder / GENERATION_CONFIG, generation)
    _write_tokenizer(spec, found, folder, say)
    preprocessing, notes = written(spec)
    if preprocessing is not None:
        write_json(folder / PREPROCESSOR, preprocessing)
    if not found.converter.architectures[found.architecture]:
        notes += write_sentence_transformer(spec, found.stream, tensors, folder)
    for note in [*said, *found.converter.written_notes(found.spec), *classifiers.written_notes(found.spec), *notes]:
        say(note)


def _replace(found: Description, tensors: Tensors, approximate: bool, say: Say) -> None:
    """Give the weights the form of the equivalents, and say what they change.

    Raises:
        TPError: they do not compute exactly the same, and the user does not allow it.
    """
    replaced = found.replaced()
    inexact = {path: each for path, each in replaced.items() if each.difference}
    before = dict(read_all(tensors)) if inexact else {}
    convert_weights(tensors, found.own, found.spec)
    if not inexact:
        return
    change, largest = difference(found.own, before, found.spec, read_all(tensors))
    text = (
        f"{'; '.join(_reasons(inexact))}: the final states of a random batch change by up to {change:.1e} (the largest "
        f"state is {largest:.1f})"
    )
    if not approximate:
        raise TPError(f"{text}; --approximate writes this model")
    say(text)


def _reasons(inexact: Mapping[str, Equivalent]) -> Iterator[str]:
    """A sentence for each kind of equivalent: the modules that transformers lacks, and those that it has instead.

    Args:
        inexact: path of a module → its equivalent.
    """
    for kind in dict.fromkeys((each.name, each.difference) for each in inexact.values()):
        first, *others = [path for path, each in inexact.items() if (each.name, each.difference) == kind]
        name, reason = kind
        more = f" and {len(others)} more" if others else ""
        if name:
            yield f"transformers does not have the module of {first}{more}; it gets {name}, where {reason}"
        else:
            yield f"transformers does not have the options of {first}{more}; there, {reason}"


def _write_tokenizer(spec: Spec, found: Description, folder: Path, say: Say) -> None:
    data = spec.data
    if data.tokenizer is not None and data.target_tokenizer is not None:
        say("the tokenizers are not written: the model has two, but transformers uses one for both sides")
        return
    chosen = data.tokenizer or data.target_tokenizer
    source = build_tokenizer(spec)
    tokenizer = source or build_target_tokenizer(spec)
    if chosen is not None and tokenizer is not None and not tokenizer.to_huggingface(folder, _use(spec, found, source)):
        form = f"transformers has no equivalent of '{chosen.name}' with these options"
        say(f"the tokenizer is not written: {form}; add a tokenizer, because transformers would make an empty one")


def _use(spec: Spec, found: Description, tokenizer: Tokenizer | None) -> TransformersUse:
    """The inputs, limits and special tokens of a model, for the files of its tokenizer."""
    fields: set[str] = set()
    limits: list[int | None] = []
    for name, stream in spec.model.streams.items():
        context = context_of(spec, name)
        own = {port.name for module in stream.embedding.modules for port in module.config.requires(context)}
        if "input_ids" in own:
            limits.append(context.length_limit)
            fields |= own
    if spec.model.target_embedding is not None:
        limits.append(context_of(spec, side="target").length_limit)
    segments = ("token_type_ids",) if "token_type_ids" in fields else ()
    longest = min((limit for limit in limits if limit is not None), default=None)
    names = ("input_ids", *segments, "attention_mask")
    processor = build_processor(spec, tokenizer, next(iter(spec.sets())))
    single, pair = (None, None) if processor is None else (processor.frame(), processor.frame(pair=True))
    frames = None if single is None or pair is None else (single, pair)
    masks = found.architecture.endswith(("ForMaskedLM", "ForPreTraining"))
    return TransformersUse(found.name, names, longest, frames, masks)


def _origin(file: Path) -> dict[str, Any]:
    try:
        content = read_json(file)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _dtype(tensors: Tensors) -> str:
    dtypes = {dtype for dtype in tensors.dtypes.values() if dtype.is_floating_point}
    return str(dtypes.pop() if len(dtypes) == 1 else torch.float32).removeprefix("torch.")
