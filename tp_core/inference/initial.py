"""Starting from the weights of trained models: of one as a whole, or of one for each part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from torch import Tensor

from tp_core.errors import CheckpointError
from tp_core.inference.load import find_model, read_weights
from tp_core.model import Model
from tp_core.spec.schema_common import key_of

#: What a model without streams of that name gives for a stream.
_BODY = ("embedding.", "encoder.")


def initialise_from(model: Model, sources: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Start from other models' weights.

    Args:
        sources: as :attr:`tp_core.spec.schema.Spec.init_from` has them: part → path, with the empty name for all of the
            body and those of the targets that have the same names.

    Raises:
        CheckpointError: a weight of the body, or of a named part, is missing or has another shape. Modules of an
            embedding that the other model does not have at all are new, where a part is named.
    """
    for part, path in sources.items():
        _, file = find_model(path, say)
        tensors = read_weights(file)
        try:
            if part:
                missing, unused = _load_part(model, part, tensors), list[str]()  # what was not asked for is not unused
            else:
                missing, unused = model.load_weights(tensors, optional=("targets.",))
        except CheckpointError as error:
            raise CheckpointError(f"init_from {path}: {error}") from None
        total = sum(name.startswith(_own(model, part)) for name in model.weights())
        rest = f"; new: {_modules(missing)}" if missing else ""
        rest += f"; unused: {_modules(unused)}" if unused else ""
        say(f"loaded {total - len(missing)} weights{f' of {part}' if part else ''} from {path}{rest}")


def _own(model: Model, part: str) -> str:
    """The beginning of the names of a part's weights: of a stream, of a component, or of the whole."""
    if part and part in model.spec.model.streams:
        return f"streams.{key_of(part)}."
    return "" if not part else "targets." if part == "target" else f"{part}."


def _load_part(model: Model, part: str, tensors: Mapping[str, Tensor]) -> list[str]:
    """Load one part; gives back the names of its weights that are new."""
    own, weights = _own(model, part), model.weights()
    theirs = own
    if own.startswith("streams.") and not any(name.startswith(own) for name in tensors):
        theirs = ""
        if not any(name.startswith(_BODY) for name in tensors):
            raise CheckpointError(f"the model has no stream '{part}', and no encoder without streams")
    found, new, lacking = dict[str, Tensor](), list[str](), list[str]()
    for name in weights:
        if not name.startswith(own):
            continue
        source = theirs + name[len(own) :]
        fits = source in tensors and (part != "target" or tensors[source].shape == weights[name].shape)
        if fits:
            found[name] = tensors[source]
        elif part == "target" or _is_new_module(source, tensors):
            new.append(name)
        else:
            lacking.append(source)
    if lacking:
        more = f" and {len(lacking) - 4} more" if len(lacking) > 4 else ""
        raise CheckpointError(f"it has no {', '.join(lacking[:4])}{more}, which {part} needs")
    if not found:
        raise CheckpointError(f"it has no weight that {part} could take")
    model.load_weights({**weights, **found})
    return new


def _is_new_module(source: str, tensors: Mapping[str, Tensor]) -> bool:
    """Whether a weight belongs to a module of an embedding of which the other model has nothing."""
    before, inside, rest = source.partition("embedding.parts.")
    module = f"{before}{inside}{rest.partition('.')[0]}."
    return bool(inside) and not any(name.startswith(module) for name in tensors)


def _modules(names: Iterable[str]) -> str:
    """The modules that weights belong to, in short."""
    depth = {"streams": 5, "embedding": 3}
    return ", ".join(sorted({".".join(name.split(".")[: depth.get(name.split(".")[0], 2)]) for name in names}))
