"""Single training steps with hooks, whose update is the gradient."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from tests.core import runs
from tp_core import load_spec
from tp_core.hookspecs import HookManager, hook_manager
from tp_core.model import Model, meta_model
from tp_core.training.hooked_forward import HookedForward
from tp_core.training.optimizers.groups import checked_groups, parameter_groups
from tp_core.training.step import StepResult, training_step
from tp_core.training.strategies.base import Strategy

WORDS = "embedding.parts.word.table.weight"


def prepared(tmp_path: Path, dropout: float) -> tuple[Model, Strategy, Any]:
    """A small BERT on its strategy, whose optimizer is plain SGD: an update is the gradient."""
    plain = {"sgd": {"lr": 1.0, "momentum": 0.0, "weight_decay": 0.0}}
    runs.write_project(tmp_path, optimizer=plain, clip_norm=None, device="cpu")
    own = runs.read_spec(tmp_path)
    own["model"]["dropout"] = dropout
    runs.write_spec(tmp_path, own)
    spec = load_spec(tmp_path / "spec.yaml")
    strategy: Strategy = spec.train.strategy.config.build()
    strategy.setup(spec.train.options)
    model = meta_model(spec)
    strategy.place(model, 3)
    return model, strategy, spec.train.optimizer.config


class Trainer:
    """The attributes of a trainer that hooks of passes use."""

    def __init__(self, model: Model, strategy: Strategy) -> None:
        self.model, self.strategy = model, strategy


def result_of(
    model: Model, strategy: Strategy, config: Any, hooks: list[object], batches: list[Any]
) -> tuple[StepResult, dict[str, Tensor]]:
    """The result of a step with hooks, and its gradients."""
    manager: HookManager = hook_manager((f"own-{number}", hook) for number, hook in enumerate(hooks))
    module = strategy.wrap(HookedForward(model, manager) if manager.implements("tp_forward") else model)
    strategy.make_optimizer(config, checked_groups(model, parameter_groups(model, config)))
    before = {name: value.clone() for name, value in model.weights().items()}
    trainer: Any = Trainer(model, strategy)
    manager.hook.tp_train_start(trainer=trainer)

    def passes(batches: Any) -> list[Any]:
        return [each for found in manager.hook.tp_further_passes(trainer=trainer, batches=batches) for each in found]

    result = training_step(model, module, strategy, batches, 1.0, passes)
    return result, {name: before[name] - value for name, value in model.weights().items()}


def step(model: Model, strategy: Strategy, config: Any, hook: object, batches: list[Any]) -> dict[str, Tensor]:
    """The gradients of a step with a hook."""
    result, gradients = result_of(model, strategy, config, [hook], batches)
    assert not result.skipped
    return gradients
