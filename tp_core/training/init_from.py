"""Initialisation from trained models: from one for the whole model, or from one per part."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from torch import Tensor

from tp_core.artifacts.contents import kept_contents
from tp_core.artifacts.find import find_model
from tp_core.artifacts.specs import read_spec
from tp_core.artifacts.token_makers import unlike_ids, unlike_labels
from tp_core.artifacts.vocabularies import unlike_classes, unlike_options, unlike_sets, unlike_vocabularies
from tp_core.artifacts.weights import read_weights
from tp_core.data.build import tokenizers_of
from tp_core.errors import CheckpointError, TPError
from tp_core.interfaces import Tokenizer
from tp_core.model import Model, meta_model
from tp_core.spec.choices.part_names import key_of
from tp_core.training.initial_weights import Group, InitialWeights, grouped

#: Loads whole tensors into a model; weights whose names begin with one of the prefixes may be missing.
Load = Callable[[Model, Mapping[str, Tensor], Iterable[str]], tuple[list[str], list[str]]]

#: Stream name for the parts of a model without named streams.
_BODY = ("embedding.", "encoder.")


def initialise_from(
    model: Model,
    sources: Mapping[str, str],
    say: Callable[[str], None],
    tokenizers: Mapping[str, Tokenizer] = MappingProxyType({}),
    require: Collection[str] = (),
    load: Load = Model.load_weights,
) -> InitialWeights:
    """Initialise a model from the weights of other models.

    Args:
        sources: part → path, as in :attr:`tp_core.spec.schema.Spec.init_from`. The empty name stands for the whole body
            and the targets with the same names.
        tokenizers: tokenizers of the model, by key of ``data``.
        require: as in :attr:`tp_core.spec.schema.Spec.require_init`.
        load: loads whole tensors into the model: :meth:`tp_core.Strategy.load_weights`, or the model's own method.

    Returns:
        What was loaded, what starts at random, and what was not used; also told by ``say``.

    Raises:
        CheckpointError: a weight of the body or of a named part is missing or has another shape, or a requirement does
            not hold. If parts are named, embedding modules that the other model lacks completely are initialised from
            scratch.
    """
    weights = model.weights()
    reasons = dict.fromkeys(weights, "init_from names no model for it")
    sizes = {name: value.numel() for name, value in weights.items()}
    theirs, used = dict[str, dict[str, int]](), dict[str, set[str]]()  # path → sizes of its tensors, names of used ones
    for part, path in sources.items():
        spec_file, file = find_model(path, say)
        tensors = read_weights(file)
        try:
            taken = _load_part(model, part, tensors, load) if part else _load_whole(model, tensors, load)
        except CheckpointError as error:
            raise CheckpointError(f"init_from {path}: {error}") from None
        own, other = _prefixes(model, part, tensors)
        for name in weights:
            if name in taken:
                reasons.pop(name, None)
            elif name.startswith(own):
                reasons[name] = _reason(weights[name], tensors.get(other + name[len(own) :]), path)
        theirs[path] = {name: tensor.numel() for name, tensor in tensors.items()}
        used.setdefault(path, set()).update(taken.values())
        say(f"loaded {len(taken)} weights{f' of {part}' if part else ''} from {path}")
        required = "vocabulary" in require
        if difference := _unlike(model, list(taken), tokenizers, (spec_file, file), say, required):
            if required:
                raise CheckpointError(f"init_from {path}: require_init asks for the same vocabulary: {difference}")
            say(f"init_from {path}: {difference}")
    report = InitialWeights(
        sum(sizes.values()),
        grouped(sizes, reasons),
        {path: left for path, others in theirs.items() if (left := _left(others, used[path]))},
        any(not name.startswith("targets.") for name in weights if name not in reasons),
    )
    if reasons and "weights" in require:
        message = f"require_init asks for all weights, and there are none for {_modules(reasons)}"
        raise CheckpointError(f"init_from {', '.join(dict.fromkeys(sources.values()))}: {message}")
    for line in report.lines():
        say(line)
    return report


def _load_whole(model: Model, tensors: Mapping[str, Tensor], load: Load) -> dict[str, str]:
    """Load the body and the targets of the same names; returns the names of loaded weights, as own name → theirs."""
    missing = frozenset(load(model, tensors, ("targets.",))[0])
    return {name: name for name in model.weights() if name not in missing}


def _reason(own: Tensor, other: Tensor | None, path: str) -> str:
    """The reason why a weight of a loaded part starts at random."""
    if other is None:
        return f"not in {path}"
    return f"its shape is {tuple(other.shape)} in {path}, {tuple(own.shape)} here"


def _left(sizes: Mapping[str, int], used: Collection[str]) -> list[Group]:
    """The weights of another model that were not used."""
    return grouped(sizes, {name: "" for name in sizes if name not in used})


def _unlike(
    model: Model,
    loaded: list[str],
    own: Mapping[str, Tokenizer],
    files: tuple[Path, Path],
    say: Callable[[str], None],
    required: bool,
) -> str:
    """Describe how the meaning of loaded rows differs in the other model; empty if it does not.

    Args:
        files: the other model's spec and weights.
        say: also told of options of targets that differ.
        required: True to report an unknown vocabulary as different.
    """
    sides = _sides(model, loaded) if own else []
    targets = [name for name in model.named_targets() if any(n.startswith(f"targets.{key_of(name)}.") for n in loaded)]
    numbered = any("task_ids" in fields for fields in model.fields().sides.values())
    if not (sides or targets or numbered):
        return ""
    try:
        spec, changed = read_spec(*files, say)
        others = tokenizers_of(spec)
    except TPError as error:
        return f"its vocabulary cannot be compared with this model's: {error}" if sides else ""
    if changed and required:
        return f"files that it reads have changed since it was trained: {changed}"
    if sides and not others:
        return "it comes without a tokenizer, so its vocabulary is not known" if required else ""
    for difference in unlike_options(model.spec, spec, targets):
        say(difference)
    trained = kept_contents(files[1].parent)
    images = (model.spec.data.extra_ids(), spec.data.extra_ids())
    return (
        unlike_vocabularies(own, others, sides, images)
        or (unlike_ids(model.spec, spec, trained, required) if "tokenizer" in sides else "")
        or unlike_labels(model.spec, spec, targets, trained, required)
        or unlike_classes(model.spec, spec, dict(zip(targets, targets)))
        or (unlike_sets(model.spec, spec) if numbered else "")
    )


def _sides(model: Model, loaded: list[str]) -> list[str]:
    """The keys of the tokenizers whose ids index rows of loaded weights."""
    sizes = model.spec.model
    by_side: dict[str, dict[str, Any]] = {"tokenizer": {"vocab_size": sizes.vocab_size + 1}}
    if sizes.options.share_embeddings:  # shared embeddings need one size on both sides
        by_side["tokenizer"]["target_vocab_size"] = sizes.target_vocab_size + 1
    elif sizes.target_embedding is not None:
        by_side["target_tokenizer"] = {"target_vocab_size": sizes.target_vocab_size + 1}
    shapes = {name: model.weights()[name].shape for name in loaded}
    found = []
    for side, larger in by_side.items():
        other = meta_model(replace(model.spec, model=sizes._replace(**larger))).weights()
        if any(other[name].shape != shape for name, shape in shapes.items()):
            found.append(side)
    if sizes.options.share_embeddings and found:
        found.append("target_tokenizer")
    return found


def _own(model: Model, part: str) -> str:
    """The common prefix of a part's weight names: of a stream, of a component, or empty for the whole model."""
    if part and part in model.spec.model.streams:
        return f"streams.{key_of(part)}."
    return "" if not part else "targets." if part == "target" else f"{part}."


def _prefixes(model: Model, part: str, tensors: Mapping[str, Tensor]) -> tuple[str, str]:
    """The common prefix of a part's weight names here, and in the other model: a stream may be a whole model there."""
    own = _own(model, part)
    alone = own.startswith("streams.") and not any(name.startswith(own) for name in tensors)
    return own, "" if alone else own


def _load_part(model: Model, part: str, tensors: Mapping[str, Tensor], load: Load) -> dict[str, str]:
    """Load one part; returns the names of loaded weights, as own name → theirs."""
    (own, theirs), weights = _prefixes(model, part, tensors), model.weights()
    taken, lacking = dict[str, str](), list[str]()
    if own and not theirs and not any(name.startswith(_BODY) for name in tensors):
        raise CheckpointError(f"the model has no stream '{part}', and no encoder without streams")
    for name in weights:
        if not name.startswith(own):
            continue
        source = theirs + name[len(own) :]
        if source in tensors and (part != "target" or tensors[source].shape == weights[name].shape):
            taken[name] = source
        elif part != "target" and not _is_new_module(source, tensors):
            lacking.append(source)
    if lacking:
        more = f" and {len(lacking) - 4} more" if len(lacking) > 4 else ""
        raise CheckpointError(f"it has no {', '.join(lacking[:4])}{more}, which {part} needs")
    if not taken:
        raise CheckpointError(f"it has no weight that {part} could take")
    found = {name: tensors[source] for name, source in taken.items()}
    load(model, found, [name for name in weights if name not in found])
    return taken


def _is_new_module(source: str, tensors: Mapping[str, Tensor]) -> bool:
    """True for a weight of an embedding module that the other model lacks completely."""
    before, inside, rest = source.partition("embedding.parts.")
    module = f"{before}{inside}{rest.partition('.')[0]}."
    return bool(inside) and not any(name.startswith(module) for name in tensors)


def _modules(names: Iterable[str]) -> str:
    """The names of the modules that own the weights, shortened."""
    depth = {"streams": 5, "embedding": 3}
    return ", ".join(sorted({".".join(name.split(".")[: depth.get(name.split(".")[0], 2)]) for name in names}))
