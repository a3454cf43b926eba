"""The parts of a model that matter for its distribution: weights by unit, activations, what processes exchange."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tp_core.cost.invented_batches import invented_batch
from tp_core.cost.pricing import COMPUTE, length_of
from tp_core.cost.saved_activations import autocast_on_meta, saved_bytes
from tp_core.interfaces import Module, Share
from tp_core.model import Model, meta_model
from tp_core.spec.schema import Spec


@dataclass(frozen=True)
class ModelParts:
    """A model, or the part of it that a process computes.

    Attributes:
        weights: number of values of all weights.
        trained: number of values of trained weights.
        state: bytes of the optimizer's state.
        layers: number of values of each layer whose weights are joined at a time
            (:meth:`tp_core.interfaces.Module.repeated_layers`).
        kept: number of values of the layers whose weights stay joined between forward and backward pass.
        fixed: bytes of activations that do not depend on the number of samples.
        per_sample: bytes of activations of a sample.
        divided: number of values that processes exchange for a sample because they compute it together.
    """

    weights: int
    trained: int
    state: int
    layers: tuple[int, ...]
    kept: int
    fixed: int
    per_sample: int
    divided: int

    @property
    def root(self) -> int:
        """Number of values of the weights outside of the layers."""
        return self.weights - sum(self.layers)


def model_parts(spec: Spec, length: int | None = None, together: int = 1) -> ModelParts | None:
    """The parts of a spec's model, of which each process computes a share.

    Args:
        together: number of processes that compute a sample together (tensor parallelism).

    Returns:
        None if these processes cannot divide the model.

    Raises:
        RuntimeError: the model does not run without data.
    """
    model = meta_model(spec)
    linears: dict[int, str] = {}
    if together > 1:
        try:
            linears = _divided(model, together)
        except ValueError:
            return None
        if not linears:
            return None
    trained = [p for p in model.parameters() if p.requires_grad]
    layers: dict[int, int] = {}
    kept = 0
    for module in model.modules():
        own = list(module.repeated_layers()) if isinstance(module, Module) else []
        for layer in own:
            layers[id(layer)] = sum(p.numel() for p in layer.parameters())
        kept += layers[id(own[-1])] if own else 0
    exchanged = _exchanged(spec, model, length, linears) if linears else 0
    one, two = (_activations(spec, model, length, samples) for samples in (1, 2))
    return ModelParts(
        weights=sum(p.numel() for p in model.parameters()),
        trained=sum(p.numel() for p in trained),
        state=spec.train.optimizer.config.state_memory(trained),
        layers=tuple(layers.values()),
        kept=kept,
        fixed=max(0, 2 * one - two),
        per_sample=max(0, two - one),
        divided=exchanged,
    )


def _divided(model: Model, together: int) -> dict[int, str]:
    """Give the linear layers of a model the sizes of a share; returns how each is divided."""
    share, found = Share(0, together, None), dict[int, str]()
    for module in list(model.modules()):
        if not isinstance(module, Module):
            continue
        for attribute, style in module.divide(share).items():
            layer = getattr(module, attribute)
            if style not in ("columns", "rows"):
                continue
            found[id(layer)] = style
            dim = 0 if style == "columns" else 1
            layer.weight = _cut(layer.weight, dim, together)
            if style == "columns" and layer.bias is not None:
                layer.bias = _cut(layer.bias, 0, together)
    return found


def _cut(weight: nn.Parameter, dim: int, count: int) -> nn.Parameter:
    size = weight.shape[dim] // count
    return nn.Parameter(weight.data.narrow(dim, 0, size).clone(), weight.requires_grad)


def _activations(spec: Spec, model: Model, length: int | None, samples: int) -> int:
    options = spec.train.options
    batch = invented_batch(model.fields(), [length_of(spec, length)] * samples, device="meta")
    model.train()
    model.checkpoint_activations(options.activation_checkpointing)
    return saved_bytes(model, batch, COMPUTE[options.precision])


def _exchanged(spec: Spec, model: Model, length: int | None, linears: dict[int, str]) -> int:
    """Values that the processes sum up for a sample: outputs of ``rows``, and gradients of inputs of ``columns``."""
    found = [0]

    def note(layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        found[0] += output.numel() if linears[id(layer)] == "rows" else given[0].numel()

    handles = [each.register_forward_hook(note) for each in model.modules() if id(each) in linears]
    batch = invented_batch(model.fields(), [length_of(spec, length)] * 2, device="meta")
    try:
        with torch.no_grad(), autocast_on_meta(COMPUTE[spec.train.options.precision]):
            model(batch)
    finally:
        for handle in handles:
            handle.remove()
    return found[0] // 2
