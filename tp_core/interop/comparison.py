"""The comparison of two specs: whether they have the same weights and the same computation at inference."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from tp_core.options.base import ModuleConfig
from tp_core.options.choice import Chosen, choices_in, slots_of
from tp_core.options.context import BuildContext
from tp_core.options.marks import is_prediction_only, is_training_only
from tp_core.options.slices import Slices
from tp_core.spec.context import context_of
from tp_core.spec.schema import Spec
from tp_core.spec.sections.embedding import EmbeddingSpec


class _ByLayer(NamedTuple):
    """A marker in place of a stack's slices: the facts list the options of each layer separately."""

    config: ModuleConfig


def facts(spec: Spec) -> dict[str, Any]:
    """All facts that define the weights and the computation of a model, by path in the spec."""
    model, target_context = spec.model, context_of(spec, side="target")
    found: dict[str, Any] = {
        "model.streams": [name for name in model.streams if name],
        "model.vocab_size": model.vocab_size,
    }
    for name, stream in model.streams.items():
        path = f"model.streams.{name}" if name else "model"
        if name:
            found[f"{path}.same_as"] = stream.same_as or stream.encoder_of or None
            found[f"{path}.pooling"] = stream.pooling
        if not stream.same_as:
            found |= _component(f"{path}.embedding", stream.embedding, context_of(spec, name))
            found |= _module(f"{path}.encoder", stream.encoder, context_of(spec, name))
    if model.fusion is not None:
        found |= _module("model.encoder", model.fusion, target_context)
    if model.decoder is not None:
        found |= _module("model.decoder", model.decoder, target_context)
    if model.target_embedding is not None:
        found |= _component("model.target_embedding", model.target_embedding, target_context)
        found["model.share_embeddings"] = model.options.share_embeddings
        found["model.target_vocab_size"] = model.target_vocab_size
    found["model.target"] = sorted(target.instance_name for target in model.targets)
    for target in model.targets:
        found |= _options(f"model.target.{target.instance_name}", target, target_context)
    return found


def _component(path: str, component: EmbeddingSpec, context: BuildContext) -> dict[str, Any]:
    options = component.options
    found: dict[str, Any] = {
        path: [module.name for module in component.modules],
        f"{path} width": context.embedding_size,
    }
    found |= _module(f"{path}.norm", options.norm, context)
    for module in component.modules:
        found |= _options(f"{path}.{module.name}", module, context)
    return found


def _module(path: str, chosen: Chosen[Any], context: BuildContext) -> dict[str, Any]:
    return {path: chosen.name} | _options(f"{path}.{chosen.name}", chosen, context)


def _options(path: str, chosen: Chosen[Any], context: BuildContext) -> dict[str, Any]:
    config = chosen.config
    slices: Slices | None = getattr(config, config.sliced) if config.sliced else None
    if slices is None:
        return _of_config(path, config, context)
    # If layers differ, each layer is compared separately, because different slices can describe the same layers.
    whole = _of_config(path, config.model_copy(update={config.sliced: None}), context)
    found = {name: each for name, each in whole.items() if not _of_layer(name, path, config)}
    layers = [
        {name: each for name, each in _of_config(path, layer, context).items() if _of_layer(name, path, config)}
        for layer in slices.layers
    ]
    if all(layer == layers[0] for layer in layers):
        return found | layers[0]
    for number, layer in enumerate(layers):
        place = f"{path}.{config.sliced}.{number}"
        found |= {f"{place}{name.removeprefix(path)}": each for name, each in layer.items()}
    return found | {f"{path}.{config.sliced}": _ByLayer(config)}


def _of_layer(name: str, path: str, config: ModuleConfig) -> bool:
    """True if the name is an option of layers, or an option of a module that such an option chooses."""
    return name.removeprefix(f"{path}.").partition(".")[0] in config.of_slices


def _as_in(other: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """The facts ``found`` with the options of layers repeated for each layer, where the other model lists them so."""
    for path in [path for path, value in other.items() if isinstance(value, _ByLayer) and path in found]:
        stack, config = path.rpartition(".")[0], other[path].config
        alike = [name for name in found if name.startswith(f"{stack}.") and _of_layer(name, stack, config)]
        each = {name.removeprefix(f"{stack}."): found.pop(name) for name in alike}
        layers = range(config.slice_count())
        found |= {f"{path}.{number}.{name}": value for number in layers for name, value in each.items()}
    return {path: None if isinstance(value, _ByLayer) else value for path, value in found.items()}


def _of_config(path: str, config: ModuleConfig, context: BuildContext) -> dict[str, Any]:
    options = config.effective(context)
    found: dict[str, Any] = {}
    for option, slot in slots_of(type(config)).items():
        if option not in options:
            continue
        inner = [each for name, each in choices_in(config) if name == option]
        names = [each.name for each in inner]
        options[option] = names if slot.many else next(iter(names), None)
        for each in inner:
            found |= _options(f"{path}.{option}.{each.name}", each, config.inner_context(option, context))
    fields = type(config).model_fields
    # The width of embeddings is compared once for the component.
    left_out = {name for name, info in fields.items() if is_training_only(info) or is_prediction_only(info)}
    left_out.add("embedding_size")
    return found | {f"{path}.{name}": value for name, value in options.items() if name not in left_out}


def differences(own: Spec, other: Spec, what: str) -> dict[str, str]:
    """The differences between two models, one line for each path of a spec.

    Args:
        own: the spec of the first model.
        other: the spec of the second model.
        what: the name of the second model in the lines.
    """
    left, right = facts(own), facts(other)
    left, right = _as_in(right, left), _as_in(left, right)
    different: dict[str, str] = {}
    for path in [*left, *(path for path in right if path not in left)]:
        # Options of a module that only one model has are redundant. So are options that only one side has, because
        # they follow from another option that differs too.
        within = any(path.startswith(f"{other}.") for other in different)
        one_sided = path.count(".") > 1 and not (path in left and path in right)
        ours, theirs = left.get(path), right.get(path)
        if not within and not one_sided and not _equal(ours, theirs):
            different[path] = f"{path} is {_shown(ours)}; {what} has {_shown(theirs)}"
    return different


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-9)
    return bool(left == right)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(str, value))}]"
    if value is None:
        return "unset"
    return str(value).lower() if isinstance(value, bool) else str(value)
