"""Saving and loading of a trainer's checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tp_core.artifacts.contents import keep_contents
from tp_core.data.sampling.batch_sizes import BatchSizes
from tp_core.errors import CheckpointError
from tp_core.packages.plugin_errors import expect
from tp_core.processes.agreement import together
from tp_core.random_state import load_random_state, random_state, seed_all
from tp_core.training.hook_state import kept
from tp_core.training.resuming.changes import compared
from tp_core.training.same_weights import need_same_weights
from tp_core.training.saving import Saving
from tp_core.training.strategies.snapshot import Snapshot

if TYPE_CHECKING:
    from tp_core.training.trainer import Trainer


def prepare_checkpoint(trainer: Trainer) -> Saving:
    """Take the trainer's whole state. Every process calls this, and then runs what it gets."""
    strategy, processes = trainer.strategy, trainer.strategy.processes
    hooks = together(processes, _hook_states, trainer)
    need_same_weights(strategy, trainer.model, trainer.step)
    own_states = strategy.data_parallel.gather(_own_state(trainer))
    snapshot = expect(strategy.snapshot(trainer.model), Snapshot, strategy, "snapshot", "a Snapshot")
    state = {
        "step": trainer.step,
        "batch_sizes": [list(change) for change in trainer.course.sizes.changes],
        "warmup": trainer.course.schedule.warmup,
        "processes": strategy.world_size,
        "data_parallel": strategy.data_parallel.world_size,
        "device": strategy.device.type,
        "instances": trainer.instances,
        "optimizer": snapshot.facts(),
        "scale": strategy.scale_state(),
        "best": trainer.early_stopper.state(),
        "measure": measure_of(trainer),
        "owes_evaluation": trainer.owes_evaluation,
        "unwritten": list(trainer.metrics.unwritten),
        "hooks": hooks,
        "spec": json.dumps(compared(trainer.spec)),
    }

    def write(folder: Path) -> None:
        _write(state, folder / "trainer.pt")
        keep_contents(trainer.contents, folder)
        for number, own in enumerate(own_states):
            _write(own, folder / f"rank-{number}.pt")

    return Saving(trainer.checkpoints.store, trainer.step, trainer.early_stopper.step, snapshot, write, processes)


def _hook_states(trainer: Trainer) -> dict[str, Any]:
    """The state that hooks save, with tensors on the CPU."""
    hooks: dict[str, Any] = {}
    trainer.hooks.hook.tp_checkpoint_save(trainer=trainer, state=hooks)
    whole: dict[str, Any] = kept(hooks, "")
    return whole


def measure_of(trainer: Trainer) -> str:
    """A description of how evaluations are made and judged; only evaluations with equal descriptions are comparable."""
    options, evaluator = trainer.options, trainer.evaluator
    stopping = options.early_stopping
    if evaluator is None or stopping is None:
        return ""
    data = {place: files for place, files in trainer.contents.items() if place.endswith(".eval")}
    sets = {place: [each.digest for each in files] for place, files in data.items()}
    judged = [stopping.metric, trainer.early_stopper.mode]
    return json.dumps([*judged, evaluator.batch_size, evaluator.limit, sets])


def _load_best(trainer: Trainer, state: dict[str, Any]) -> None:
    """Load the best evaluation. If it is not comparable with future ones, it is dropped and reported."""
    now, before = measure_of(trainer), state["measure"]
    if now == before:
        trainer.early_stopper.load(state["best"])
    elif now and before and state["best"]["step"] is not None:
        metric, mode = json.loads(before)[:2]
        judged = f"evaluations are judged by {trainer.early_stopper.options.metric} ({trainer.early_stopper.mode})"  # type: ignore[union-attr]
        why = judged if [metric, mode] != json.loads(now)[:2] else "evaluations are made differently"
        step = state["best"]["step"]
        trainer.progress.say(f"the best {metric} ({mode}) so far, of step {step}, does not count: {why} from here on")


def _own_state(trainer: Trainer) -> dict[str, Any]:
    """The state that differs between processes: random states, and the metrics since the last log line."""
    norm = None if trainer.norm is None else trainer.norm.cpu()
    since_line = {
        "window": trainer.window.state(),
        "speed": trainer.speed.state(),
        "nonfinite": trainer.nonfinite.first.cpu(),
    }
    return {"random": random_state(), "norm": norm, **since_line}


def read_state(folder: Path) -> dict[str, Any]:
    """The part of a checkpoint besides weights and optimizer, such as the step and the spec.

    Raises:
        CheckpointError: it cannot be read.
    """
    state: dict[str, Any] = _read(folder / "trainer.pt")
    return {**state, "spec": json.loads(state["spec"])}


def load_checkpoint(trainer: Trainer, folder: Path, state: dict[str, Any]) -> None:
    """Load a checkpoint into a trainer; options that have changed since then take effect.

    Args:
        state: state returned by :func:`read_state`.
    """
    strategy, before, now = trainer.strategy, state["spec"]["train"], trainer.spec.train.dump()
    if state["instances"] != trainer.instances:
        raise CheckpointError(
            f"{folder}: the run trained on {state['instances']:,} instances, and data.train now gives "
            f"{trainer.instances:,}; give it the same data, or start another run with init_from"
        )
    try:  # the options come from the spec, not from the state
        strategy.restore(trainer.model, folder, state["optimizer"])
    except (ValueError, KeyError) as error:
        raise CheckpointError(f"{folder}: the optimizer's state does not fit this run: {error}") from None
    strategy.load_scale_state(state["scale"])
    _load_best(trainer, state)
    trainer.step = state["step"]
    sizes = BatchSizes((step, size) for step, size in state["batch_sizes"])
    # Keep the number of warm-up steps: a fraction of a longer run would start the warm-up again.
    # Before the first step, no warm-up has begun.
    warmup = state["warmup"] if trainer.step and before["schedule"] == now["schedule"] else None
    trainer.lay_out(sizes.changed(trainer.step, trainer.options.batch_size), warmup)
    trainer.owes_evaluation = state["owes_evaluation"] and trainer.evaluator is not None
    trainer.metrics.unwritten = list(state.get("unwritten", []))
    trainer.hooks.hook.tp_checkpoint_load(trainer=trainer, state=state["hooks"])
    sharing = strategy.data_parallel
    if state["data_parallel"] == sharing.world_size:
        mine = _read(folder / f"rank-{sharing.rank}.pt")
        load_random_state(mine["random"])
        trainer.norm = None if mine["norm"] is None else mine["norm"].to(strategy.device)
        _load_since_line(trainer, [mine], same=True)
    else:  # another number of processes: seed them from the position of the run
        seed_all(trainer.options.seed + trainer.step, sharing.rank)
        parts = [_read(folder / f"rank-{rank}.pt") for rank in range(state["data_parallel"])]
        _load_since_line(trainer, parts, same=False)


def _load_since_line(trainer: Trainer, parts: list[dict[str, Any]], same: bool) -> None:
    """Load the metrics of the steps since the last log line, for the next line.

    Args:
        parts: states of the processes. With as many processes as before (``same``), only that of this process;
            otherwise those of all, whose sums the first process takes.
    """
    sharing = trainer.strategy.data_parallel
    trainer.speed.load([part["speed"] for part in parts], processes=1 if same else sharing.world_size)
    if not same and sharing.rank:
        return
    for part in parts:
        trainer.window.load(part["window"])
    found = [part["nonfinite"] for part in parts if part["nonfinite"][0] > 0]
    if found:  # the first non-finite step of any process
        trainer.nonfinite.first = min(found, key=lambda first: first.tolist()).to(trainer.strategy.device)


def _write(value: Any, path: Path) -> None:
    with open(path, "wb") as file:  # with a path, torch would not report why writing failed
        torch.save(value, file)


def _read(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such file") from None
    except Exception as error:  # torch reports damage in many ways
        raise CheckpointError(f"{path}: cannot be read: {error}") from None
