"""The contracts of an optimizer, on a quadratic."""

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
    """Half the squared distance of its weights, all of them 1 or -1, to the point 3."""

    def __init__(self) -> None:
        super().__init__()
        signs = torch.randint(0, 2, (7, 6), generator=torch.Generator().manual_seed(0)) * 2.0 - 1.0
        self.matrix = nn.Parameter(signs[:, :5].clone())
        self.bias = nn.Parameter(signs[:, 5].clone())

    def forward(self) -> Tensor:
        return sum((0.5 * (each - 3).square().sum() for each in self.parameters()), torch.zeros(()))


def check(subject: Subject) -> None:
    """Check an optimizer as the training uses it: with parameter groups and a learning rate that changes.

    Checked are: it lowers a quadratic; it takes the learning rate of each step from the groups; it decays weights by
    the option ``weight_decay`` of their group; a weight without a gradient stays; its state has the size that
    ``state_memory`` says, and saved and loaded in the middle it goes on bit for bit. One that derives from
    :class:`tp_core.Optimizer` divides the gradients by ``grad_scale`` and leaves a step with ``found_inf`` out.
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
    """An update with a gradient that is not the same at each step."""
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
        assert not torch.equal(weight, was), f"step() leaves a {name} of weights as it is"
    assert after < before, f"{_STEPS} steps change the quadratic from {before:g} to {after:g}; they must lower it"


def _check_learning_rate(config: OptimizerConfig) -> None:
    model = _Quadratic()
    optimizer, before = _made(config, model), _copies(model)
    for group in optimizer.param_groups:  # at once: later, a momentum of updates would move on
        group["lr"] = 0.0
    _step(model, optimizer)
    assert all(map(torch.equal, before, _copies(model))), (
        "a step with the learning rate 0 changes the weights; take group['lr'] at each step, as the schedule writes it"
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
        "weights with weight_decay 0.5 and no slope stay as they are; an update takes lr × weight_decay of each weight "
        "away"
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
    found = sum(each.numel() * each.element_size() for each in tensors if each.dim())  # counts of steps are nothing
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
    with explained("loading the state that was saved"):
        resumed.load_state_dict(torch.load(saved, weights_only=True))
    for number in range(3, 6):
        _step(model, optimizer, number)
        _step(other, resumed, number)
        assert all(map(torch.equal, _copies(model), _copies(other))), (
            "with its state saved and loaded, it goes on otherwise; all that it remembers belongs in self.state, as "
            "tensors or numbers"
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
        torch.testing.assert_close(found, wanted, msg="gradients times 4 with a grad_scale of 4 make another update")


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
    assert kept, "a step with found_inf 1 changes the weights or the state; it must leave both as they are"


def _with(optimizer: Optimizer, **flags: Any) -> Optimizer:
    for name, value in flags.items():
        setattr(optimizer, name, value)
    return optimizer


def _numbers(optimizer: Optimizer) -> list[Tensor]:
    return [torch.as_tensor(each).clone() for state in optimizer.state.values() for each in state.values()]
