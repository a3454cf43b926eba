"""The hook ``rdrop``: two passes with different dropout, whose predictions are pulled together."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from tp_core.hookspecs import hookimpl
from tp_core.interfaces import Batch, Target
from tp_core.model import Model, meta_model
from tp_core.model_output import ModelOutput
from tp_core.suggest import did_you_mean
from tp_core.training.hooks.options import RDropConfig

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec

#: Name of the divergence among the losses of a step.
DIVERGENCE = "rdrop"


class RDrop:
    """Computes the loss of R-Drop (Wu et al., 2021) for one target of the model.

    ``(L₁ + L₂) / 2 + α · (KL(P₁ ‖ P₂) + KL(P₂ ‖ P₁)) / 2``, where L₁ and L₂ are the losses of two passes over the same
    batch, and P₁ and P₂ the target's distributions in them. The divergence is a mean over the rows that have a label,
    and is weighted like the loss of its target. The paper adds L₁ and L₂ instead of taking their mean, so that its α is
    twice this one. The mean keeps learning rates comparable with training without R-Drop.

    Batches that do not train the target have their usual loss. Metrics are those of the first pass.
    """

    def __init__(self, config: RDropConfig) -> None:
        self.config = config

    @hookimpl
    def tp_check(self, spec: Spec) -> Iterable[str]:
        able = _able(meta_model(spec))
        if not able:
            yield "train.hooks.rdrop: no target of the model has logits, whose distributions could be compared"
        elif self.config.target is None and len(able) > 1:
            yield f"train.hooks.rdrop.target: several targets have logits; choose one of: {', '.join(able)}"
        elif self.config.target is not None and self.config.target not in able:
            hint = did_you_mean(self.config.target, able) or f"those that have: {', '.join(able)}"
            yield f"train.hooks.rdrop.target: the model has no target '{self.config.target}' with logits; {hint}"
        if spec.train.options.compile:
            yield "train.hooks.rdrop: has passes of its own, which train.compile does not reach; leave compile out"

    @hookimpl
    def tp_forward(self, model: Model, batch: Batch, denominators: Mapping[str, Tensor]) -> ModelOutput | None:
        name = self.config.target or _able(model)[0]
        if name not in model.active(batch):
            return None
        (first, one, counted), (second, other, _) = (_pass(model, name, batch, denominators) for _ in range(2))
        rows = F.kl_div(one, other, reduction="none", log_target=True)
        rows = rows + F.kl_div(other, one, reduction="none", log_target=True)
        apart = torch.where(counted, rows.sum(dim=-1) / 2, 0.0).sum() / denominators[name].clamp(min=1)
        first.loss = (first.loss + second.loss) / 2 + self.config.alpha * model.loss_weights[name] * apart
        first.losses = {target: (loss + second.losses[target]) / 2 for target, loss in first.losses.items()}
        first.losses[DIVERGENCE] = apart.detach()
        return first


def _able(model: Model) -> list[str]:
    """The names of the targets that have logits."""
    return [name for name, target in model.named_targets().items() if type(target).logits is not Target.logits]


def _pass(
    model: Model, name: str, batch: Batch, denominators: Mapping[str, Tensor]
) -> tuple[ModelOutput, Tensor, Tensor]:
    """The output of a pass, the target's log probabilities (rows, classes), and a mask of the rows with a label."""
    target = model.named_targets()[name]
    features = model.encode(batch, readers=model.active(batch))
    states: list[list[Tensor]] = []
    device = next(model.parameters()).device
    # The logits of the loss are computed inside of the target. Its dropout must be the same in those that are compared.
    handle = target.register_forward_pre_hook(lambda *_: states.append(_random_states(device)))
    try:
        output = model.losses_of(features, batch, denominators)
    finally:
        handle.remove()
    with _random_states_of(device, states[0]):
        logits, counted = target.logits(model.view(features, name), batch)
    return output, logits.float().log_softmax(dim=-1), counted


def _random_states(device: torch.device) -> list[Tensor]:
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]


@contextlib.contextmanager
def _random_states_of(device: torch.device, states: list[Tensor]) -> Iterator[None]:
    """A context that begins with given random states of torch, and ends with those from before it."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.set_rng_state(states[0])
        if device.type == "cuda":
            torch.cuda.set_rng_state(states[1], device)
        yield
