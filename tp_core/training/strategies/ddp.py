"""Data parallelism with torch's DistributedDataParallel, started by torchrun."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from tp_core.errors import TPError
from tp_core.model_output import ModelOutput
from tp_core.processes.torch_group import TorchGroup
from tp_core.training.strategies.base import Strategy
from tp_core.training.strategies.loss_alone import LossAlone, forgo_warning
from tp_core.training.strategies.options import DdpConfig

if TYPE_CHECKING:
    from tp_core.interfaces import Batch

#: Parts of torch's errors if ``static_graph`` is set, but steps train different parameters.
_NOT_STATIC = ("training graph has changed", "static_graph set to True")


class DdpStrategy(Strategy):
    """Every process holds the whole model; gradients are averaged during the last backward pass of a step.

    Raises:
        TPError: the environment variables are inconsistent.
    """

    def __init__(self, config: DdpConfig) -> None:
        super().__init__()
        self.config = config
        self.processes = TorchGroup(config.start_timeout, "train.strategy.ddp.start_timeout")
        self._parameters: list[tuple[str, nn.Parameter]] = []
        self._untrained: list[bool] | None = None  # static_graph: True without a gradient in the first step

    def wrap(self, module: nn.Module) -> nn.Module:
        self._parameters = list(module.named_parameters())
        if not self.config.static_graph:
            forgo_warning()
        return DistributedDataParallel(
            LossAlone(module),
            device_ids=[self.device] if self.device.type == "cuda" else None,
            bucket_cap_mb=self.config.bucket_mb,
            gradient_as_bucket_view=True,
            static_graph=self.config.static_graph,
            # A batch need not reach all parameters: it may lack inputs of targets and streams, some parts are read by
            # no target, and branches may depend on the data. The search costs 0.3 ms of a step of a BERT-base.
            find_unused_parameters=not self.config.static_graph,
        )

    def forward(self, module: nn.Module, batch: Batch, denominators: Mapping[str, Tensor] | None) -> ModelOutput:
        assert isinstance(module, DistributedDataParallel)
        assert isinstance(module.module, LossAlone)
        loss = module(batch, denominators)
        return replace(module.module.take(), loss=loss)

    def forward_backward(
        self, module: nn.Module, batch: Batch, denominators: Mapping[str, Tensor] | None, last: bool
    ) -> ModelOutput:
        if not self.config.static_graph:
            return super().forward_backward(module, batch, denominators, last)
        try:
            output = super().forward_backward(module, batch, denominators, last)
        except RuntimeError as error:
            if any(sign in str(error) for sign in _NOT_STATIC):
                raise _not_static("the weights that have a gradient are others") from error
            raise
        if last:
            untrained = [parameter.grad is None for _, parameter in self._parameters]
            self._untrained = self._untrained or untrained
            if untrained != self._untrained:
                pairs = zip(self._parameters, untrained, self._untrained)
                name = next(name for (name, _), now, before in pairs if now != before)
                raise _not_static(f"'{name}' has a gradient in one of them only")
        return output

    def no_sync(self, module: nn.Module) -> AbstractContextManager[Any]:
        assert isinstance(module, DistributedDataParallel)
        if self.config.static_graph and self._untrained is None:
            # Torch learns the graph from the first backward pass, which must average gradients. Averaged gradients stay
            # unchanged in the next pass.
            return contextlib.nullcontext()
        return module.no_sync()


def _not_static(found: str) -> TPError:
    return TPError(
        "train.strategy.ddp.static_graph: true promises that every step trains the same parameters, and this step does "
        f"not train those of the first one ({found}); leave static_graph out"
    )
