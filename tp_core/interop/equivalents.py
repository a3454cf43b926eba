"""Forms of a model that compute the same with other modules, for toolkits that lack some of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tp_core.cost.invented_batches import invented_batch
from tp_core.interop.folders import spec_of
from tp_core.interop.tensors import Tensors
from tp_core.model import meta_model
from tp_core.options.base import Equivalent
from tp_core.options.choice import Chosen, slots_of
from tp_core.spec.choices.part_names import key_of
from tp_core.spec.schema import ModelSpec, Spec
from tp_core.spec.sections.embedding import EmbeddingSpec

#: Chooses the form of a module: its path in the spec, and the module → an equivalent, or None for the module itself.
Pick = Callable[[str, Chosen[Any]], Equivalent | None]


class Place(NamedTuple):
    """A module with equivalents, and the number of the one in use; -1 for the module itself."""

    equivalents: tuple[Equivalent, ...]
    used: int

    @property
    def current(self) -> Equivalent | None:
        return None if self.used < 0 else self.equivalents[self.used]


def places(spec: Spec) -> dict[str, Place]:
    """The modules of a spec that have equivalents, by their paths.

    A module that no other toolkit has begins with its first equivalent, which is another module or not quite the same.
    """
    found: dict[str, Place] = {}

    def note(path: str, chosen: Chosen[Any]) -> None:
        equivalents = tuple(chosen.config.equivalents())
        if equivalents:
            found[path] = Place(equivalents, 0 if equivalents[0].name or equivalents[0].difference else -1)

    _tree(spec.model, note)
    return found


def further(places: Mapping[str, Place], different: Mapping[str, str]) -> dict[str, Place] | None:
    """The next equivalents of those modules in which two models differ; None if there is none.

    Args:
        places: the modules with equivalents.
        different: the paths at which the models differ.
    """
    moved = {}
    for path, place in places.items():
        concerned = any(each == path or each.startswith(f"{path}.") for each in different)
        if concerned and place.used + 1 < len(place.equivalents):
            moved[path] = place._replace(used=place.used + 1)
    return {**places, **moved} if moved else None


def with_equivalents(spec: Spec, places: Mapping[str, Place]) -> Spec:
    """The spec with the equivalents that are in use."""
    if all(place.current is None for place in places.values()):
        return spec
    tree = _tree(spec.model, lambda path, _: places[path].current if path in places else None)
    return replace(spec, model=spec_of({"tp": 1, "model": tree}).model)


def _tree(model: ModelSpec, pick: Pick) -> dict[str, Any]:
    """The ``model:`` part of a spec, as :meth:`ModelSpec.dump` gives it, with other forms of modules."""

    def module(path: str, chosen: Chosen[Any], options_at: str) -> dict[str, Any]:
        other = pick(path, chosen)
        name = chosen.written if other is None else other.name or chosen.written
        config = chosen.config if other is None else other.config
        options = config.model_dump(mode="json")
        for option in slots_of(type(config)):
            value = getattr(config, option)
            several = value if isinstance(value, list) else [value]
            if value is None or any(isinstance(each, str) for each in several):
                continue
            at = f"{options_at}.{option}"
            trees = [module(at, each, f"{at}.{each.name}") for each in several]
            options[option] = trees if isinstance(value, list) else trees[0]
        return {name: options}

    def component(path: str, embedding: EmbeddingSpec) -> dict[str, Any]:
        modules = [module(f"{path}.{each.name}", each, f"{path}.{each.name}") for each in embedding.modules]
        norm = embedding.options.norm
        options = embedding.options.model_dump(mode="json")
        return {"modules": modules, **options, "norm": module(f"{path}.norm", norm, f"{path}.norm.{norm.name}")}

    def one(path: str, chosen: Chosen[Any]) -> dict[str, Any]:
        return module(path, chosen, f"{path}.{chosen.name}")

    parts = model.dump()
    for name, stream in model.streams.items():
        if stream.same_as:
            continue
        path = f"model.streams.{name}" if name else "model"
        at = parts["streams"][name] if name else parts
        at["embedding"] = component(f"{path}.embedding", stream.embedding)
        if not stream.encoder_of:
            at["encoder"] = one(f"{path}.encoder", stream.encoder)
    if model.fusion is not None:
        parts["encoder"] = one("model.encoder", model.fusion)
    if model.target_embedding is not None:
        parts["target_embedding"] = component("model.target_embedding", model.target_embedding)
    if model.decoder is not None:
        parts["decoder"] = one("model.decoder", model.decoder)
    names = [f"model.target.{target.instance_name}" for target in model.targets]
    parts["target"] = [module(name, target, name) for name, target in zip(names, model.targets)]
    return parts


def convert_weights(tensors: Tensors, own: Spec, other: Spec) -> None:
    """Give the weights of a model the form of an equivalent one.

    Args:
        tensors: the weights of ``own``, which are replaced.
        own: the spec of the model.
        other: the spec with equivalents of some modules.
    """
    for name, module, theirs, equivalent in _changed(own, other):
        before = {part: f"{name}.{part}" for part in _weights(module) if f"{name}.{part}" in tensors.shapes}
        if not before:
            continue
        read = {part: tensors.reader(whole) for part, whole in before.items()}
        dtype = tensors.dtypes[next(iter(before.values()))]
        for whole in before.values():
            tensors.remove(whole)
        for part, weight in _weights(equivalent).items():
            tensors.add(f"{theirs}.{part}", tuple(weight.shape), dtype, _reader(module, equivalent, read, part))


def _reader(
    module: nn.Module, equivalent: nn.Module, read: Mapping[str, Callable[[], Tensor]], part: str
) -> Callable[[], Tensor]:
    return lambda: module.weights_for(equivalent, {name: each() for name, each in read.items()})[part]  # type: ignore[operator]


def _weights(module: nn.Module) -> dict[str, Tensor]:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _changed(own: Spec, other: Spec) -> Iterator[tuple[str, nn.Module, str, nn.Module]]:
    """The modules that have other weights in the other model: name and module in both models."""
    theirs, renamed = dict(meta_model(other).named_modules()), _renamed(own.model, other.model)
    for name, module in meta_model(own).named_modules():
        there = renamed.get(name, name)
        if not hasattr(module, "weights_for") or there not in theirs:
            continue
        before, after = _weights(module), _weights(theirs[there])
        same = {part: weight.shape for part, weight in before.items()} == {p: w.shape for p, w in after.items()}
        if type(module) is not type(theirs[there]) or not same:
            yield name, module, there, theirs[there]


def _renamed(own: ModelSpec, other: ModelSpec) -> dict[str, str]:
    """The names of modules in a model → those of their equivalents. Only modules of embeddings are called by name."""
    components = {
        f"streams.{key_of(name)}.embedding" if name else "embedding": (stream.embedding, other.streams[name].embedding)
        for name, stream in own.streams.items()
        if not stream.same_as
    }
    if own.target_embedding is not None and other.target_embedding is not None:
        components["target_embedding"] = (own.target_embedding, other.target_embedding)
    return {
        f"{component}.parts.{key_of(ours.name)}": f"{component}.parts.{key_of(theirs.name)}"
        for component, both in components.items()
        for ours, theirs in zip(*(each.modules for each in both))
    }


def read_all(tensors: Tensors) -> dict[str, Tensor]:
    """All tensors by name."""
    return {name: tensors.read(name) for name in list(tensors.shapes)}


def difference(
    own: Spec, weights: Mapping[str, Tensor], other: Spec, their_weights: Mapping[str, Tensor]
) -> tuple[float, float]:
    """The largest difference of the final states of two models on a random batch, and the largest state.

    Args:
        own: the spec of the first model.
        weights: its weights.
        other: the spec of the second model.
        their_weights: its weights.
    """
    batch, found = None, []
    for spec, values in ((own, weights), (other, their_weights)):
        model = meta_model(spec).materialise().eval()
        model.load_weights({name: value.float() for name, value in values.items()}, optional=values)
        batch = batch or invented_batch(model.fields(), [8, 5, 3])
        with torch.no_grad():
            features = model.encode(batch)
        sequences = [*features.streams.values()] or [features.sequence]
        found.append(torch.cat([each.states[each.real()].flatten() for each in sequences]))
    return (found[0] - found[1]).abs().max().item(), found[0].abs().max().item()
