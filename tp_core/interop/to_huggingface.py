"""From a model of ours to a Hugging Face folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tp_core import discovery
from tp_core.config import ConverterConfig
from tp_core.errors import CheckpointError, TPError
from tp_core.inference.load import build_tokenizer, find_model
from tp_core.interop.comparison import differences
from tp_core.interop.config_json import CONFIG, completed, load_converter
from tp_core.interop.folders import copy_tokenizer, reason, spec_of, tokenizer_folders, write_json
from tp_core.interop.from_huggingface import ORIGIN, Say, our_shapes
from tp_core.interop.matching import Link, WeightMap, listed
from tp_core.interop.parts import Unfit
from tp_core.interop.preprocessing import PREPROCESSOR, written
from tp_core.interop.shards import Planned, write_shards
from tp_core.interop.tensors import Tensors, open_files
from tp_core.spec.load import load_spec
from tp_core.spec.schema import Spec
from tp_core.suggest import did_you_mean

#: Keys of a config.json that say where it came from, or what is written anew.
_NOT_KEPT = frozenset({"architectures", "model_type", "dtype", "torch_dtype", "transformers_version", "_name_or_path"})


@dataclass(frozen=True)
class Description:
    """A spec in the terms of Hugging Face.

    Attributes:
        name: the converter's name, the ``model_type``.
        architecture: the class in transformers.
        config: config.json, without what depends on the weights.
        spec: the spec, with the targets that the architecture has a head for.
    """

    name: str
    converter: ConverterConfig
    architecture: str
    config: dict[str, Any]
    spec: Spec


def to_huggingface(
    source: Path, folder: Path, architecture: str | None, model_type: str | None, limit: int, say: Say
) -> None:
    """Write a model of ours into ``folder``, which exists and is empty.

    Args:
        limit: bytes of one file of weights.

    Raises:
        TPError: the model is of no architecture that a converter knows.
    """
    spec_file, weights = find_model(source, say)
    spec = load_spec(spec_file)
    origin = _origin(spec_file.parent / ORIGIN)
    found = describe(spec, architecture, model_type, origin)
    tensors = open_files([weights])
    _check_ours(tensors, our_shapes(spec), weights)
    config = completed(found.converter, found.config)
    weight_map = WeightMap(found.converter.weights(config), our_shapes(found.spec), found.name)
    _write(folder, weight_map, tensors, found, limit)
    write_json(folder / CONFIG, {**found.config, "torch_dtype": _dtype(tensors)})
    _write_tokenizer(spec, folder, say)
    preprocessing, notes = written(spec)
    if preprocessing is not None:
        write_json(folder / PREPROCESSOR, preprocessing)
    for note in notes:
        say(note)


def _write_tokenizer(spec: Spec, folder: Path, say: Say) -> None:
    if any(copy_tokenizer(place, folder) for place in tokenizer_folders(spec)):
        return
    tokenizer = build_tokenizer(spec)
    if tokenizer is not None and spec.data.tokenizer is not None and not tokenizer.to_huggingface(folder):
        kind = spec.data.tokenizer.name
        say(f"the tokenizer is not written: of '{kind}' only tp knows the form; transformers needs one of its own")


def _origin(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


# -- which architecture ------------------------------------------------------------------------------------------


def describe(
    spec: Spec, architecture: str | None, model_type: str | None, origin: Mapping[str, Any] | None = None
) -> Description:
    """Find the architecture of a spec.

    Args:
        architecture: a class in transformers, or None for the one whose heads are the spec's targets.
        model_type: the converter to use, or None for the one that fits.
        origin: the config.json that the model came with. Its architecture is tried first, and of its keys those stay
            that say nothing of the model itself.

    Raises:
        TPError: none fits, with the reasons; or several do, with the option that says which.
    """
    names = discovery.index().names("converter")
    origin = origin or {}
    came_from = origin.get("model_type")
    if model_type is not None:
        return _described(spec, model_type, architecture, origin)
    if architecture is not None:
        names = [name for name in names if architecture in load_converter(name).architectures]
        if not names:
            raise TPError(f"no installed converter has the architecture '{architecture}'{_like(architecture)}")
    if came_from in names:
        names = [str(came_from), *(name for name in names if name != came_from)]
    fitting: list[Description] = []
    failures: dict[str, Unfit] = {}
    for name in names:
        try:
            found = _described(spec, name, architecture, origin)
        except Unfit as error:
            failures[name] = error
            continue
        if name == came_from:
            return found
        fitting.append(found)
    if len(fitting) > 1:
        options = " or ".join(f"--model-type {each.name}" for each in fitting)
        raise TPError(f"the model is of several architectures at once; say which with {options}")
    if not fitting:
        raise TPError(_unlike_all(failures, str(came_from) if came_from in failures else None))
    return fitting[0]


def _described(spec: Spec, name: str, architecture: str | None, origin: Mapping[str, Any]) -> Description:
    converter = load_converter(name)
    try:
        chosen, spec = _with_heads(spec, name, converter, architecture)
        config = _config(spec, name, converter, chosen, origin)
        other = spec_of({"tp": 1, "model": converter.to_spec(completed(converter, config), chosen)})
    except Unfit as error:
        raise _unlike(name, error.reasons, compared=False, heads=error.heads) from None
    except TPError as error:
        raise _unlike(name, [reason(error)], compared=False) from None
    reasons = differences(spec, other, name)
    if reasons:
        raise _unlike(name, reasons, compared=True)
    return Description(name, converter, chosen, config, spec)


def _config(
    spec: Spec, name: str, converter: ConverterConfig, architecture: str, origin: Mapping[str, Any]
) -> dict[str, Any]:
    own, kept = converter.to_config(spec, architecture), {}
    if origin.get("model_type") == name:
        aliases = converter.aliases
        kept = {k: v for k, v in origin.items() if k not in _NOT_KEPT and aliases.get(k, k) not in own}
        # The parts of models of several modalities have a config each.
        own |= {k: {**origin[k], **v} for k, v in own.items() if k.endswith("_config") and k in origin}
    special = {} if spec.data.vocabulary is None else spec.data.vocabulary.special
    roles = {f"{role}_token_id": special[role] for role in ("pad", "bos", "eos") if role in special}
    return {"architectures": [architecture], "model_type": name, **roles, **kept, **own}


def _unlike(name: str, reasons: list[str], compared: bool, heads: bool = True) -> Unfit:
    error = Unfit(reasons, compared, heads)
    error.args = (listed(f"the model is no '{name}':", reasons),)
    return error


def _with_heads(spec: Spec, name: str, converter: ConverterConfig, architecture: str | None) -> tuple[str, Spec]:
    """The architecture, and the spec with the targets that it has heads for."""
    have = {target.called for target in spec.model.targets}
    known = converter.architectures
    if architecture is not None:
        if architecture not in known:
            near = did_you_mean(architecture, known) or f"known: {', '.join(known)}"
            raise Unfit([f"'{name}' has no architecture '{architecture}'; {near}"])
        lacking = [head for head in known[architecture] if head not in have]
        if lacking:
            raise Unfit([f"model.target has no {' and no '.join(lacking)}, which {architecture} has a head for"])
        kept = tuple(target for target in spec.model.targets if target.called in known[architecture])
        return architecture, replace(spec, model=spec.model._replace(targets=kept))
    for each, heads in known.items():
        if set(heads) == have:
            return each, spec
    forms = " or ".join(f"[{', '.join(heads)}]" for heads in dict.fromkeys(known.values()))
    reason = f"model.target is [{', '.join(sorted(have))}]; '{name}' has heads for {forms} (see --architecture)"
    raise Unfit([reason], heads=False)


def _unlike_all(failures: Mapping[str, Unfit], came_from: str | None) -> str:
    # One that could not even be compared is farther off than one that differs in many options; one without the heads,
    # farther still.
    ranks = {name: (not error.heads, not error.compared, len(error.reasons)) for name, error in failures.items()}
    nearest = came_from or min(ranks, key=lambda name: ranks[name], default="")
    if not nearest:
        return "no installed package offers a converter; pip install tp-text, for example"
    head = f"the model is of no architecture that can be converted ({', '.join(failures)}). "
    return listed(f"{head}It is nearest to '{nearest}', but:", failures[nearest].reasons)


def _like(architecture: str) -> str:
    every = [each for name in discovery.index().names("converter") for each in load_converter(name).architectures]
    near = did_you_mean(architecture, every)
    return f"; {near}" if near else ""


# -- writing -----------------------------------------------------------------------------------------------------


def _check_ours(tensors: Tensors, shapes: Mapping[str, tuple[int, ...]], file: Path) -> None:
    wrong = [f"'{name}' is missing" for name in shapes if name not in tensors.shapes]
    wrong += [f"'{name}' is superfluous" for name in tensors.shapes if name not in shapes]
    wrong += [
        f"'{name}' has shape {tensors.shapes[name]}; expected {shape}"
        for name, shape in shapes.items()
        if name in tensors.shapes and tensors.shapes[name] != shape
    ]
    if wrong:
        raise CheckpointError(listed(f"{file}: the weights do not fit the spec:", wrong))


def _write(folder: Path, weight_map: WeightMap, tensors: Tensors, found: Description, limit: int) -> None:
    places = {name: (link, at) for link in weight_map.links for at, name in enumerate(link.theirs)}
    copies = {copy.theirs: copy.of for copy in weight_map.copies}
    computed = {entry.theirs: entry for entry in weight_map.computed}
    usual = next(iter(tensors.dtypes.values()))
    # The body alone is saved without the name under which models with a head have it.
    prefix = "" if found.converter.architectures[found.architecture] else found.converter.prefix
    names = {name.removeprefix(prefix): name for name in weight_map.theirs()}

    def place(whole: str) -> tuple[Link, int]:
        return places[copies[whole] if whole not in places else whole]

    def dtype(whole: str) -> torch.dtype:
        return usual if whole in computed else tensors.dtypes[place(whole)[0].ours]

    def read(name: str) -> Tensor:
        whole = names[name]
        if whole in computed:
            return computed[whole].values()
        link, at = place(whole)
        parts = link.rule.split(tensors.read(link.ours))
        return parts[at]

    shapes = weight_map.theirs()
    planned = [Planned(name, shapes[whole], dtype(whole)) for name, whole in names.items()]
    write_shards(folder, planned, read, limit)


def _dtype(tensors: Tensors) -> str:
    dtypes = {dtype for dtype in tensors.dtypes.values() if dtype.is_floating_point}
    return str(dtypes.pop() if len(dtypes) == 1 else torch.float32).removeprefix("torch.")
