"""Forward pass that hooks may change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from tp_core.errors import TPError
from tp_core.interfaces import Batch
from tp_core.model import Model
from tp_core.model_output import ModelOutput


class HookedForward(nn.Module):
    """Runs a model's forward pass through the hook ``tp_forward``.

    Args:
        hooks: the run's plugin manager.
    """

    def __init__(self, model: Model, hooks: Any) -> None:
        super().__init__()
        self.model = model
        self._forward = hooks.hook.tp_forward

    def forward(self, batch: Batch, denominators: Mapping[str, Tensor] | None) -> ModelOutput:
        """Like :meth:`tp_core.Model.forward`. Hooks always get denominators.

        Raises:
            TPError: a hook does not return a ModelOutput with a loss to train on.
        """
        if denominators is None:
            denominators = dict(zip(self.model.active(batch), self.model.denominators(batch)))
        return _checked(self._forward(model=self.model, batch=batch, denominators=denominators))


def _checked(output: Any) -> ModelOutput:
    if not isinstance(output, ModelOutput):
        raise TPError(f"a hook's tp_forward gave back {output!r:.80}; expected the ModelOutput of the batch")
    losses = {"loss": output.loss, **{f"losses['{name}']": loss for name, loss in output.losses.items()}}
    for name, loss in losses.items():
        if not isinstance(loss, Tensor) or loss.dim():
            found = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else f"{loss!r:.80}"
            raise TPError(f"a hook's tp_forward gave an output whose {name} is {found}; expected a scalar tensor")
    if not output.loss.requires_grad:
        raise TPError(
            "a hook's tp_forward gave an output whose loss has no gradient; compute it from the model's weights, not "
            "under torch.no_grad()"
        )
    return output
