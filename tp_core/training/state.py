"""What a checkpoint holds, and how a trainer is put back into that state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tp_core.errors import CheckpointError, EndedElsewhere
from tp_core.inference.load import read_weights
from tp_core.training.export import WEIGHTS, save_weights
from tp_core.training.random_state import load_random_state, random_state, seed_all

if TYPE_CHECKING:
    from tp_core.training.trainer import Trainer


def write_checkpoint(trainer: Trainer) -> None:
    """Save the trainer's whole state; every process calls this, the first one writes."""
    strategy = trainer.strategy
    hooks: dict[str, Any] = {}
    trainer.hooks.hook.tp_checkpoint_save(trainer=trainer, state=hooks)
    processes = strategy.gather(_own_state(trainer))

    def write(folder: Path) -> None:
        save_weights(strategy.model_state(trainer.model), folder / WEIGHTS)
        _write(strategy.optimizer_state(trainer.optimizer), folder / "optimizer.pt")
        state = {
            "step": trainer.step,
            "processes": strategy.world_size,
            "instances": trainer.instances,
            "update": trainer.update.state(),
            "best": trainer.best.state(),
            "hooks": json.dumps(hooks),
        }
        _write(state, folder / "trainer.pt")
        for rank, own in enumerate(processes):
            _write(own, folder / f"rank-{rank}.pt")

    failure: CheckpointError | None = None
    if strategy.rank == 0:
        try:
            trainer.store.save(trainer.step, write, protect=trainer.best.step)
        except CheckpointError as error:
            failure = error
    if strategy.agree(failure is not None):
        raise failure or EndedElsewhere("the first process could not write the checkpoint")


def _own_state(trainer: Trainer) -> dict[str, Any]:
    """What differs between processes: random states and the metrics since the last log line."""
    norm = None if trainer.norm is None else trainer.norm.cpu()
    window = {name: value.cpu() for name, value in trainer.window.state().items()}
    return {"random": random_state(), "window": window, "norm": norm, "trouble": trainer.trouble.cpu()}


def load_checkpoint(trainer: Trainer, folder: Path) -> None:
    """Put a trainer into the state that a checkpoint holds."""
    strategy = trainer.strategy
    state = _read(folder / "trainer.pt")
    if state["instances"] != trainer.instances:
        raise CheckpointError(
            f"{folder}: the run trained on {state['instances']:,} instances, and data.train now gives "
            f"{trainer.instances:,}; give it the same data, or start another run with init_from"
        )
    trainer.model.load_weights(read_weights(folder / WEIGHTS))
    try:
        strategy.load_optimizer_state(trainer.optimizer, _read(folder / "optimizer.pt"))
    except (ValueError, KeyError) as error:
        raise CheckpointError(f"{folder}: the optimizer's state does not fit this run: {error}") from None
    trainer.update.load(state["update"])
    trainer.best.load(state["best"])
    trainer.step = state["step"]
    trainer.hooks.hook.tp_checkpoint_load(trainer=trainer, state=json.loads(state["hooks"]))
    if state["processes"] == strategy.world_size:
        mine = _read(folder / f"rank-{strategy.rank}.pt")
        load_random_state(mine["random"])
        trainer.window.load(mine["window"])
        trainer.norm = None if mine["norm"] is None else mine["norm"].to(strategy.device)
        trainer.trouble = mine["trouble"].to(strategy.device)
    else:  # more or fewer processes: their randomness starts anew, as a function of where the run is
        seed_all(trainer.options.seed + trainer.step, strategy.rank)


def _write(value: Any, path: Path) -> None:
    with open(path, "wb") as file:  # given a name, torch does not say why it cannot write
        torch.save(value, file)


def _read(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such file") from None
    except Exception as error:  # torch reports damage in many ways
        raise CheckpointError(f"{path}: cannot be read: {error}") from None
