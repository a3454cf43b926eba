"""Dropout drops elements by chance, keeps the expectation, and is a function of PyTorch's generator."""

from __future__ import annotations

import pytest
import torch

from tp_core.modules.layers.dropout import Dropout, dropout


@pytest.mark.parametrize("chance", [0.01, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_elements_are_dropped_by_chance_and_the_others_grow(chance: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    values = torch.ones(301, 997, dtype=dtype)
    found = dropout(values, chance)
    deviation = (chance * (1 - chance) / values.numel()) ** 0.5
    assert (found == 0).double().mean().item() == pytest.approx(chance, abs=5 * deviation + 1 / 65536)
    kept = found[found != 0].double()
    assert kept.unique().tolist() == [pytest.approx(1 / (1 - chance), rel=1e-2 if dtype == torch.bfloat16 else 2e-4)]


def test_elements_are_dropped_independently() -> None:
    torch.manual_seed(0)
    dropped = (dropout(torch.ones(4096, 64), 0.3) == 0).double()
    for step in range(1, 9):  # four elements share one random number
        together = (dropped[:, step:] * dropped[:, :-step]).mean().item()
        assert together == pytest.approx(0.09, abs=0.005)


def test_gradients_pass_where_values_did() -> None:
    values = torch.randn(7, 5, 3).transpose(0, 1).requires_grad_()
    found = dropout(values, 0.4)
    found.sum().backward()
    assert values.grad is not None
    assert torch.equal(values.grad == 0, found == 0)
    assert torch.allclose(values.grad * values, found)


def test_the_generator_decides_alone() -> None:
    def drawn(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return torch.stack([dropout(torch.ones(33), 0.5), dropout(torch.ones(33), 0.5)])

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))
    assert not torch.equal(*drawn(1))


def test_nothing_is_dropped_without_training_or_chance() -> None:
    values = torch.randn(5, 5)
    layer = Dropout(0.5)
    assert not torch.equal(layer(values), values)
    assert layer.eval()(values) is values or torch.equal(layer(values), values)
    assert torch.equal(dropout(values, 0.0), values)
    assert dropout(torch.empty(0, 3), 0.5).shape == (0, 3)


@pytest.mark.parametrize("mask", ["causal", "fully_visible"])
@pytest.mark.parametrize("groups", [4, 2])
def test_attention_with_dropout_is_on_average_attention_without(mask: str, groups: int) -> None:
    from tp_core.modules.mixers.attention import Prepared, SelfAttention
    from tp_core.modules.mixers.attention_options import AttentionConfig
    from tp_core.options.context import BuildContext

    options = AttentionConfig(num_heads=4, num_key_value_heads=groups, dropout=0.2, init_std=0.3)
    torch.manual_seed(0)
    attention = SelfAttention(options, BuildContext(hidden_size=16))
    for module in attention.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    states = torch.randn(2, 6, 16)
    visible = torch.tensor([[True] * 6, [True] * 4 + [False] * 2]).view(2, 1, 1, 6)

    def prepared(copies: int) -> Prepared:
        if mask == "causal":
            return Prepared(None, True, None)
        return Prepared(visible.repeat(copies, 1, 1, 1), False, None)

    expected, _ = attention.eval()(states, prepared(1))
    attention.train()
    many, _ = attention(states.repeat(4000, 1, 1), prepared(4000))
    found = many.view(4000, *states.shape).mean(dim=0)
    assert (found - expected).abs().max() < 0.05 * expected.abs().max()
