"""The transformers architecture that corresponds to a spec, and its config.json."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from itertools import product
from types import MappingProxyType
from typing import Any

from tp_core.errors import TPError
from tp_core.interop.comparison import differences
from tp_core.interop.config_json import completed, load_converter, usable_converters
from tp_core.interop.equivalents import Place, further, places, with_equivalents
from tp_core.interop.folders import reason, spec_of
from tp_core.interop.known_keys import REQUIRED
from tp_core.interop.matching import listed
from tp_core.interop.parts import MisfitError
from tp_core.interop.reading import read_model
from tp_core.options.base import Equivalent
from tp_core.options.converter import ConverterConfig
from tp_core.spec.schema import Spec
from tp_core.suggest import did_you_mean

#: Keys of the original config.json that are not kept: they describe its origin, or are written again.
_NOT_KEPT = frozenset({"architectures", "model_type", "dtype", "torch_dtype", "transformers_version", "_name_or_path"})


@dataclass(frozen=True)
class Description:
    """A spec as a Hugging Face model.

    Attributes:
        name: name of the converter, which is the ``model_type``.
        converter: the converter.
        architecture: the class in transformers.
        config: the content of config.json, without the keys that depend on the weights.
        spec: the spec, reduced to the targets for which the architecture has a head. An architecture without heads has
            a single input: streams that share their modules are reduced to one.
        stream: name of the stream that was kept as the single input; empty if nothing was reduced.
        own: the spec before its modules were replaced by equivalents; equal to ``spec`` if none was.
        places: the modules with equivalents.
    """

    name: str
    converter: ConverterConfig
    architecture: str
    config: dict[str, Any]
    spec: Spec
    own: Spec
    places: Mapping[str, Place]
    stream: str = ""

    def replaced(self) -> dict[str, Equivalent]:
        """The equivalents that are used, by the path of the module."""
        return {path: found for path, place in self.places.items() if (found := place.current) is not None}


def describe(
    spec: Spec, architecture: str | None, model_type: str | None, origin: Mapping[str, Any] | None = None
) -> Description:
    """Find the architecture of a spec.

    Args:
        spec: the spec.
        architecture: a class in transformers, or None for the one with a head for each of the spec's targets.
        model_type: the converter to use, or None for the one that fits.
        origin: the config.json from which the model was converted. Its ``model_type`` is tried first. Its keys that do
            not describe the model itself are kept.

    Raises:
        TPError: no architecture fits, with the reasons; or several fit, with the option that selects one.
    """
    origin = origin or {}
    came_from = origin.get("model_type")
    if model_type is not None:
        return _described(spec, model_type, architecture, origin, given=True)
    converters = usable_converters()
    names = list(converters)
    if architecture is not None:
        names = [name for name in names if architecture in converters[name].architectures]
        if not names:
            raise TPError(f"no installed converter has the architecture '{architecture}'{_like(architecture)}")
    if came_from in names:
        names = [str(came_from), *(name for name in names if name != came_from)]
    fitting: list[Description] = []
    failures: dict[str, MisfitError] = {}
    for name in names:
        try:
            found = _described(spec, name, architecture, origin)
        except MisfitError as error:
            failures[name] = error
            continue
        if name == came_from:
            return found
        fitting.append(found)
    fewest = min((len(each.replaced()) for each in fitting), default=0)
    fitting = [each for each in fitting if len(each.replaced()) == fewest]
    if len(fitting) > 1:
        options = " or ".join(f"--model-type {each.name}" for each in fitting)
        raise TPError(f"the model is of several architectures at once; say which with {options}")
    if not fitting:
        raise TPError(_unlike_all(failures, str(came_from) if came_from in failures else None))
    return fitting[0]


def _described(
    spec: Spec, name: str, architecture: str | None, origin: Mapping[str, Any], given: bool = False
) -> Description:
    converter = load_converter(name, given)
    try:
        chosen, spec = _with_heads(spec, name, converter, architecture)
    except MisfitError as error:
        raise _unlike(name, error.reasons, compared=False, heads=error.heads) from None
    own = spec if converter.architectures[chosen] else one_input(spec)
    stream = "" if own is spec else next(iter(spec.model.streams))
    possible: dict[str, Place] | None = places(own)
    refused: MisfitError | None = None
    while possible is not None:
        body = with_equivalents(own, possible)
        try:
            config = _fitting_config(body, name, converter, chosen, origin)
        except MisfitError as error:
            refused = error
            possible = further(possible, error.different)
            continue
        return Description(name, converter, chosen, config, body, own, possible, stream)
    assert refused is not None
    raise refused


def _fitting_config(
    body: Spec, name: str, converter: ConverterConfig, architecture: str, origin: Mapping[str, Any]
) -> dict[str, Any]:
    """The config.json of a spec.

    Raises:
        MisfitError: the spec is of another architecture.
    """
    try:
        config, model = _config(body, name, converter, architecture, origin)
        other = spec_of({"tp": 1, "model": model})
    except MisfitError as error:
        raise _unlike(name, error.reasons, compared=False, heads=error.heads) from None
    except TPError as error:
        raise _unlike(name, [reason(error)], compared=False) from None
    different = differences(body, other, name)
    if different:
        raise _unlike(name, list(different.values()), compared=True, different=different)
    return config


def without(config: Mapping[str, Any], paths: Collection[str], path: str = "") -> dict[str, Any]:
    """A config without the keys of these paths."""
    return {
        key: without(value, paths, f"{path}{key}.") if isinstance(value, dict) else value
        for key, value in config.items()
        if f"{path}{key}" not in paths
    }


def one_input(spec: Spec) -> Spec:
    """The spec reduced to a single input, if all its streams share their modules (SimCSE, SBERT); else the spec."""
    first, *others = spec.model.streams
    later = (spec.model.fusion, spec.model.decoder, spec.model.target_embedding)
    shared = others and all(spec.model.streams[name].same_as == first for name in others)
    if not shared or any(each is not None for each in later):
        return spec
    return replace(spec, model=spec.model._replace(streams={"": spec.model.streams[first]}))


def _config(
    spec: Spec, name: str, converter: ConverterConfig, architecture: str, origin: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The content of config.json, and the ``model:`` part of the spec to which it converts back.

    Keys of the original config.json that a conversion would refuse are left out.

    Raises:
        TPError: a key that the converter itself writes is refused.
    """
    own = converter.to_config(spec, architecture)
    config = _with_origin(spec, name, converter, architecture, origin, own)
    account = read_model(converter, completed(converter, config), architecture).account
    for path in list(account.refused):
        *parents, key = path.split(".")
        inside: Any = config
        known: Any = own
        for parent in parents:
            inside, known = inside[parent], known.get(parent, {})
        if path in converter.unwritten:
            del account.refused[path]
        elif key not in known:
            inside.pop(account.spelled.get(path, key))
            del account.refused[path]
    if account.refused:
        raise MisfitError([*account.refused.values()])
    return config, read_model(converter, completed(converter, config), architecture).model


def _with_origin(
    spec: Spec,
    name: str,
    converter: ConverterConfig,
    architecture: str,
    origin: Mapping[str, Any],
    own: dict[str, Any],
) -> dict[str, Any]:
    """The keys that the converter writes, and the other keys of the original config.json."""
    own, kept = dict(own), {}
    if origin.get("model_type") == name:
        aliases = converter.aliases
        kept = {k: v for k, v in origin.items() if k not in _NOT_KEPT and aliases.get(k, k) not in own}
        if kept.get("problem_type") not in REQUIRED["problem_type"]:
            del kept["problem_type"]  # of another head
        # Each part of a multimodal model has its own config.
        own |= {k: {**origin[k], **v} for k, v in own.items() if k.endswith("_config") and k in origin}
    special = {} if spec.data.vocabulary is None else spec.data.vocabulary.special
    roles = {f"{role}_token_id": special[role] for role in ("pad", "bos", "eos") if role in special}
    return {"architectures": [architecture], "model_type": name, **roles, **kept, **own}


def _unlike(
    name: str,
    reasons: list[str],
    compared: bool,
    heads: bool = True,
    different: Mapping[str, str] = MappingProxyType({}),
) -> MisfitError:
    error = MisfitError(reasons, compared, heads, different)
    error.args = (listed(f"the model is no '{name}':", reasons),)
    return error


def _with_heads(spec: Spec, name: str, converter: ConverterConfig, architecture: str | None) -> tuple[str, Spec]:
    """The architecture, and the spec reduced to the targets for which it has a head."""
    have = {target.instance_name for target in spec.model.targets}
    known = converter.architectures
    if architecture is not None:
        if architecture not in known:
            near = did_you_mean(architecture, known) or f"known: {', '.join(known)}"
            raise MisfitError([f"'{name}' has no architecture '{architecture}'; {near}"])
        possible = _possible_heads(converter, known[architecture])
        found = next((set(heads) for heads in possible if set(heads) <= have), None)
        if found is None:
            wanted = {head: (head, *converter.head_variants.get(head, ())) for head in known[architecture]}
            lacking = " and no ".join(" or ".join(each) for each in wanted.values() if have.isdisjoint(each))
            raise MisfitError([f"model.target has no {lacking}, which {architecture} has a head for"])
        kept = tuple(target for target in spec.model.targets if target.instance_name in found)
        return architecture, replace(spec, model=spec.model._replace(targets=kept))
    for each, heads in known.items():
        if any(set(possible) == have for possible in _possible_heads(converter, heads)):
            return each, spec
    every = dict.fromkeys(each for heads in known.values() for each in _possible_heads(converter, heads))
    forms = " or ".join(f"[{', '.join(heads)}]" for heads in every)
    reason = f"model.target is [{', '.join(sorted(have))}]; '{name}' has heads for {forms} (see --architecture)"
    raise MisfitError([reason], heads=False)


def _possible_heads(converter: ConverterConfig, heads: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The targets that may stand for the heads of an architecture, the usual ones first."""
    return list(product(*((head, *converter.head_variants.get(head, ())) for head in heads)))


def _unlike_all(failures: Mapping[str, MisfitError], came_from: str | None) -> str:
    # The farthest converters lack the heads; then follow those that could not be compared, then those that differ.
    ranks = {name: (not error.heads, not error.compared, len(error.reasons)) for name, error in failures.items()}
    nearest = came_from or min(ranks, key=lambda name: ranks[name], default="")
    if not nearest:
        return "no installed package offers a converter; pip install tp-text, for example"
    head = f"the model is of no architecture that can be converted ({', '.join(failures)}). "
    return listed(f"{head}It is nearest to '{nearest}', but:", failures[nearest].reasons)


def _like(architecture: str) -> str:
    every = [each for converter in usable_converters().values() for each in converter.architectures]
    near = did_you_mean(architecture, every)
    return f"; {near}" if near else ""
