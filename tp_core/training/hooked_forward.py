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

    def forward(self, batch: Batch, denominators: Mapping[str, Tensor]) -> ModelOutput:
        """Like :meth:`tp_core.Model.forward`.

        Raises:
            TPError: a hook does not return a ModelOutput.
        """
        output = self._forward(model=self.model, batch=batch, denominators=denominators)
        if not isinstance(output, ModelOutput):
            raise TPError(f"a hook's tp_forward gave back {output!r:.80}; expected the ModelOutput of the batch")
        return output
