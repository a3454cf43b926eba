"""The weights of a model, made from a checkpoint's tensors by a table of rules, and the way back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from tp_core.artifacts.shards import Planned, write_file
from tp_core.errors import CheckpointError
from tp_core.interop.matching import Fit, Link, WeightMap, listed
from tp_core.interop.rules import Part, Shape
from tp_core.interop.tensors import Tensors
from tp_core.model import meta_model
from tp_core.spec.schema import Spec


def our_shapes(spec: Spec) -> dict[str, Shape]:
    """Names and shapes of a spec's weights, without allocating them."""
    return {name: tuple(weight.shape) for name, weight in meta_model(spec).weights().items()}


def write_joined(file: Path, weight_map: WeightMap, tensors: Tensors, fit: Fit) -> None:
    """Write the weights of a model, made from a checkpoint's tensors one at a time.

    Args:
        file: the file to write.
        weight_map: the table of weights.
        tensors: the checkpoint.
        fit: its comparison with the table.
    """
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
    """A table cut to ``rows``, or extended by rows drawn from N(mean, std) of each column."""
    if rows <= table.shape[0]:
        return table[:rows]
    old = table.float()
    noise = torch.randn((rows - table.shape[0], *table.shape[1:]), generator=generator)
    return torch.cat([table, (old.mean(dim=0) + noise * old.std(dim=0, correction=0)).to(table.dtype)])


def check_ours(tensors: Tensors, shapes: Mapping[str, Shape], file: Path) -> None:
    """Check that a file of weights has exactly the weights of a model.

    Raises:
        CheckpointError: it has not; the message has all differences.
    """
    wrong = [f"'{name}' is missing" for name in shapes if name not in tensors.shapes]
    wrong += [f"'{name}' is unexpected" for name in tensors.shapes if name not in shapes]
    wrong += [
        f"'{name}' has shape {tensors.shapes[name]}; expected {shape}"
        for name, shape in shapes.items()
        if name in tensors.shapes and tensors.shapes[name] != shape
    ]
    if wrong:
        raise CheckpointError(listed(f"{file}: the weights do not fit the spec:", wrong))


def split(
    weight_map: WeightMap, tensors: Tensors, rename: Callable[[str], str] = lambda name: name
) -> tuple[list[Planned], Callable[[str], Tensor]]:
    """The tensors of a checkpoint, made from the weights of a model.

    Args:
        weight_map: the table of weights.
        tensors: the weights of the model.
        rename: the name of a tensor in the checkpoint, for its name in the table.

    Returns:
        Names, shapes and dtypes of the tensors, and a function that returns a tensor by its name.
    """
    places: dict[str, list[tuple[Link, int]]] = {}
    for link in weight_map.links:
        for at, name in enumerate(link.theirs):
            places.setdefault(name, []).append((link, at))
    copies = {copy.theirs: copy.of for copy in weight_map.copies}
    computed = {entry.theirs: entry for entry in weight_map.computed}
    usual = next(iter(tensors.dtypes.values()))
    names = {rename(name): name for name in weight_map.theirs()}

    def made_of(whole: str) -> list[tuple[Link, int]]:
        """The links from which a tensor is made, in order; several if it contains several weights of the model."""
        found = places[copies[whole] if whole not in places else whole]
        return sorted(found, key=lambda each: each[0].rule.number if isinstance(each[0].rule, Part) else 0)

    def dtype(whole: str) -> torch.dtype:
        return usual if whole in computed else tensors.dtypes[made_of(whole)[0][0].ours]

    def read(name: str) -> Tensor:
        whole = names[name]
        if whole in computed:
            return computed[whole].values()
        parts = [link.rule.split(tensors.read(link.ours))[at] for link, at in made_of(whole)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    shapes = weight_map.theirs()
    return [Planned(name, shapes[whole], dtype(whole)) for name, whole in names.items()], read
