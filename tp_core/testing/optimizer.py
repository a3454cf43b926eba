"""The contracts of an optimizer, checked on a quadratic function."""

from __future__ import annotations

import io
from typing import Any

import torch
from torch import Tensor, nn

from tp_core.options.optimizer import OptimizerConfig
from tp_core.testing.explained import explained
from tp_core.testing.subject import Subject
from tp_core.training.optimizers.base import Optimizer
from tp_core.training.optimizers.build import build_optimizer
from tp_core.training.optimizers.groups import checked_groups, parameter_groups

_STEPS = 100


class _Quadratic(nn.Module):
    """Half the squared distance of the weights to 3. The initial weights are 1 or -1."""

    def __init__(self) -> None:
        super().__init__()
        signs = torch.randint(0, 2, (7, 6), generator=torch.Generator().manual_seed(0)) * 2.0 - 1.0
        self.matrix = nn.Parameter(signs[:, :5].clone())
        self.bias = nn.Parameter(signs[:, 5].clone())

    def forward(self) -> Tensor:
        return sum((0.5 * (each - 3).square().sum() for each in self.parameters()), torch.zeros(()))


def check(subject: Subject) -> None:
    """Check an optimizer as in training: with parameter groups and a changing learning rate.

    The optimizer must

    - lower a quadratic function;
    - read the learning rate from the groups at each step;
    - decay weights by ``weight_decay`` of their group;
    - not change weights without a gradient;
    - have a state of the size that ``state_memory`` gives;
    - continue bit for bit after its state is saved and loaded.

    A subclass of :class:`tp_core.Optimizer` must also divide gradients by ``grad_scale`` and skip steps with
    ``found_inf``.
    """
    config = subject.config()
    assert isinstance(config, OptimizerConfig)
    _check_descent(config)
    _check_learning_rate(config)
    _check_groups(config)
    _check_decay(config)
    _check_missing_gradient(config)
    _check_state_memory(config)
    _check_resume(config)
    if isinstance(_made(config, _Quadratic()), Optimizer):
        _check_scaled_gradients(config)
        _check_step_left_out(config)


def _made(config: OptimizerConfig, model: nn.Module) -> torch.optim.Optimizer:
    return build_optimizer(config, checked_groups(model, parameter_groups(model, config)))


def _step(model: _Quadratic, optimizer: torch.optim.Optimizer, number: int = 0) -> None:
    """An update whose gradient changes from step to step."""
    optimizer.zero_grad(set_to_none=True)
    (model() * (1 + number % 3)).backward()
    optimizer.step()


def _copies(model: nn.Module) -> list[Tensor]:
    return [each.detach().clone() for each in model.parameters()]


def _check_descent(config: OptimizerConfig) -> None:
    model = _Quadratic()
    optimizer, before, start = _made(config, model), model().item(), _copies(model)
    for _ in range(_STEPS):
        _step(model, optimizer)
    after = model().item()
    for name, weight, was in zip(("matrix", "bias"), model.parameters(), start):
        assert not torch.equal(weight, was), f"step() does not change a {name} of weights"
    assert after < before, f"{_STEPS} steps change the quadratic from {before:g} to {after:g}; they must lower it"


def _check_learning_rate(config: OptimizerConfig) -> None:
    model = _Quadratic()
    optimizer, before = _made(config, model), _copies(model)
    for group in optimizer.param_groups:  # before the first step, because later momentum would still change weights
        group["lr"] = 0.0
    _step(model, optimizer)
    assert all(map(torch.equal, before, _copies(model))), (
        "a step with the learning rate 0 changes the weights; read group['lr'], which the schedule sets, at each step"
    )


def _check_groups(config: OptimizerConfig) -> None:
    model = _Quadratic()
    groups: list[dict[str, Any]] = [{"params": [model.matrix], "lr": 0.0}, {"params": [model.bias]}]
    optimizer = build_optimizer(config, checked_groups(model, groups))
    before = _copies(model)
    _step(model, optimizer)
    changed = [not torch.equal(was, now) for was, now in zip(before, _copies(model))]
    assert changed == [False, True], "a group's own learning rate has no effect; read the options of each group"


def _check_decay(config: OptimizerConfig) -> None:
    model = _Quadratic()
    model.bias.requires_grad_(False)
    options = config.model_copy(update={"weight_decay": 0.5, "lr": 0.1})
    optimizer, start = _made(options, model), model.matrix.detach().clone()
    model.matrix.grad = torch.zeros_like(model.matrix)
    optimizer.step()
    assert bool((model.matrix.detach().abs() < start.abs()).all()), (
        "weights with weight_decay 0.5 and a zero gradient do not change; an update must reduce each weight by "
        "lr × weight_decay × weight"
    )


def _check_missing_gradient(config: OptimizerConfig) -> None:
    model = _Quadratic()
    optimizer, before = _made(config, model), model.bias.detach().clone()
    model.matrix.grad = torch.ones_like(model.matrix)
    with explained("step() with a weight that has no gradient"):
        optimizer.step()
    assert torch.equal(model.bias, before), "step() changes a weight without a gradient"


def _check_state_memory(config: OptimizerConfig) -> None:
    model = _Quadratic()
    optimizer = _made(config, model)
    _step(model, optimizer)
    tensors = [each for state in optimizer.state.values() for each in state.values() if isinstance(each, Tensor)]
    found = sum(each.numel() * each.element_size() for each in tensors if each.dim())  # step counts are not included
    declared = config.state_memory(model.parameters())
    assert found == declared, (
        f"its state for {sum(each.numel() for each in model.parameters())} weights has {found} bytes; "
        f"state_memory() says {declared}"
    )


def _check_resume(config: OptimizerConfig) -> None:
    model = _Quadratic()
    optimizer = _made(config, model)
    for number in range(3):
        _step(model, optimizer, number)
    saved = io.BytesIO()
    torch.save(optimizer.state_dict(), saved)
    saved.seek(0)
    other = _Quadratic()
    other.load_state_dict(model.state_dict())
    resumed = _made(config, other)
    with explained("loading the saved state"):
        resumed.load_state_dict(torch.load(saved, weights_only=True))
    for number in range(3, 6):
        _step(model, optimizer, number)
        _step(other, resumed, number)
        assert all(map(torch.equal, _copies(model), _copies(other))), (
            "after its state is saved and loaded, its updates differ; everything that it remembers must be in "
            "self.state, as tensors or numbers"
        )


def _check_scaled_gradients(config: OptimizerConfig) -> None:
    one, other = _Quadratic(), _Quadratic()
    plain, scaled = _made(config, one), _made(config, other)
    assert isinstance(scaled, Optimizer)
    for _ in range(2):
        _step(one, plain)
        scaled.zero_grad(set_to_none=True)
        (other() * 4).backward()
        _with(scaled, grad_scale=torch.tensor(4.0), found_inf=torch.tensor(0.0)).step()
    for wanted, found in zip(_copies(one), _copies(other)):
        torch.testing.assert_close(found, wanted, msg="gradients times 4 with grad_scale 4 give another update")


def _check_step_left_out(config: OptimizerConfig) -> None:
    model = _Quadratic()
    optimizer = _made(config, model)
    assert isinstance(optimizer, Optimizer)
    _step(model, optimizer)
    before, state = _copies(model), _numbers(optimizer)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, float("nan"))
    _with(optimizer, grad_scale=torch.tensor(1.0), found_inf=torch.tensor(1.0)).step()
    kept = all(map(torch.equal, before, _copies(model))) and all(map(torch.equal, state, _numbers(optimizer)))
    assert kept, "a step with found_inf 1 changes the weights or the state; it must change neither"


def _with(optimizer: Optimizer, **flags: Any) -> Optimizer:
    for name, value in flags.items():
        setattr(optimizer, name, value)
    return optimizer


def _numbers(optimizer: Optimizer) -> list[Tensor]:
    return [torch.as_tensor(each).clone() for state in optimizer.state.values() for each in state.values()]
