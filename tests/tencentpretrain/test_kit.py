"""The modules of the package keep the contracts of their kinds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.tencentpretrain.shapes import SHAPES
from tests.tencentpretrain.test_shapes import write
from tp_core.testing import check_module
from tp_tencentpretrain.norms.options import UnbiasedLayerNormConfig, UnbiasedLayerNormTwiceConfig


@pytest.mark.parametrize("name", ["unbiased_layernorm", "unbiased_layernorm_twice"])
def test_norms_conform(name: str) -> None:
    check_module(name, "norm")


def test_weights_of_segments_conform() -> None:
    check_module("segment_weights", "embedding")
    check_module("segment_prefix", "embedding")
    check_module("padded_segments", "embedding")


def test_the_format_conforms(tmp_path: Path) -> None:
    write(tmp_path, SHAPES["bert"])
    check_module("tencentpretrain", "format", model=tmp_path)


def drawn(module: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module


def formula(states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float) -> torch.Tensor:
    """The norm in double precision."""
    states, size = states.double(), states.shape[-1]
    mean = states.sum(-1, keepdim=True) / size
    spread = ((states - mean).square().sum(-1, keepdim=True) / (size - 1)).sqrt()
    return weight.double() * (states - mean) / (spread + eps) + bias.double()


@pytest.mark.parametrize("eps", [1e-6, 1e-2])
@pytest.mark.parametrize("size", [2, 7, 64])
def test_a_norm_is_its_formula(size: int, eps: float) -> None:
    norm: Any = drawn(UnbiasedLayerNormConfig(eps=eps).build(size))
    states = torch.randn(3, 5, size) * 2 + 1
    assert torch.allclose(norm(states).double(), formula(states, norm.weight, norm.bias, eps), atol=1e-5)


def test_a_norm_twice_is_two_norms() -> None:
    norm: Any = drawn(UnbiasedLayerNormTwiceConfig().build(8)).eval()
    states = torch.randn(2, 8)
    first = formula(states, norm.first.weight, norm.first.bias, 1e-6)
    assert torch.allclose(norm(states).double(), formula(first, norm.second.weight, norm.second.bias, 1e-6), atol=1e-5)
