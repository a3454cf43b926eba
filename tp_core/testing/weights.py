"""Checks of a module's weights: initialisation, training, saving and loading."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from tp_core.model import Model, build_model, meta_model
from tp_core.spec.schema import Spec
from tp_core.testing.batches import random_batch
from tp_core.testing.explained import explained
from tp_core.testing.features import run, sequences_of

_MAX_PASSES = 8


def check_initialisation(spec: Spec) -> Model:
    """Build a model on the meta device, initialise its weights, and return it.

    Raises:
        AssertionError: a tensor is not on the meta device, gets no value, or does not only depend on the seed.
    """
    with explained("building the model on the meta device"):
        model = meta_model(spec)
    for name, tensor in _tensors(model).items():
        assert tensor.is_meta, (
            f"{name} is made on {tensor.device} although the model is built on the meta device; create "
            "weights with torch.empty and set their values in reset_parameters()"
        )
    with explained("initialising the model"):
        model.materialise()
        _poison(model)
        model.initialise(seed=1)
    for name, tensor in _tensors(model).items():
        assert not tensor.is_floating_point() or not bool(tensor.isnan().any()), (
            f"{name} has no value after initialisation; {_owner(model, name)}.reset_parameters() must set it"
        )
    other = build_model(spec, seed=1)
    for (name, first), second in zip(_tensors(model).items(), _tensors(other).values()):
        assert torch.equal(first, second), (
            f"{name} differs between two models of the same seed; in reset_parameters(), only draw values from torch's "
            "own generator"
        )
    return model


def check_gradients(model: Model, lengths: list[int], unused: tuple[str, ...]) -> None:
    """Check forward and backward passes in training mode: the loss is finite and all weights get gradients.

    The check first changes the weights and does not restore them, because a layer with zero weights would block the
    gradients of the layers before it.
    """
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    model.train()
    wanting: dict[str, str] = {}
    for attempt in range(_MAX_PASSES):  # in a single pass, dropout and similar may exclude a weight
        with explained("the forward pass in training mode"):
            loss = model(random_batch(model, lengths, seed=attempt)).loss
        assert math.isfinite(loss.item()), f"the loss of a random batch is {loss.item()}"
        with explained("the backward pass"):
            loss.backward()
        wanting = _without_gradient(model, unused)
        if not wanting:
            break
    if wanting:
        name, why = next(iter(wanting.items()))
        more = f" (and {len(wanting) - 1} more weights)" if len(wanting) > 1 else ""
        raise AssertionError(
            f"{name} {why}{more}; remove it, use it in forward(), or list it in unused if this is intended"
        )
    for name, parameter in model.named_parameters():
        gradient = parameter.grad
        assert gradient is None or bool(gradient.isfinite().all()), f"the gradient of {name} is not finite"
    model.zero_grad(set_to_none=True)
    model.eval()


def _without_gradient(model: Model, unused: tuple[str, ...]) -> dict[str, str]:
    wanting: dict[str, str] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad or (unused and name.startswith(unused)):
            continue
        if parameter.grad is None:
            wanting[name] = "gets no gradient"
        elif not bool(parameter.grad.any()):
            wanting[name] = "gets a gradient of zero from every batch"
    return wanting


def check_round_trip(spec: Spec, model: Model, lengths: list[int]) -> None:
    """Check that saved weights, loaded into a new model, give the same features."""
    with explained("loading the weights into a new model"):
        restored = meta_model(spec).materialise()
        _poison(restored)
        restored.load_weights({name: tensor.clone() for name, tensor in model.weights().items()})
    for name, tensor in _tensors(restored).items():
        assert not tensor.is_floating_point() or not bool(tensor.isnan().any()), (
            f"{name} has no value after loading weights; save it with the weights (a persistent buffer), "
            "or put it into a module without parameters whose reset_parameters() computes it"
        )
    batch = random_batch(model, lengths)
    before, after = sequences_of(run(model, batch)), sequences_of(run(restored.eval(), batch))
    for name, sequence in before.items():
        assert torch.equal(sequence.states, after[name].states), (
            "features change when the weights are saved and loaded; they depend on a value that is neither a "
            "parameter nor a buffer"
        )


def _tensors(model: Model) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _poison(model: nn.Module) -> None:
    """Set all floating-point values to NaN, so that the use of an uninitialised value becomes visible."""
    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            if tensor.is_floating_point():
                tensor.fill_(math.nan)


def _owner(model: Model, name: str) -> str:
    return type(model.get_submodule(name.rpartition(".")[0])).__name__
