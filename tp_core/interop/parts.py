"""Reading the parts of a spec that a converter needs, with a message where one is missing. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from tp_core.config import ModuleConfig
from tp_core.errors import TPError
from tp_core.spec.schema_common import Chosen

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec
    from tp_core.spec.schema_embedding import EmbeddingSpec

C = TypeVar("C", bound=ModuleConfig)


class Unfit(TPError):
    """A spec that is not of the architecture that it was to be converted to.

    Attributes:
        reasons: why, a line each.
        compared: whether it has all components of the architecture, and differs in their options.
        heads: whether the architecture has heads for its targets.
    """

    def __init__(self, reasons: list[str], compared: bool = False, heads: bool = True) -> None:
        self.reasons, self.compared, self.heads = reasons, compared, heads
        super().__init__("; ".join(reasons))


def _is(chosen: Chosen[Any] | None, config: type[C], path: str) -> C:
    expected = config.summary().partition(" (")[0].lower() or config.__name__
    if chosen is None:
        raise Unfit([f"{path} is unset; expected a {expected}"])
    if not isinstance(chosen.config, config):
        raise Unfit([f"{path} is {chosen.name}; expected a {expected}"])
    return chosen.config


def encoder(spec: Spec, config: type[C], stream: str = "") -> C:
    """The options of the only encoder, or of a stream's, which must be of this config class.

    Raises:
        Unfit: the model has several streams, or not this one, or another encoder.
    """
    if stream not in spec.model.streams:
        names = ", ".join(name for name in spec.model.streams if name) or "unset"
        expected = f"a stream '{stream}'" if stream else "one input only"
        raise Unfit([f"model.streams is {names}; expected {expected}"])
    path = f"model.streams.{stream}.encoder" if stream else "model.encoder"
    return _is(spec.model.streams[stream].encoder, config, path)


def decoder(spec: Spec, config: type[C]) -> C:
    """The options of the decoder, which must be of this config class.

    Raises:
        Unfit: there is none, or another.
    """
    return _is(spec.model.decoder, config, "model.decoder")


def component(spec: Spec, side: str = "embedding", stream: str = "") -> EmbeddingSpec:
    """The embedding component of the source side (``embedding``), or one stream's, or the decoder's.

    Args:
        side: ``embedding`` or ``target_embedding``.

    Raises:
        Unfit: there is none.
    """
    if side == "embedding" and stream in spec.model.streams:
        return spec.model.streams[stream].embedding
    if side == "target_embedding" and spec.model.target_embedding is not None:
        return spec.model.target_embedding
    raise Unfit([f"model.streams.{stream} is unset" if stream else f"model.{side} is unset"])


def embedding(spec: Spec, config: type[C], side: str = "embedding", stream: str = "") -> C:
    """The options of the embedding module of this config class.

    Raises:
        Unfit: there is none.
    """
    found = optional_embedding(spec, config, side, stream)
    if found is None:
        names = ", ".join(module.name for module in component(spec, side, stream).modules)
        place = f"model.streams.{stream}.embedding" if stream else f"model.{side}"
        raise Unfit([f"{place} is [{names}]; expected a {config.summary().partition(' (')[0].lower()} in it"])
    return found


def optional_embedding(spec: Spec, config: type[C], side: str = "embedding", stream: str = "") -> C | None:
    """The options of the embedding module of this config class, or None."""
    found = [module.config for module in component(spec, side, stream).modules if isinstance(module.config, config)]
    return found[0] if found else None


def target(spec: Spec, config: type[C]) -> C | None:
    """The options of the target of this config class, or None."""
    found = [each.config for each in spec.model.targets if isinstance(each.config, config)]
    return found[0] if found else None


def needs(config: Mapping[str, Any], key: str, known: Mapping[Any, Any]) -> Any:
    """What a value of a config.json stands for in a spec.

    Raises:
        TPError: it stands for nothing.
    """
    value = config.get(key)
    if value not in known:
        raise TPError(f"config.json: '{key}' is {value!r}; specs know {', '.join(map(repr, known))}")
    return known[value]
