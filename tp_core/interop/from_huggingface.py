"""From a Hugging Face folder to a model folder of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tp_core import discovery
from tp_core.config import ConverterConfig
from tp_core.errors import CheckpointError, TPError
from tp_core.interop.config_json import (
    CONFIG,
    architecture_for,
    completed,
    converter_for,
    load_converter,
    read_config,
)
from tp_core.interop.folders import TOKENIZER, copy_tokenizer, reason, write_json, write_spec
from tp_core.interop.matching import Fit, WeightMap
from tp_core.interop.rules import Copy, Shape
from tp_core.interop.shards import Planned, write_file
from tp_core.interop.tensors import Tensors, open_folder
from tp_core.model import meta_model
from tp_core.spec.schema import Spec
from tp_core.training.export import WEIGHTS

#: In a model folder of ours, the config.json that the model came with.
ORIGIN = "huggingface.json"

Say = Callable[[str], None]


def from_huggingface(
    source: Path, folder: Path, architecture: str | None, model_type: str | None, resize: bool, say: Say
) -> None:
    """Write the model of a Hugging Face folder into ``folder``, which exists and is empty.

    Raises:
        TPError: the model cannot be converted.
    """
    given = read_config(source)
    name, converter = converter_for(given, source / CONFIG, model_type)
    config = completed(converter, given)
    chosen = architecture_for(converter, config, architecture)
    config["architectures"] = [chosen]
    tensors = open_folder(source)
    names = list(tensors.shapes)
    _add_prefix(tensors, converter, config)
    config = converter.as_stored(_tied_as_stored(tensors, converter, config, say), tensors)
    copy_tokenizer(source, folder / TOKENIZER)
    try:
        model, processor = converter.to_spec(config, chosen), converter.processor(config, chosen)
        spec, notes = write_spec(folder, source.resolve().name, model, processor, source)
    except TPError as error:
        raise TPError(f"{source}: {reason(error)}") from None
    weight_map = WeightMap(converter.weights(config), our_shapes(spec), name)
    bare = not converter.architectures[chosen] and converter.prefix
    heads = [n for n in tensors.shapes if not n.startswith(converter.prefix)] if bare else []
    try:
        fit = weight_map.fit(tensors, resize, heads)
    except CheckpointError as error:
        likely = _looks_like(names)
        hint = "" if likely in (None, name) else f"\nthese look like the tensors of '{likely}', not of '{name}'"
        raise CheckpointError(f"{source}: {error}{hint}") from None
    if fit.left_out:
        say(f"left out, since {chosen} has no such head: {_summary(fit.left_out)}")
    for table, rows in fit.resized.items():
        say(f"'{table}' had {tensors.shapes[fit.sources[table]][0]} rows and has {rows} now")
    _write(folder / WEIGHTS, weight_map, tensors, fit)
    write_json(folder / ORIGIN, given)
    for note in [*notes, *converter.notes]:
        say(note)


def our_shapes(spec: Spec) -> dict[str, Shape]:
    """Names and shapes of a spec's weights, without memory for them."""
    return {name: tuple(weight.shape) for name, weight in meta_model(spec).weights().items()}


def _add_prefix(tensors: Tensors, converter: ConverterConfig, config: Mapping[str, Any]) -> None:
    """Name the tensors of a body that was saved without a head as they are called beneath one."""
    prefix = converter.prefix
    if any(name.startswith(prefix) for name in tensors.shapes):
        return
    table = WeightMap(converter.weights(config), {}, "")
    tensors.rename(lambda name: prefix + name if table.known(prefix + name) and not table.known(name) else name)


def _tied_as_stored(tensors: Tensors, converter: ConverterConfig, config: dict[str, Any], say: Say) -> dict[str, Any]:
    """The config, with ``tie_word_embeddings`` off where an output matrix of other values is stored.

    Transformers, too, believes the tensors: for some architectures it writes ``true`` whatever the model.
    """
    if config.get("tie_word_embeddings", True):
        for entry in converter.weights(config):
            if not (isinstance(entry, Copy) and entry.output):
                continue
            both = entry.theirs in tensors.shapes and entry.of in tensors.shapes
            if both and not torch.equal(tensors.read(entry.theirs), tensors.read(entry.of)):
                say(f"'{entry.theirs}' differs from '{entry.of}': the output matrix is not tied")
                return config | {"tie_word_embeddings": False}
    return config


def _looks_like(names: Sequence[str]) -> str | None:
    """The converter whose table knows most of the tensors, if it knows most of them."""
    best, most = None, len(names) / 2
    for name in discovery.index().names("converter"):
        try:
            converter = load_converter(name)
            table = WeightMap(converter.weights(completed(converter, {})), {}, name)
        except Exception:  # one that is broken, or needs more of a config, is no hint
            continue
        known = sum(table.known(each) or table.known(converter.prefix + each) for each in names)
        if known > most:
            best, most = name, known
    return best


def _write(file: Path, weight_map: WeightMap, tensors: Tensors, fit: Fit) -> None:
    links = {link.ours: link for link in weight_map.links}
    generator = torch.Generator().manual_seed(0)

    def their(name: str) -> Tensor:
        tensor = tensors.read(fit.sources[name])
        return with_rows(tensor, fit.resized[name], generator) if name in fit.resized else tensor

    def read(name: str) -> Tensor:
        link = links[name]
        return link.rule.join([their(each) for each in link.theirs])

    planned = []
    for link in weight_map.links:
        dtype = tensors.dtypes[fit.sources[next(iter(link.theirs))]]
        planned.append(Planned(link.ours, weight_map.ours[link.ours], dtype))
    write_file(file, planned, read)


def with_rows(table: Tensor, rows: int, generator: torch.Generator) -> Tensor:
    """A table cut to ``rows``, or with further rows drawn from N(mean, std) of those that it has, by column."""
    if rows <= table.shape[0]:
        return table[:rows]
    old = table.float()
    noise = torch.randn((rows - table.shape[0], *table.shape[1:]), generator=generator)
    return torch.cat([table, (old.mean(dim=0) + noise * old.std(dim=0, correction=0)).to(table.dtype)])


def _summary(names: list[str], limit: int = 6) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
