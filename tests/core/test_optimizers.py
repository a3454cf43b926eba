"""Optimizers: the papers' formulas in float64, parameter groups, and state that survives saving."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.core.installed import names, option_class
from tests.core.optimizer_papers import PAPERS, Array, Paper
from tp_core.options.optimizer import OptimizerConfig
from tp_core.spec.sections.train import TrainOptions
from tp_core.training.optimizers import base
from tp_core.training.optimizers.build import build_optimizer
from tp_core.training.optimizers.options import AdafactorConfig
from tp_core.training.strategies.options import SingleConfig
from tp_core.training.strategies.single import SingleStrategy
from tp_core.training.strategies.update import Update

STEPS = 120
LR = 0.02
SHAPES = [(), (1,), (7,), (4, 3), (1, 6), (5, 1), (2, 4, 3), (3, 2, 3, 2)]

#: Each optimizer with the options that its update depends on.
OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("adamw", {}),
    ("adamw", {"betas": [0.8, 0.95], "eps": 1e-4, "weight_decay": 0.5}),
    ("adamw", {"bias_correction": False, "eps": 1e-4}),
    ("adamw", {"bias_correction": False, "betas": [0.0, 0.9], "weight_decay": 0.0}),
    ("sgd", {}),
    ("sgd", {"momentum": 0.0, "weight_decay": 0.5}),
    ("sgd", {"momentum": 0.7, "nesterov": True}),
    ("lion", {}),
    ("lion", {"betas": [0.5, 0.9], "weight_decay": 0.0}),
    ("adafactor", {}),
    ("adafactor", {"beta2_decay": -0.5, "clip_threshold": 0.5, "weight_decay": 0.5}),
    ("adafactor", {"scale_parameter": True}),
    ("adafactor", {"scale_parameter": True, "relative_step": True, "eps": [1e-8, 0.1]}),
    ("adafactor", {"beta1": 0.9, "clip_threshold": 10.0}),
]

#: Options that a second group has instead.
OTHERS: dict[str, dict[str, Any]] = {
    "adamw": {"betas": (0.5, 0.9), "bias_correction": False},
    "sgd": {"momentum": 0.3, "nesterov": False},
    "lion": {"betas": (0.7, 0.8)},
    "adafactor": {"clip_threshold": 0.3, "scale_parameter": True},
}


def config_of(name: str, **options: Any) -> OptimizerConfig:
    config = option_class("optimizer", name)(**{"lr": LR, "weight_decay": 0.1, **options})
    assert isinstance(config, OptimizerConfig)
    return config


def rate(step: int) -> float:
    """A learning rate that begins with zero and is another in each step."""
    return LR * min(step / 10, 1.0) * (1 - step / (2 * STEPS))


def some_gradients(seed: int = 5) -> Iterator[list[Array]]:
    """For every shape; small in some steps, zero in some rows and columns of the matrices, and large in some."""
    random = np.random.default_rng(seed)
    for step in range(STEPS):
        gradients = [random.standard_normal(shape) * 10.0 ** (step % 4 - 2) for shape in SHAPES]
        gradients[3][0] = 0.0
        gradients[6][:, :, 1] = 0.0
        yield gradients


def starts() -> list[Array]:
    random = np.random.default_rng(1)
    return [random.standard_normal(shape) * 2.0 for shape in SHAPES]


@dataclass
class Pair:
    """An optimizer with its update, and what the paper says of each of its parameters."""

    parameters: list[nn.Parameter]
    update: Update
    papers: list[Paper]
    factors: list[float]


def pair_of(name: str, options: dict[str, Any], clip: float | None, half: bool) -> Pair:
    """Parameters of all shapes in two groups, of which the second has options and a learning rate of its own."""
    parameters = [nn.Parameter(torch.tensor(start, dtype=torch.float32)) for start in starts()]
    config, other = config_of(name, **options), {"lr": LR / 3, "weight_decay": 0.2, **OTHERS[name]}
    groups = [{"params": parameters[::2]}, {"params": parameters[1::2], **other}]
    strategy = SingleStrategy(SingleConfig())
    strategy.setup(TrainOptions(device="cpu"))
    own = config.model_dump(exclude={"lr", "decay_all"})
    papers = [
        PAPERS[name](start, **(own | {k: v for k, v in other.items() if k != "lr"} if number % 2 else own))
        for number, start in enumerate(starts())
    ]
    factors = [1 / 3 if number % 2 else 1.0 for number in range(len(SHAPES))]
    return Pair(parameters, Update(build_optimizer(config, groups), strategy, clip, half), papers, factors)


@pytest.mark.parametrize("waiting", [True, False], ids=["host", "device"])
@pytest.mark.parametrize(
    ("clip", "half"), [(1.0, True), pytest.param(None, False, marks=pytest.mark.slow)], ids=["clipped", "plain"]
)
@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_updates_are_those_of_the_paper(
    name: str,
    options: dict[str, Any],
    clip: float | None,
    half: bool,
    waiting: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two groups, a learning rate that changes in each step, clipping, and steps that are not applied among them.

    The flag of these is read by the host on a CPU; on other devices it stays there, and so it does here.
    """
    if not waiting:
        monkeypatch.setattr(base, "_READ_ON", set())
    pair = pair_of(name, options, clip, half)
    for step, gradients in enumerate(some_gradients()):
        bad = step in (0, 7, 8, 60)
        scale = 1.0 if pair.update.scale is None else pair.update.scale.item()
        for parameter, gradient in zip(pair.parameters, gradients):
            parameter.grad = torch.tensor(gradient * scale, dtype=torch.float32)
        if bad:
            grad = pair.parameters[step % 5].grad
            assert grad is not None
            grad.view(-1)[0] = float("nan") if step == 7 else float("inf")
        norm, flag = pair.update(rate(step))
        assert bool(flag) == bad
        if bad:
            continue
        expected = np.sqrt(sum(float((gradient**2).sum()) for gradient in gradients))
        assert norm.item() == pytest.approx(expected, rel=1e-5)
        divisor = 1.0 if clip is None else max(1.0, expected / clip)
        for paper, gradient, factor in zip(pair.papers, gradients, pair.factors):
            paper.step(gradient / divisor, rate(step) * factor)
    for parameter, paper in zip(pair.parameters, pair.papers):
        largest = np.abs(paper.weight).max()
        np.testing.assert_allclose(parameter.detach().numpy(), paper.weight, rtol=0, atol=1e-5 * largest)


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_weight_decay_takes_the_scheduled_part_of_a_weight_whatever_its_gradient(
    name: str, options: dict[str, Any]
) -> None:
    config = config_of(name, **{**options, "weight_decay": 0.1})
    parameter = nn.Parameter(torch.ones(3, 4))
    optimizer = build_optimizer(config, [{"params": [parameter]}])
    expected = 1.0
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = rate(step)
        expected *= 1 - rate(step) * 0.1
        parameter.grad = torch.zeros(3, 4)
        optimizer.step()
    np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=1e-5)


def test_adamw_is_torchs_bit_for_bit() -> None:
    ours, theirs = (nn.Parameter(torch.tensor(starts()[3], dtype=torch.float32)) for _ in range(2))
    optimizer = build_optimizer(config_of("adamw"), [{"params": [ours]}])
    other = torch.optim.AdamW([theirs], weight_decay=0.1, fused=True)
    for step, gradients in enumerate(some_gradients()):
        for parameter, each in ((ours, optimizer), (theirs, other)):
            each.param_groups[0]["lr"] = rate(step)
            parameter.grad = torch.tensor(gradients[3], dtype=torch.float32)
            each.step()
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_without_decay_is_torchs(nesterov: bool) -> None:
    ours, theirs = (nn.Parameter(torch.tensor(starts()[3], dtype=torch.float32)) for _ in range(2))
    config = config_of("sgd", nesterov=nesterov, weight_decay=0.0)
    optimizer = build_optimizer(config, [{"params": [ours]}])
    other = torch.optim.SGD([theirs], lr=LR, momentum=0.9, nesterov=nesterov)
    for step, gradients in enumerate(some_gradients()):
        for parameter, each in ((ours, optimizer), (theirs, other)):
            each.param_groups[0]["lr"] = rate(step)
            parameter.grad = torch.tensor(gradients[3], dtype=torch.float32)
            each.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"scale_parameter": True}, {"scale_parameter": True, "beta1": 0.5}])
@pytest.mark.parametrize("shape", [3, 6, 7])
def test_adafactor_is_that_of_transformers(options: dict[str, Any], shape: int) -> None:
    transformers = pytest.importorskip("transformers.optimization")
    ours, theirs = (nn.Parameter(torch.tensor(starts()[shape], dtype=torch.float32)) for _ in range(2))
    optimizer = build_optimizer(config_of("adafactor", weight_decay=0.0, **options), [{"params": [ours]}])
    rest = {"scale_parameter": False, "relative_step": False, "warmup_init": False, **options}
    other = transformers.Adafactor([theirs], lr=LR, weight_decay=0.0, **rest)
    for step, gradients in enumerate(some_gradients()):
        for parameter, each in ((ours, optimizer), (theirs, other)):
            each.param_groups[0]["lr"] = rate(step)
            parameter.grad = torch.tensor(gradients[shape], dtype=torch.float32)
            each.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_a_row_without_gradient_beside_large_ones_stays_finite_in_adafactor() -> None:
    """Such as the words of a vocabulary that no batch of so far had."""
    parameter = nn.Parameter(torch.ones(3, 2))
    optimizer = build_optimizer(AdafactorConfig(weight_decay=0.0), [{"params": [parameter]}])
    for _ in range(3):
        parameter.grad = torch.zeros(3, 2)
        parameter.grad[0] = 1e6
        optimizer.step()
    assert torch.equal(parameter[1:], torch.ones(2, 2))
    assert parameter[0].isfinite().all()


@pytest.mark.parametrize("name", names("optimizer"))
def test_an_optimizer_with_default_options_fits_a_regression(name: str) -> None:
    """The matrix that random vectors were multiplied by is found, but for a tenth of the distance."""
    generator = torch.Generator().manual_seed(0)
    config = option_class("optimizer", name)(weight_decay=0.0)
    assert isinstance(config, OptimizerConfig)
    truth = (torch.rand(8, 4, generator=generator) - 0.5) * 0.02  # as far as the smallest default rate gets
    weight = nn.Parameter(torch.zeros(8, 4))
    optimizer = build_optimizer(config, [{"params": [weight]}])
    for step in range(800):
        inputs = torch.randn(32, 8, generator=generator)
        (inputs @ (weight - truth)).square().mean().backward()  # type: ignore[no-untyped-call]
        optimizer.param_groups[0]["lr"] = config.lr * (1 - step / 800)
        optimizer.step()
        optimizer.zero_grad()
    assert (weight - truth).norm() < truth.norm() / 10


# -- kernels ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_fused_kernels_are_used_on_cpu(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    kernel = {"adamw": "_fused_adamw_", "sgd": "_fused_sgd_"}[name]
    original = getattr(torch, kernel)
    monkeypatch.setattr(torch, kernel, lambda *a, **k: (calls.append(name), original(*a, **k)))
    parameter = nn.Parameter(torch.zeros(2))
    optimizer = build_optimizer(config_of(name), [{"params": [parameter]}])
    parameter.grad = torch.ones(2)
    optimizer.step()
    assert calls == [name]


@pytest.mark.parametrize("name", ["adamw", "sgd"])
@pytest.mark.parametrize("bad", [False, True])
def test_parameters_without_fused_kernels_are_updated_as_well(name: str, bad: bool) -> None:
    """Complex numbers, of which an update without momentum's second moments is that of their parts."""
    parameter = nn.Parameter(torch.tensor([1 + 2j, 3 - 1j]))
    strategy = SingleStrategy(SingleConfig())
    strategy.setup(TrainOptions(device="cpu"))
    update = Update(build_optimizer(config_of(name), [{"params": [parameter]}]), strategy, 1.0, False)
    paper = PAPERS[name](np.array([1.0, 2.0, 3.0, -1.0]), weight_decay=0.1)
    gradient = np.array([3.0, 0.0, 0.0, 4.0])
    for _ in range(3):
        parameter.grad = torch.view_as_complex(torch.tensor(gradient).reshape(2, 2)).to(torch.complex64)
        if bad:
            parameter.grad[0] = float("nan")
        assert bool(update(LR)[1]) == bad
        paper.step(gradient / 5, LR)
    found = torch.view_as_real(parameter.detach()).flatten()
    np.testing.assert_allclose(found, [1.0, 2.0, 3.0, -1.0] if bad else paper.weight, rtol=1e-5)


@pytest.mark.parametrize("name", names("optimizer"))
def test_parameters_without_gradient_stay_and_a_closure_gives_the_loss(name: str) -> None:
    used, unused = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = build_optimizer(config_of(name), [{"params": [used, unused]}])

    def closure() -> torch.Tensor:
        loss = used.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 2.0
    assert torch.equal(unused, torch.ones(2))
    assert not torch.equal(used, torch.ones(2))
    assert list(optimizer.state) == [used]
