"""Moves of embedding weights for adversarial training: which weights, along which direction, and back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from tp_core.errors import TPError
from tp_core.model import Model, Stream, meta_model
from tp_core.modules.embeddings.component import EmbeddingComponent
from tp_core.spec.choices.part_names import key_of
from tp_core.spec.schema import Spec
from tp_core.suggest import did_you_mean
from tp_core.training.hooks.options import AdversarialConfig
from tp_core.training.strategies.base import Strategy

#: The weights of one embedding module, which move together.
Weights = list[nn.Parameter]


def check_moves(spec: Spec, name: str, parts: Sequence[str] | None) -> Iterator[str]:
    """Messages about the embedding modules that a hook moves, and about other hooks that move some.

    Args:
        name: name of the hook.
        parts: its option ``parts``.
    """
    several = [hook.name for hook in spec.train.hooks if isinstance(hook.config, AdversarialConfig)]
    if len(several) > 1:
        if several[0] == name:
            yield (
                f"train.hooks: {' and '.join(several)} cannot be used together: each follows the gradient of all "
                "passes before it, also those of the other; choose one"
            )
        return
    try:
        moved_weights(meta_model(spec), name, parts)
    except TPError as error:
        yield str(error)


def moved_weights(model: Model, name: str, parts: Sequence[str] | None) -> list[Weights]:
    """The weights of each chosen embedding module. A weight that several modules share is in the first one's.

    Args:
        name: name of the hook.
        parts: names of modules, each with or without the name of its stream (``embedding`` without named streams,
            ``target_embedding`` on the decoder's side); None for the first module of each stream.

    Raises:
        TPError: the model has no such module, or it has no weights that are trained.
    """
    modules = _modules(model)
    option = f"train.hooks.{name}.parts"
    chosen = _first_of_streams(model) if parts is None else []
    for part in parts or ():
        found = [full for full in modules if part in (full, full.partition(".")[2])]
        if not found:
            known = dict.fromkeys([full.partition(".")[2] for full in modules])
            hint = did_you_mean(part, [*known, *modules]) or f"they are {', '.join(modules)}"
            raise TPError(f"{option}: the model has no embedding module '{part}'; {hint}")
        chosen += found
    seen, groups = set[int](), list[Weights]()
    for full in dict.fromkeys(chosen):
        own = [weight for weight in modules[full].parameters() if weight.requires_grad]
        if not own:
            raise TPError(
                f"{option}: the embedding module '{full}' has no weights that are trained; name others of: "
                f"{', '.join(modules)}"
            )
        new = [weight for weight in own if id(weight) not in seen]
        seen.update(map(id, new))
        groups += [new] if new else []
    return groups


def along_gradient(strategy: Strategy, weights: Weights, length: float) -> list[Tensor]:
    """A vector of a length in the direction of the gradient so far: length · g / ||g||₂, of all weights together.

    Zeros where no batch of the step reaches the weights, or where the gradient is not finite, as it may be in half
    precision.
    """
    gradients = [strategy.gradient(weight) for weight in weights]
    found = [gradient for gradient in gradients if gradient is not None]
    if not found:
        return [torch.zeros_like(weight) for weight in weights]
    norm = strategy.norm(found)
    factor = torch.where(torch.isfinite(norm) & (norm > 0), length / norm, 0.0)
    return [
        torch.zeros_like(weight) if gradient is None else torch.nan_to_num(gradient * factor, 0.0, 0.0, 0.0)
        for weight, gradient in zip(weights, gradients)
    ]


@contextlib.contextmanager
def moved(weights: Iterable[nn.Parameter], moves: Iterable[Tensor]) -> Iterator[None]:
    """A context in which moves are added to weights. Afterwards, the weights have their exact values from before."""
    pairs = [(weight, weight.detach().clone(), move) for weight, move in zip(weights, moves, strict=True)]
    try:
        with torch.no_grad():
            for weight, _, move in pairs:
                weight.add_(move)
        yield
    finally:
        with torch.no_grad():
            for weight, before, _ in pairs:
                weight.copy_(before)


def _components(model: Model) -> Mapping[str, EmbeddingComponent]:
    """The embedding components: by stream or as ``embedding``, and ``target_embedding``."""
    found: dict[str, EmbeddingComponent] = {}
    for name, stream in model.spec.model.streams.items():
        if stream.same_as:
            continue
        holder = model.streams[key_of(name)] if name else model
        assert isinstance(holder, Stream | Model)
        found[name or "embedding"] = holder.embedding
    if model.target_embedding is not None:
        found["target_embedding"] = model.target_embedding
    return found


def _modules(model: Model) -> dict[str, nn.Module]:
    """The embedding modules by the names of their component and their own: ``text.word``."""
    spec = model.spec.model
    listed = {name or "embedding": stream.embedding for name, stream in spec.streams.items() if not stream.same_as}
    if spec.target_embedding is not None:
        listed["target_embedding"] = spec.target_embedding
    return {
        f"{place}.{listed[place].key(module)}": component.parts[key_of(listed[place].key(module))]
        for place, component in _components(model).items()
        for module in listed[place].modules
    }


def _first_of_streams(model: Model) -> list[str]:
    streams = model.spec.model.streams
    return [
        f"{name or 'embedding'}.{stream.embedding.key(stream.embedding.modules[0])}"
        for name, stream in streams.items()
        if not stream.same_as
    ]
