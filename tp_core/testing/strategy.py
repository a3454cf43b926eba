"""The contracts of a strategy that can be checked in one process."""

from __future__ import annotations

import torch
from torch import nn

from tp_core.errors import TPError
from tp_core.options.strategy import StrategyConfig
from tp_core.testing.batches import random_batch
from tp_core.testing.specs import CONTENT, READOUT, minimal_spec
from tp_core.testing.subject import Subject
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
    """Check that a strategy gives the same gradients as the plain model.

    A strategy for several processes may raise a ``TPError``. It is then not checked further.
    """
    config = subject.config()
    assert isinstance(config, StrategyConfig)
    try:
        strategy = config.build()
        assert isinstance(strategy, Strategy), f"build() gives a {type(strategy).__name__}; expected a Strategy"
        strategy.setup("cpu")
    except TPError:
        return
    try:
        if strategy.world_size == 1:
            _check_gradients(strategy)
    finally:
        strategy.teardown()


def _check_gradients(strategy: Strategy) -> None:
    from tp_core.model import build_model

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_model(minimal_spec(_MODEL))
        batch = random_batch(model, [5, 3])
    parameters = [each for each in model.parameters() if each.requires_grad]
    loss = model(batch).loss
    wanted = torch.autograd.grad(loss, parameters)
    module = strategy.wrap(model)
    assert isinstance(module, nn.Module), f"wrap() gives a {type(module).__name__}; expected a module"
    strategy.forward_backward(module, batch, None, True, None)
    for parameter, gradient in zip(parameters, wanted):
        found = torch.zeros_like(gradient) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(found, gradient, msg="forward_backward() gives other gradients than the model")
    norm = torch.nn.utils.get_total_norm(wanted)
    torch.testing.assert_close(
        strategy.gradient_norm(parameters), norm, msg="gradient_norm() is not the norm of all gradients"
    )
    assert set(strategy.model_state(model)) == set(model.weights()), (
        "model_state() has other weights than the model"
    )
    assert strategy.agree(True), "agree(True) is False"
    assert not strategy.agree(False), "agree(False) is True"
