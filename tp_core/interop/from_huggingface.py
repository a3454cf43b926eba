"""The conversion of a Hugging Face folder to a model folder of tp."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from tp_core import discovery
from tp_core.artifacts.layout import ORIGIN, WEIGHTS
from tp_core.errors import CheckpointError, TPError
from tp_core.interfaces.format import Say
from tp_core.interop.config_json import (
    CONFIG,
    architecture_for,
    completed,
    converter_for,
    load_converter,
    read_config,
)
from tp_core.interop.folder_contents import FolderContents
from tp_core.interop.folders import SPEC, import_tokenizer, limited, reason, write_json, write_spec
from tp_core.interop.generation_config import GENERATION_CONFIG, read_generation, write_generation
from tp_core.interop.ignored_keys import IgnoredKeys
from tp_core.interop.keys import MISFITS, Keys
from tp_core.interop.matching import WeightMap
from tp_core.interop.preprocessing import PreprocessingFiles
from tp_core.interop.reading import read_model
from tp_core.interop.rules import Copy
from tp_core.interop.sentence_transformers import bare_architecture, read_sentence_transformer
from tp_core.interop.tensors import Tensors, open_folder
from tp_core.interop.tokenizer_files import model_max_length, tokenizer_files
from tp_core.interop.weight_files import our_shapes, write_joined
from tp_core.options.converter import ConverterConfig
from tp_core.spec.choices.module_nodes import all_modules
from tp_core.spec.trained.provenance import write_provenance


def from_huggingface(
    source: Path,
    folder: Path,
    architecture: str | None,
    model_type: str | None,
    resize: bool,
    ignore: Sequence[str],
    say: Say,
) -> None:
    """Convert the model of a Hugging Face folder and write it into ``folder``, which exists and is empty.

    Args:
        source: the Hugging Face folder.
        folder: the folder to write.
        architecture: class in transformers; default: the architecture in config.json.
        model_type: name of the converter; default: the ``model_type`` in config.json.
        resize: True to allow another vocabulary size than config.json states.
        ignore: keys of the folder's JSON files to ignore.
        say: receives notes for the user.

    Raises:
        TPError: the model cannot be converted.
    """
    ignored, title, around = IgnoredKeys(ignore), source.resolve().name, FolderContents(source)
    try:
        sentences = read_sentence_transformer(source, ignored)
    except TPError as error:
        raise TPError(f"{source}: {error}") from None
    source, contents = (source, around) if sentences is None else (sentences.body, sentences.contents(around))
    contents.check()
    given = ignored.without(read_config(source), CONFIG)
    contents.mark(CONFIG)
    name, converter = converter_for(given, source / CONFIG, model_type)
    config = completed(converter, given)
    if sentences is not None and architecture is None:
        architecture = bare_architecture(converter)
    chosen = architecture_for(converter, given, architecture)
    config = config | {"architectures": [chosen]}
    tensors = open_folder(source)
    contents.mark(GENERATION_CONFIG, *(file.name for file in tensors.files))
    names = list(tensors.shapes)
    try:
        config, tied = _as_stored(tensors, converter, config)
        generation = read_generation(source, config, ignored)
        reading = read_model(converter, config, chosen)
        reading.account.check(*ignored.nearly(reading.account))
    except TPError as error:
        raise TPError(f"{source}: {error}") from None
    tokenizer, said = import_tokenizer(source, folder)
    try:
        preprocessing = PreprocessingFiles(source, ignored)
        processor, inference = limited(reading.processor, model_max_length(source)), {}
        if sentences is not None:
            processor = sentences.shortened(processor, reading.model)
            inference = {"embed": sentences.embed}
        spec, notes = write_spec(folder, title, reading.model, tokenizer, processor, preprocessing, inference)
    except TPError as error:
        raise TPError(f"{source}: {reason(error)}") from None
    ignored.check()
    notes += write_generation(source, folder / SPEC, spec, generation)
    weight_map = WeightMap(reading.weights, our_shapes(spec), name)
    bare = not converter.architectures[chosen] and converter.prefix
    heads = [n for n in tensors.shapes if not n.startswith(converter.prefix)] if bare else []
    try:
        fit = weight_map.fit(tensors, resize, heads)
    except CheckpointError as error:
        likely = _looks_like(names, name)
        hint = "" if likely in (None, name) else f"\nthese look like the tensors of '{likely}', not of '{name}'"
        raise CheckpointError(f"{source}: {error}{hint}") from None
    if fit.left_out:
        say(f"left out, since {chosen} has no such head: {_summary(fit.left_out)}")
    for table, rows in fit.resized.items():
        say(f"'{table}' had {tensors.shapes[fit.sources[table]][0]} rows and has {rows} now")
    write_joined(folder / WEIGHTS, weight_map, tensors, fit)
    write_json(folder / ORIGIN, config.memory.given)
    write_provenance(all_modules(spec, training=False), folder)
    contents.mark(*preprocessing.known, *(path.name for path in tokenizer_files(source) if tokenizer or said))
    if sentences is not None:
        notes += sentences.finish(spec, around, contents)
    for note in [*tied, *ignored.notes, *reading.account.notes, *said, *notes, *contents.notes(), *converter.notes]:
        say(note)


def _add_prefix(tensors: Tensors, converter: ConverterConfig, config: Keys) -> None:
    """Add the converter's prefix to the tensors of a body that was saved without a head."""
    prefix = converter.prefix
    if any(name.startswith(prefix) for name in tensors.shapes):
        return
    table = WeightMap(converter.weights(config), {}, "")
    tensors.rename(lambda name: prefix + name if table.known(prefix + name) and not table.known(name) else name)


def _as_stored(tensors: Tensors, converter: ConverterConfig, config: Keys) -> tuple[Keys, list[str]]:
    """The config, adjusted to the stored tensors, and notes for the user; also renames the tensors if needed.

    Raises:
        TPError: a value of the config cannot be used.
    """
    try:
        _add_prefix(tensors, converter, config)
        config, notes = _tied_as_stored(tensors, converter, config)
    except (TPError, *MISFITS):
        # Refused keys are reported first, all in one message.
        read_model(converter, config, config["architectures"][0]).account.check()
        raise
    found = converter.as_stored(config, tensors)
    return found if isinstance(found, Keys) else Keys(found, config.memory), notes


def _tied_as_stored(tensors: Tensors, converter: ConverterConfig, config: Keys) -> tuple[Keys, list[str]]:
    """The config, with ``tie_word_embeddings`` off if an output matrix with other values is stored; and notes.

    Transformers also trusts the tensors more than this key, because for some architectures it always writes ``true``.
    """
    if config.get("tie_word_embeddings", True):
        for entry in converter.weights(config):
            if not (isinstance(entry, Copy) and entry.output):
                continue
            both = entry.theirs in tensors.shapes and entry.of in tensors.shapes
            if both and not torch.equal(tensors.read(entry.theirs), tensors.read(entry.of)):
                note = f"'{entry.theirs}' differs from '{entry.of}': the output matrix is not tied"
                return config | {"tie_word_embeddings": False}, [note]
    return config, []


def _looks_like(names: Sequence[str], chosen: str) -> str | None:
    """The name of the converter that recognises the most tensors, if it recognises more than half of them.

    Ties go to the converter that was chosen.
    """
    best, most = None, len(names) / 2
    for name in (chosen, *discovery.index().names("converter")):
        try:
            converter = load_converter(name)
            table = WeightMap(converter.weights(completed(converter, {})), {}, name)
        except Exception:  # a converter that is broken or needs more keys gives no hint
            continue
        known = sum(table.known(each) or table.known(converter.prefix + each) for each in names)
        if known > most:
            best, most = name, known
    return best


def _summary(names: list[str], limit: int = 6) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
