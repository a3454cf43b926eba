"""The contracts of a strategy that can be checked in one process."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from torch import nn

from tp_core.errors import TPError
from tp_core.options.strategy import StrategyConfig
from tp_core.spec.sections.train import TrainOptions
from tp_core.testing.batches import random_batch
from tp_core.testing.specs import CONTENT, READOUT, minimal_spec
from tp_core.testing.subject import Subject
from tp_core.training.optimizers.groups import checked_groups, parameter_groups
from tp_core.training.strategies.base import Strategy

_MODEL = {
    "hidden_size": 8,
    "dropout": 0.0,
    "vocab_size": 11,
    "embedding": [CONTENT],
    "encoder": "identity",
    "target": [READOUT],
}


def check(subject: Subject) -> None:
    """Check that a strategy trains the model as it is.

    A strategy for several processes may raise a ``TPError``. It is then not checked further.
    """
    config = subject.config()
    assert isinstance(config, StrategyConfig)
    try:
        strategy = config.build()
        assert isinstance(strategy, Strategy), f"build() gives a {type(strategy).__name__}, which is no Strategy"
        strategy.setup(TrainOptions(device="cpu"))
    except TPError:
        return
    try:
        if strategy.world_size == 1:
            _check_training(strategy)
    finally:
        strategy.teardown()


def _check_training(strategy: Strategy) -> None:
    """Check the initial values, the gradients, an update, and the state that checkpoints keep."""
    from tp_core.model import build_model, meta_model

    spec = minimal_spec(_MODEL)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        plain = build_model(spec, seed=1)
        batch = random_batch(plain, [5, 3])
    model = meta_model(spec)
    strategy.place(model, 1)
    _same(strategy.model_state(model), plain.weights(), "place() gives other initial values than the strategy single")
    strategy.load_weights(model, {name: value * 2 for name, value in plain.weights().items()})
    doubled = {name: value * 2 for name, value in plain.weights().items()}
    _same(strategy.model_state(model), doubled, "model_state() has other weights than load_weights() was given")
    strategy.load_weights(model, plain.weights())
    parameters = [each for each in plain.parameters() if each.requires_grad]
    plain(batch).loss.backward()
    module = strategy.wrap(model)
    assert isinstance(module, nn.Module), f"wrap() gives a {type(module).__name__}; expected a module"
    config = minimal_spec(_MODEL).train.optimizer.config
    strategy.make_optimizer(config, checked_groups(model, parameter_groups(model, config)))
    strategy.forward_backward(module, batch, None, True)
    for (name, own), expected in zip(model.named_parameters(), parameters):
        found = strategy.gradient(own)
        gradient = torch.zeros_like(expected) if found is None else strategy.whole(found)
        wanted = torch.zeros_like(expected) if expected.grad is None else expected.grad
        message = f"forward_backward() makes another gradient of '{name}' than the model's"
        torch.testing.assert_close(gradient, wanted, msg=message)
    norm = torch.nn.utils.get_total_norm([each.grad for each in parameters if each.grad is not None])
    applied = strategy.apply(0.1)
    torch.testing.assert_close(applied.norm, norm, msg="apply() gives another norm than that of all gradients")
    assert not applied.skipped, "apply() leaves out a step whose gradients are finite"
    assert all(strategy.gradient(own) is None for own in model.parameters()), "apply() does not clear the gradients"
    before, snapshot = strategy.model_state(model), strategy.snapshot(model).copied()
    assert any(not torch.equal(before[name], value) for name, value in plain.weights().items()), (
        "apply() trains nothing"
    )
    with tempfile.TemporaryDirectory() as folder:
        snapshot.prepare(Path(folder))
        snapshot.write(Path(folder))
        strategy.load_weights(model, plain.weights())
        strategy.restore(model, Path(folder), snapshot.facts())
    _same(strategy.model_state(model), before, "restore() gives other weights than those of the snapshot")
    _same_state(strategy.snapshot(model).optimizer, snapshot.optimizer)


def _same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], message: str) -> None:
    assert set(found) == set(expected), "model_state() has not all weights of the model"
    assert all(torch.equal(found[name], value) for name, value in expected.items()), message


def _same_state(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    message = "restore() gives another state of the optimizer than that of the snapshot"
    for name, value in expected.items():
        assert name in found, message
        assert torch.equal(found[name].cpu(), value), message
