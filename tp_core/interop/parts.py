"""Access to the parts of a spec that a converter needs, with an error if one is missing. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from tp_core.errors import TPError
from tp_core.interop.keys import mark
from tp_core.modules.positions.rotary_options import Llama3RotaryConfig, RotaryConfig
from tp_core.options.base import ModuleConfig
from tp_core.options.choice import Chosen

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec
    from tp_core.spec.sections.embedding import EmbeddingSpec

C = TypeVar("C", bound=ModuleConfig)


class MisfitError(TPError):
    """The error for a spec that does not match the architecture of a converter.

    Attributes:
        reasons: the reasons, one line each.
        compared: True if the spec has all components of the architecture and only differs in their options.
        heads: True if the architecture has heads for the spec's targets.
        different: the paths in the spec at which the options differ, with the reasons.
    """

    def __init__(
        self,
        reasons: list[str],
        compared: bool = False,
        heads: bool = True,
        different: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.reasons, self.compared, self.heads, self.different = reasons, compared, heads, different
        super().__init__("; ".join(reasons))


def _is(chosen: Chosen[Any] | None, config: type[C], path: str) -> C:
    expected = config.summary().partition(" (")[0].lower() or config.__name__
    if chosen is None:
        raise MisfitError([f"{path} is unset; expected a {expected}"])
    if not isinstance(chosen.config, config):
        raise MisfitError([f"{path} is {chosen.name}; expected a {expected}"])
    return chosen.config


def encoder(spec: Spec, config: type[C], stream: str = "") -> C:
    """The options of the only encoder, or of the encoder of a stream.

    Args:
        spec: the spec.
        config: the expected config class.
        stream: name of the stream; empty for a model without streams.

    Raises:
        MisfitError: the model does not have this stream, or the encoder has another config class.
    """
    if stream not in spec.model.streams:
        names = ", ".join(name for name in spec.model.streams if name) or "unset"
        expected = f"a stream '{stream}'" if stream else "one input only"
        raise MisfitError([f"model.streams is {names}; expected {expected}"])
    path = f"model.streams.{stream}.encoder" if stream else "model.encoder"
    return _is(spec.model.streams[stream].encoder, config, path)


def decoder(spec: Spec, config: type[C]) -> C:
    """The options of the decoder, which must be of this config class.

    Raises:
        MisfitError: there is no decoder, or it has another config class.
    """
    return _is(spec.model.decoder, config, "model.decoder")


def component(spec: Spec, side: str = "embedding", stream: str = "") -> EmbeddingSpec:
    """The embedding component of the source side, of a stream, or of the decoder side.

    Args:
        spec: the spec.
        side: ``embedding`` for the source side, or ``target_embedding`` for the decoder side.
        stream: name of the stream; empty for a model without streams.

    Raises:
        MisfitError: there is no such component.
    """
    if side == "embedding" and stream in spec.model.streams:
        return spec.model.streams[stream].embedding
    if side == "target_embedding" and spec.model.target_embedding is not None:
        return spec.model.target_embedding
    raise MisfitError([f"model.streams.{stream} is unset" if stream else f"model.{side} is unset"])


def embedding(spec: Spec, config: type[C], side: str = "embedding", stream: str = "") -> C:
    """The options of the embedding module of this config class.

    Raises:
        MisfitError: there is no such module.
    """
    found = optional_embedding(spec, config, side, stream)
    if found is None:
        names = ", ".join(module.name for module in component(spec, side, stream).modules)
        place = f"model.streams.{stream}.embedding" if stream else f"model.{side}"
        raise MisfitError([f"{place} is [{names}]; expected a {config.summary().partition(' (')[0].lower()} in it"])
    return found


def optional_embedding(spec: Spec, config: type[C], side: str = "embedding", stream: str = "") -> C | None:
    """The options of the embedding module of this config class; None if there is no such module."""
    found = [module.config for module in component(spec, side, stream).modules if isinstance(module.config, config)]
    return found[0] if found else None


def target(spec: Spec, config: type[C]) -> C | None:
    """The options of the target of this config class; None if there is no such target."""
    found = [each.config for each in spec.model.targets if isinstance(each.config, config)]
    return found[0] if found else None


#: The keys of a config.json that may hold the options of rotary positions; transformers prefers the first.
_ROTARY = ("rope_scaling", "rope_parameters")


def rotary_theta(config: Mapping[str, Any]) -> float:
    """The base of the rotary frequencies in a config.json, for an architecture without rescaled positions.

    Raises:
        TPError: the positions are rescaled, or only a part of each head is rotated.
    """
    ((name, options),) = rotary(config).items()
    if name != "rotary" or "factor" in options:
        place = next(key for key in _ROTARY if config.get(key))
        kind = f"config.json: rotary positions of type '{_rotary_type(config[place])}' are rescaled"
        raise TPError(f"{kind} ('{place}'); this architecture does not support rescaling")
    theta: float = options["theta"]
    return theta


def rotary(config: Mapping[str, Any]) -> dict[str, Any]:
    """The rotary positions of a config.json in the form of a spec, from any of transformers' three formats.

    Raises:
        TPError: specs do not support their type, or only a part of each head is rotated.
    """
    place = next((key for key in _ROTARY if config.get(key)), None)
    inside = config[place] if place else {}
    if place == "rope_scaling":
        mark(config, "rope_parameters")  # transformers ignores it in this case
    for values, name in ((config, "partial_rotary_factor"), (inside, f"{place}.partial_rotary_factor")):
        part = values.get("partial_rotary_factor")
        if part not in (None, 1.0):
            raise TPError(f"config.json: '{name}' is {part}; only 1.0, the rotation of whole heads, can be converted")
    thetas = {float(values["rope_theta"]) for values in (config, inside) if values.get("rope_theta") is not None}
    if len(thetas) > 1:
        both = " and ".join(f"{theta:g}" for theta in sorted(thetas))
        raise TPError(f"config.json: 'rope_theta' and '{place}.rope_theta' differ: {both}")
    theta, kind = thetas.pop() if thetas else 10000.0, _rotary_type(inside)
    if kind == "default":
        return {"rotary": {"theta": theta}}
    if kind == "linear":
        return {"rotary": {"theta": theta, "factor": _rotary_value(inside, place, "factor")}}
    if kind != "llama3":
        known = "default, linear and llama3"
        message = f"rotary positions of type '{kind}' are rescaled ('{place}')"
        raise TPError(f"config.json: {message}; only the types {known} can be converted")
    scaled = {ours: _rotary_value(inside, place, theirs) for ours, theirs in _LLAMA3.items()}
    length = inside.get("original_max_position_embeddings") or config["max_position_embeddings"]
    return {"rotary_llama3": {"theta": theta, "original_length": length, **scaled}}


#: Options of ``rotary_llama3`` → keys in transformers.
_LLAMA3 = {
    "factor": "factor",
    "low_frequency_factor": "low_freq_factor",
    "high_frequency_factor": "high_freq_factor",
}


def _rotary_type(inside: Mapping[str, Any]) -> str:
    kinds = [str(inside[key]) for key in ("rope_type", "type") if inside.get(key) is not None]
    return kinds[0] if kinds else "default"


def _rotary_value(inside: Mapping[str, Any], place: str | None, key: str) -> float:
    value = inside.get(key)
    if not isinstance(value, (int, float)):
        raise TPError(f"config.json: '{place}.{key}' is {value!r}; expected a number")
    return float(value)


def rotary_keys(positions: RotaryConfig) -> dict[str, Any]:
    """Rotary positions as keys of a config.json, for transformers before version 5 and from version 5 on."""
    scaled: dict[str, Any] = {}
    if isinstance(positions, Llama3RotaryConfig):
        scaled = {theirs: getattr(positions, ours) for ours, theirs in _LLAMA3.items()}
        scaled |= {"rope_type": "llama3", "original_max_position_embeddings": positions.original_length}
    elif positions.factor != 1:
        scaled = {"rope_type": "linear", "factor": positions.factor}
    return {
        "rope_theta": positions.theta,
        "rope_parameters": {"rope_type": "default", **scaled, "rope_theta": positions.theta},
        "rope_scaling": scaled or None,
    }


def part(options: ModuleConfig, option: str, config: type[C]) -> C:
    """The options of a part of a module, which must be of this config class.

    Args:
        options: the options of the module.
        option: the option that chooses the part.
        config: the expected config class.

    Raises:
        MisfitError: the part has another config class.
    """
    chosen: Chosen[Any] = getattr(options, option)
    return _is(chosen, config, chosen.path.rpartition(".")[0] or option)


def needs(config: Mapping[str, Any], key: str, known: Mapping[Any, Any]) -> Any:
    """The spec value that corresponds to a value of a config.json.

    Args:
        config: the content of config.json.
        key: the key.
        known: value in config.json → value in a spec.

    Raises:
        TPError: the value is not in ``known``.
    """
    value = config.get(key)
    if value not in known:
        raise TPError(f"config.json: '{key}' is {value!r}; specs know {', '.join(map(repr, known))}")
    return known[value]
