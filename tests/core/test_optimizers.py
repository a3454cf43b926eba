"""Optimizers: the papers' formulas in float64, parameter groups, and state that survives saving."""

from __future__ import annotations

import copy
import io
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from tp_core.errors import TPError
from tp_core.training.config import (
    TABLES,
    AdafactorConfig,
    AdamWConfig,
    LionConfig,
    OptimizerConfig,
    SgdConfig,
)
from tp_core.training.optimizers import Lion, build_optimizer, parameter_groups

STEPS = 6
RATES = [0.0, 0.01, 0.02, 0.015, 0.01, 0.005]
Array = NDArray[np.float64]


def small_config(name: str, **options: Any) -> OptimizerConfig:
    config = TABLES["optimizer"][name](**{"lr": 0.02, "weight_decay": 0.1, **options})
    assert isinstance(config, OptimizerConfig)
    return config


def gradients(shape: tuple[int, ...], scale: float = 1.0) -> list[Array]:
    generator = np.random.default_rng(5)
    return [generator.standard_normal(shape) * scale for _ in range(STEPS)]


def run(
    name: str, config: OptimizerConfig, start: Array, grads: list[Array], dtype: torch.dtype = torch.float64
) -> Array:
    """The parameter after a step per gradient, with the learning rate set before each."""
    parameter = nn.Parameter(torch.tensor(start, dtype=dtype))
    optimizer = build_optimizer(name, config, [{"params": [parameter]}])
    for rate, grad in zip(RATES, grads):
        for group in optimizer.param_groups:
            group["lr"] = rate
        parameter.grad = torch.tensor(grad, dtype=dtype)
        optimizer.step()
    return parameter.detach().double().numpy()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_adamw_follows_the_paper(dtype: torch.dtype, tolerance: float) -> None:
    config = AdamWConfig(weight_decay=0.1, betas=[0.8, 0.95], eps=1e-6)
    start = np.random.default_rng(1).standard_normal((4, 3))
    grads = gradients((4, 3))
    expected, first, second = start.copy(), np.zeros_like(start), np.zeros_like(start)
    for t, (rate, grad) in enumerate(zip(RATES, grads), 1):
        expected = expected - rate * 0.1 * expected
        first = 0.8 * first + 0.2 * grad
        second = 0.95 * second + 0.05 * grad**2
        expected = expected - rate * (first / (1 - 0.8**t)) / (np.sqrt(second / (1 - 0.95**t)) + 1e-6)
    np.testing.assert_allclose(run("adamw", config, start, grads, dtype), expected, atol=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_lion_follows_the_paper(dtype: torch.dtype, tolerance: float) -> None:
    config = LionConfig(weight_decay=0.1, betas=[0.8, 0.95])
    start = np.random.default_rng(1).standard_normal((4, 3))
    grads = gradients((4, 3))
    expected, momentum = start.copy(), np.zeros_like(start)
    for rate, grad in zip(RATES, grads):
        update = np.sign(0.8 * momentum + 0.2 * grad)
        expected = expected - rate * (update + 0.1 * expected)
        momentum = 0.95 * momentum + 0.05 * grad
    np.testing.assert_allclose(run("lion", config, start, grads, dtype), expected, atol=tolerance)


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_follows_the_textbook(nesterov: bool) -> None:
    config = SgdConfig(weight_decay=0.1, momentum=0.9, nesterov=nesterov)
    start = np.random.default_rng(1).standard_normal((4, 3))
    grads = gradients((4, 3))
    expected, momentum = start.copy(), np.zeros_like(start)
    for rate, grad in zip(RATES, grads):
        decayed = grad + 0.1 * expected
        momentum = 0.9 * momentum + decayed
        expected = expected - rate * (decayed + 0.9 * momentum if nesterov else momentum)
    np.testing.assert_allclose(run("sgd", config, start, grads), expected, atol=1e-12)


@pytest.mark.parametrize("shape", [(4, 3), (2, 4, 3), (7,)])
@pytest.mark.parametrize("scale", [1.0, 1e-4])
def test_adafactor_follows_the_paper(shape: tuple[int, ...], scale: float) -> None:
    config = AdafactorConfig(weight_decay=0.1)
    start = np.random.default_rng(1).standard_normal(shape)
    grads = gradients(shape, scale)
    expected = start.copy()
    rows, columns, full = np.zeros((*shape[:-1], 1)), np.zeros((*shape[:-2], 1, shape[-1])), np.zeros(shape)
    for t, (rate, grad) in enumerate(zip(RATES, grads), 1):
        size = max(1e-3, np.sqrt(np.mean(expected**2))) * min(rate, 1 / np.sqrt(t))
        expected = expected - rate * 0.1 * expected
        keep, square = 1 - t**-0.8, grad**2 + 1e-30
        if len(shape) > 1:
            rows = keep * rows + (1 - keep) * square.mean(-1, keepdims=True)
            columns = keep * columns + (1 - keep) * square.mean(-2, keepdims=True)
            variance = rows * columns / rows.mean(-2, keepdims=True)
        else:
            variance = full = keep * full + (1 - keep) * square
        update = grad / np.sqrt(variance)
        update = update / max(1.0, np.sqrt(np.mean(update**2)) / 1.0)
        expected = expected - size * update
    np.testing.assert_allclose(run("adafactor", config, start, grads), expected, atol=1e-9)


def test_adafactor_keeps_rows_without_gradient_finite() -> None:
    start, grad = np.ones((3, 2)), np.zeros((3, 2))
    grad[0] = 1.0
    result = run("adafactor", AdafactorConfig(weight_decay=0.0), start, [grad] * 3, torch.float32)
    assert np.isfinite(result).all()
    np.testing.assert_array_equal(result[1:], start[1:])


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_fused_kernels_are_used_on_cpu(name: str) -> None:
    optimizer = build_optimizer(name, small_config(name), [{"params": [nn.Parameter(torch.zeros(2))]}])
    assert optimizer.defaults["fused"] is True


def test_parameters_on_a_device_without_fused_kernels_are_accepted() -> None:
    parameter = nn.Parameter(torch.zeros(2, device="meta"))
    optimizer = build_optimizer("adamw", AdamWConfig(), [{"params": [parameter]}])
    assert not optimizer.defaults["fused"]


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.word = nn.Embedding(11, 6)
        self.norm = nn.LayerNorm((3, 6))  # its weight has two dimensions
        self.rms = nn.RMSNorm(6)
        self.inner = nn.Linear(6, 6)
        self.output = nn.Linear(6, 11)
        self.output.weight = self.word.weight
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.output(self.rms(self.inner(self.norm(self.word(ids)))) * self.scale)
        return logits


def names(model: nn.Module, parameters: list[nn.Parameter]) -> set[str]:
    known = {id(p): name for name, p in model.named_parameters()}
    return {known[id(p)] for p in parameters}


def test_weight_decay_spares_biases_norms_and_scalars() -> None:
    model = Network()
    decayed, others = parameter_groups(model, AdamWConfig(weight_decay=0.1))
    assert names(model, decayed["params"]) == {"word.weight", "inner.weight"}
    assert names(model, others["params"]) == {
        "norm.weight", "norm.bias", "rms.weight", "inner.bias", "output.bias", "scale",
    }  # fmt: skip
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0.0)


def test_decay_all_decays_everything() -> None:
    model = Network()
    (group,) = parameter_groups(model, AdamWConfig(weight_decay=0.1, decay_all=True))
    assert names(model, group["params"]) == {name for name, _ in model.named_parameters()}


def test_a_shared_parameter_appears_once() -> None:
    groups = parameter_groups(Network(), AdamWConfig())
    ids = [id(p) for group in groups for p in group["params"]]
    assert len(ids) == len(set(ids)) == 8


def test_frozen_parameters_are_left_out_and_empty_groups_too() -> None:
    model = Network()
    for parameter in model.parameters():
        parameter.requires_grad = False
    model.scale.requires_grad = True
    (group,) = parameter_groups(model, AdamWConfig())
    assert names(model, group["params"]) == {"scale"}


def test_a_wholly_frozen_model_is_refused() -> None:
    with pytest.raises(TPError, match="frozen"):
        parameter_groups(nn.Linear(2, 2).requires_grad_(False), AdamWConfig())


def test_the_undecayed_group_does_not_decay() -> None:
    model = Network()
    config = small_config("lion", weight_decay=0.5)
    optimizer = build_optimizer("lion", config, parameter_groups(model, config))
    before = copy.deepcopy(model)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert torch.equal(model.norm.weight, before.norm.weight)
    torch.testing.assert_close(model.inner.weight, before.inner.weight * (1 - 0.02 * 0.5))


def train(model: Network, optimizer: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        for group in optimizer.param_groups:
            group["lr"] = 0.01 / (step + 1)
        ids = torch.randint(0, 11, (4, 3), generator=torch.Generator().manual_seed(step))
        nn.functional.cross_entropy(model(ids).flatten(0, 1), ids.flatten()).backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("name", TABLES["optimizer"])
def test_saved_state_continues_bit_for_bit(name: str) -> None:
    torch.manual_seed(3)
    config = small_config(name)
    whole = Network()
    optimizer = build_optimizer(name, config, parameter_groups(whole, config))
    train(whole, optimizer, range(3))

    file = io.BytesIO()
    torch.save({"model": whole.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    resumed = Network()
    resumed.load_state_dict(saved["model"])
    again = build_optimizer(name, config, parameter_groups(resumed, config))
    again.load_state_dict(saved["optimizer"])

    train(whole, optimizer, range(3, 6))
    train(resumed, again, range(3, 6))
    for expected, found in zip(whole.parameters(), resumed.parameters()):
        assert torch.equal(expected, found)


def test_lion_skips_parameters_without_gradient_and_returns_the_loss() -> None:
    used, unused = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = Lion([used, unused], lr=0.1, weight_decay=0.5)

    def closure() -> torch.Tensor:
        loss = used.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 2.0
    assert torch.equal(unused, torch.ones(2))
    assert list(optimizer.state) == [used]


def test_options_out_of_range_are_one_clear_message() -> None:
    groups = [{"params": [nn.Parameter(torch.zeros(2))]}]
    with pytest.raises(TPError, match="optimizer lion: betas"):
        build_optimizer("lion", LionConfig(betas=[1.0, 0.9]), groups)
    with pytest.raises(TPError, match="optimizer adafactor"):
        build_optimizer("adafactor", AdafactorConfig(clip_threshold=0.5), groups)


def test_an_unknown_optimizer_is_answered_with_the_nearest() -> None:
    with pytest.raises(TPError, match="did you mean 'adamw'"):
        build_optimizer("adam_w", OptimizerConfig(), [{"params": [nn.Parameter(torch.zeros(2))]}])


def test_adamw_without_bias_correction_follows_the_optimizer_of_bert() -> None:
    """Uncorrected moments in float64 (Devlin et al.'s optimizer), without weight decay."""
    config = AdamWConfig(lr=1e-2, weight_decay=0.0, bias_correction=False, eps=1e-12)
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64))
    optimizer = build_optimizer("adamw", config, [{"params": [weight], "weight_decay": 0.0}])
    expected, mean, square = weight.detach().clone(), torch.zeros(3).double(), torch.zeros(3).double()
    for step in range(5):
        gradient = torch.sin(torch.arange(3) + step).double() + 1.5
        weight.grad = gradient.clone()
        optimizer.param_groups[0]["lr"] = config.lr * config.lr_factor(step)
        optimizer.step()
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        expected -= config.lr * mean / square.sqrt()
    torch.testing.assert_close(weight.detach(), expected, rtol=1e-9, atol=0)
