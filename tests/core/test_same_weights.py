"""The processes of a run compare the weights that they hold, bit for bit, before one of them writes them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from tests.core import runs
from tp_core.artifacts.tensor_digest import tensor_digest

HERE = Path(__file__).parent
WEIGHT = "encoder.layers.1.feed_forward.output.weight"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = runs.write_project(tmp_path_factory.mktemp("same"), documents=20, steps=6, checkpoint_every=2)
    for name in ("lone_change.py", "batch_statistics.py", "keep_weights.py"):
        shutil.copy(HERE / name, folder)
    spec = runs.read_spec(folder)
    spec["data"]["eval"] = "held_out.txt"
    runs.write_spec(folder, spec)
    return folder


def change(event: str, step: int, rank: int, weight: str = WEIGHT) -> str:
    return f"train.hooks=[lone_change:Config: {{weight: {weight}, event: {event}, step: {step}, rank: {rank}}}]"


def error_of(said: str) -> str:
    (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in said
    return line


@pytest.mark.parametrize("rank", [0, 1])
def test_a_weight_that_one_process_changed_is_named_and_not_saved(home: Path, rank: int) -> None:
    run = f"changed-{rank}"
    said = runs.train_pair(home, "--run", run, change("step_end", 3, rank), status=2)
    message = error_of(said)
    assert "step 4: the processes hold different weights" in message
    assert "Those of rank 1 differ from those of rank 0" in message
    assert runs.checkpoints(home / run) == ["step_000002"]
    assert not (home / run / "model").exists()


def test_the_first_weight_that_differs_is_named_alone(home: Path) -> None:
    said = runs.train_pair(home, "--run", "named", change("checkpoint_save", 2, 1), status=2)
    assert f"the first in '{WEIGHT}'. " in error_of(said)
    assert not list((home / "named").glob("checkpoints/step_*"))


def test_of_three_processes_the_odd_one_is_named(home: Path) -> None:
    arguments = ("train", "spec.yaml", "--run", "three", change("checkpoint_save", 2, 0), "train.batch_size=6")
    message = error_of(runs.run_group(home, *arguments, count=3, status=2))
    assert "Those of rank 0 differ from those of rank 1" in message


def test_weights_that_differ_at_the_start_are_told_before_the_first_step(home: Path) -> None:
    said = runs.train_pair(home, "--run", "start", change("train_start", 0, 1), status=2)
    assert "step 0: the processes hold different weights" in error_of(said)
    assert not (home / "start").exists()


def test_weights_that_differ_after_a_resume_are_told_before_the_next_step(home: Path) -> None:
    runs.train_pair(home, "--run", "resumed", "train.steps=4", "train.schedule=constant")
    changed = ["train.schedule=constant", change("train_start", 4, 1), "--allow-change", "hooks,steps"]
    said = runs.train_pair(home, "--run", "resumed", "--resume", *changed, status=2)
    assert "step 4: the processes hold different weights" in error_of(said)
    assert len([line for line in runs.metrics(home / "resumed") if line["step"] > 4]) == 0


def test_the_hook_changes_nothing_where_there_is_one_process(home: Path) -> None:
    runs.train(home, "--run", "one", change("step_end", 3, 0), environment={"RANK": "0"})
    assert (home / "one" / "model").exists()


def test_statistics_that_each_process_takes_of_its_share_are_saved_from_the_first(home: Path) -> None:
    """Torch's batch norm counts its own batches. What is evaluated and saved is what the first process counted."""
    target = "model.target=[mlm, sp, batch_statistics:Config]"
    runs.train_pair(home, "--run", "statistics", target, "train.hooks=[keep_weights:Config]")
    first, second = _kept(home / "statistics")
    runs.assert_same_weights(first, second)
    names = [name for name in first if "running" in name]
    assert len(names) == 2
    runs.assert_same_weights(runs.weights(home / "statistics"), first)
    assert not torch.equal(first[names[0]], torch.zeros(16))


def _kept(run: Path) -> list[dict[str, torch.Tensor]]:
    from safetensors.torch import load_file

    return [load_file(str(run / f"rank-{rank}.safetensors")) for rank in (0, 1)]


# -- the digest -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (1,), (3,), (1023,), (1024,), (5000,), (64, 33), (3, 1024, 2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64, torch.int64, torch.uint8, torch.bool])
def test_a_change_of_one_bit_anywhere_changes_the_digest(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    value = torch.randn(shape, generator=torch.Generator().manual_seed(0)).mul(9).to(dtype)
    digest = int(tensor_digest(value))
    assert digest == int(tensor_digest(value.clone()))
    flat = value.reshape(-1)
    for place in sorted({0, len(flat) // 2, len(flat) - 1}):
        other = flat.clone()
        bits = other.view(torch.uint8)
        bits[place * other.element_size()] ^= 1
        assert int(tensor_digest(other.reshape(shape))) != digest


@pytest.mark.parametrize("size", [64, 1024, 4096])
def test_the_same_values_in_another_order_have_another_digest(size: int) -> None:
    value = torch.randn(96, size, generator=torch.Generator().manual_seed(0))
    digests = {int(tensor_digest(each)) for each in (value, value.roll(2, 0), value.roll(2, 1), value.flip(0), -value)}
    assert len(digests) == 5


def test_a_view_has_the_digest_of_its_copy() -> None:
    table = torch.randn(7, 31)
    assert int(tensor_digest(table[1:])) == int(tensor_digest(table[1:].clone()))
    assert int(tensor_digest(table.t())) == int(tensor_digest(table.t().contiguous()))


def test_nan_and_negative_zero_have_digests_of_their_own() -> None:
    values = (torch.zeros(3), -torch.zeros(3), torch.full((3,), float("nan")))
    assert len({int(tensor_digest(value)) for value in values}) == 3
