"""A training step never waits for the device: no value of a tensor is asked for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tests.core.installed import option_class
from tp_core.options.optimizer import OptimizerConfig
from tp_core.training.optimizers.build import build_optimizer
from tp_core.training.strategies.options import SingleConfig
from tp_core.training.strategies.single import SingleStrategy
from tp_core.training.strategies.update import Update


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("adamw", {}),
        ("adamw", {"bias_correction": False}),
        ("lion", {}),
        ("adafactor", {}),
        ("adafactor", {"scale_parameter": True, "relative_step": True, "beta1": 0.9}),
    ],
)
def test_an_update_asks_for_no_value_of_a_tensor_on_a_cuda_device(name: str, options: dict[str, Any]) -> None:
    """Fake tensors have shapes and devices and no values; asking one for its value raises.

    Torch's fused kernel of SGD, which does not read any, cannot work with them.
    """
    from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

    config = option_class("optimizer", name)(**options)
    assert isinstance(config, OptimizerConfig)
    strategy = SingleStrategy(SingleConfig())
    strategy.device = torch.device("cuda")
    with FakeTensorMode():
        parameters = [nn.Parameter(torch.ones(4, 3, device="cuda")), nn.Parameter(torch.ones(5, device="cuda"))]
        update = Update(build_optimizer(config, [{"params": parameters}]), strategy, 1.0, half=True)
        for _ in range(2):
            for parameter in parameters:
                parameter.grad = torch.ones_like(parameter)
            norm, bad = update(0.1)
        with pytest.raises(DataDependentOutputException):
            bad.item()
        assert update.optimizer.unread
        assert {value.device.type for state in update.optimizer.state.values() for value in state.values()} == {"cuda"}
        assert norm.device.type == "cuda"
