"""Checkpoints are whole or recognised as damaged; a full disk costs nothing that was saved before."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.core import runs
from tests.core.scarcity import no_more_files
from tp_core.artifacts.checkpoint import CheckpointStore
from tp_core.artifacts.find import find_model
from tp_core.data.cache.manifest import MANIFEST, damage
from tp_core.errors import CheckpointError, TPError
from tp_core.metrics.plain import as_text
from tp_core.training.metrics import MetricsFile

Damage = Callable[[Path], None]


# -- one checkpoint and its store -----------------------------------------------------------------------------------


def write(folder: Path) -> None:
    (folder / "weights").write_bytes(bytes(range(256)) * 4)
    (folder / "state").write_bytes(folder.name.encode())


def store_with(folder: Path, steps: list[int], keep: int = 9) -> CheckpointStore:
    store = CheckpointStore(folder, keep)
    for step in steps:
        store.save(step, write)
    return store


def names(store: CheckpointStore) -> list[str]:
    return [folder.name for folder in store.all()]


def truncate(folder: Path) -> None:
    os.truncate(folder / "weights", 1000)


def flip_a_bit(folder: Path) -> None:
    content = bytearray((folder / "weights").read_bytes())
    content[500] ^= 4
    (folder / "weights").write_bytes(content)


def remove_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink()


def truncate_manifest(folder: Path) -> None:
    os.truncate(folder / MANIFEST, 50)


def remove_file(folder: Path) -> None:
    (folder / "weights").unlink()


DAMAGES: dict[Damage, str] = {
    truncate: "weights has 1000 bytes instead of 1024",
    flip_a_bit: "the content of weights has changed",
    remove_manifest: "it has no manifest",
    truncate_manifest: "its manifest cannot be read",
    remove_file: "weights: No such file or directory",
}


@pytest.mark.parametrize("harm", DAMAGES, ids=lambda harm: harm.__name__)
def test_damage_is_named(tmp_path: Path, harm: Damage) -> None:
    store = store_with(tmp_path, [1])
    assert damage(store.path(1)) is None
    harm(store.path(1))
    assert damage(store.path(1)) == DAMAGES[harm]


def test_a_flip_of_any_byte_of_any_file_is_recognised_or_harmless(tmp_path: Path) -> None:
    folder = store_with(tmp_path, [1]).path(1)
    for path in folder.iterdir():
        content = path.read_bytes()
        for place in range(len(content)):
            changed = bytearray(content)
            changed[place] ^= 1 << place % 8
            path.write_bytes(changed)
            found = damage(folder)
            # Of the manifest, the step and the white space are not needed.
            assert found or path.name == MANIFEST
        path.write_bytes(content)
    assert damage(folder) is None


def test_the_newest_whole_checkpoint_is_found_and_the_damaged_ones_are_named(tmp_path: Path) -> None:
    store, said = store_with(tmp_path, [1, 2, 3, 4]), list[str]()
    truncate(store.path(4))
    flip_a_bit(store.path(3))
    assert store.newest(said.append) == store.path(2)
    assert ["step_000004 is damaged" in said[0], "step_000003 is damaged" in said[1]] == [True, True]


def test_a_checkpoint_that_cannot_be_read_now_is_not_called_damaged(tmp_path: Path) -> None:
    store = store_with(tmp_path, [1, 2])
    unread = rf"{store.path(2)}/.*: {os.strerror(errno.EMFILE)}"
    with no_more_files(), pytest.raises(TPError, match=unread):
        damage(store.path(2))
    assert store.newest() == store.path(2)


@pytest.mark.parametrize("harm", DAMAGES, ids=lambda harm: harm.__name__)
def test_retention_does_not_count_a_damaged_checkpoint(tmp_path: Path, harm: Damage) -> None:
    store = store_with(tmp_path, [1, 2, 3], keep=2)
    assert names(store) == ["step_000002", "step_000003"]
    harm(store.path(3))
    store.save(4, write)
    assert [f.name for f in store.all() if damage(f) is None] == ["step_000002", "step_000004"]
    store.save(5, write)
    assert names(store) == ["step_000004", "step_000005"]


def test_retention_never_removes_the_last_whole_checkpoint(tmp_path: Path) -> None:
    store = store_with(tmp_path, [1, 2, 3, 4])
    for step in (2, 3, 4):
        flip_a_bit(store.path(step))

    def fail(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(CheckpointError, match="the checkpoint before it, step_000001, is whole"):
        CheckpointStore(tmp_path, keep=1).save(5, fail)
    assert damage(store.path(1)) is None
    CheckpointStore(tmp_path, keep=1).save(5, write)
    assert names(store) == ["step_000005"]


def test_retention_spares_the_protected_checkpoint(tmp_path: Path) -> None:
    store = store_with(tmp_path, [1, 2], keep=1)
    assert names(store) == ["step_000002"]
    for step in (3, 4):
        store.save(step, write, protect=2)
    assert names(store) == ["step_000002", "step_000004"]


def test_a_damaged_checkpoint_of_the_same_step_is_replaced(tmp_path: Path) -> None:
    store = store_with(tmp_path, [1, 2])
    remove_file(store.path(2))
    store.save(2, write)
    assert damage(store.path(2)) is None


def test_what_an_interrupted_save_left_is_no_checkpoint_and_is_cleaned_up(tmp_path: Path) -> None:
    store = store_with(tmp_path, [1])
    (tmp_path / ".tmp-step_000002").mkdir()
    write(tmp_path / ".tmp-step_000002")
    assert store.newest() == store.path(1)
    store.clean()
    assert [path.name for path in tmp_path.iterdir()] == ["step_000001"]


def test_a_half_written_line_of_the_metrics_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 3}\n{"step": 6}\n{"step": 9}\n{"step": 1')
    MetricsFile(path).cut(6)
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{"step": 3}, {"step": 6}]


def test_metrics_that_are_not_finite_are_written_as_json(tmp_path: Path) -> None:
    MetricsFile(tmp_path / "metrics.jsonl").write({"step": 1, "loss": float("nan"), "grad_norm": float("inf")})
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {"step": 1, "loss": None, "grad_norm": None}
    assert [as_text(value) for value in (float("nan"), 0.25)] == ["null", "0.2500"]


# -- runs -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with an undisturbed run, ``calm``, and one that has ended after step 10 of 20, ``half``."""
    folder = runs.write_project(tmp_path_factory.mktemp("checkpoint"))
    (folder / "death.json").write_text('["step_end", 12]')
    shutil.copy(Path(__file__).with_name("sudden_death.py"), folder)
    runs.train(folder, "--run", "half", "train.hooks=[sudden_death:Config]", status=-9)
    runs.train(folder, "--run", "calm")
    assert runs.checkpoints(folder / "half") == ["step_000005", "step_000010"]
    return folder


def newest(run: Path) -> Path:
    return run / "checkpoints" / runs.checkpoints(run)[-1]


def cut_weights(folder: Path) -> None:
    os.truncate(folder / "model.safetensors", 4000)


def flip_optimizer(folder: Path) -> None:
    content = bytearray((folder / "optimizer.safetensors").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "optimizer.safetensors").write_bytes(content)


@pytest.mark.parametrize("harm", [cut_weights, flip_optimizer, remove_manifest], ids=lambda harm: harm.__name__)
def test_a_run_whose_newest_checkpoint_is_damaged_goes_on_from_the_one_before(home: Path, harm: Damage) -> None:
    run = harm.__name__
    shutil.copytree(home / "half", home / run)
    harm(newest(home / run))
    said = runs.train(home, "--run", run, "--resume")
    assert "checkpoint step_000010 is damaged (" in said
    assert "is passed over" in said
    assert f"resuming {run} at step 5 of 20" in said
    runs.assert_same_run(home / run, home / "calm")
    assert all(damage(home / run / "checkpoints" / name) is None for name in runs.checkpoints(home / run))


def test_a_run_without_a_whole_checkpoint_is_not_started_again_over_itself(home: Path) -> None:
    shutil.copytree(home / "half", home / "hopeless")
    for name in runs.checkpoints(home / "half"):
        cut_weights(home / "hopeless" / "checkpoints" / name)
    before = (home / "hopeless" / "metrics.jsonl").read_text()
    said = runs.train(home, "--run", "hopeless", "--resume", status=2)
    assert "no checkpoint is whole" in said
    assert (home / "hopeless" / "metrics.jsonl").read_text() == before


def test_a_damaged_checkpoint_is_not_used_for_predictions(home: Path) -> None:
    shutil.copytree(home / "half", home / "predict")
    cut_weights(newest(home / "predict"))
    said: list[str] = []
    _, weights = find_model(home / "predict", said.append)
    assert weights.parent.name == "step_000005"
    assert "step_000010 is damaged" in said[0]
    with pytest.raises(CheckpointError, match=r"step_000010: the checkpoint is damaged: model\.safetensors has 4000"):
        find_model(newest(home / "predict"))


def test_as_many_checkpoints_stay_as_the_spec_says(home: Path) -> None:
    runs.train(home, "--run", "three", "train.keep_checkpoints=3")
    assert runs.checkpoints(home / "three") == ["step_000010", "step_000015", "step_000020"]
    runs.train(home, "--run", "one", "train.keep_checkpoints=1", "train.checkpoint_every=null")
    assert runs.checkpoints(home / "one") == ["step_000020"]


# -- a full disk ----------------------------------------------------------------------------------------------------


def assert_one_message(said: str, *parts: str) -> None:
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, said
    assert said.endswith(errors[0] + "\n"), said
    assert "Traceback" not in said
    for part in parts:
        assert part in errors[0]


@pytest.mark.parametrize("limit", [20_000, 40_000], ids=["weights", "optimizer"])
def test_a_save_that_the_system_refuses_leaves_the_checkpoint_before_it(home: Path, limit: int) -> None:
    run = f"limit-{limit}"
    shutil.copytree(home / "half", home / run)
    said = runs.train(home, "--run", run, "--resume", file_limit=limit, status=2)
    assert_one_message(
        said, "step_000015: cannot be written: ", "File too large", "the checkpoint before it, step_000010, is whole"
    )
    assert runs.checkpoints(home / run) == ["step_000005", "step_000010"]
    runs.train(home, "--run", run, "--resume")
    runs.assert_same_run(home / run, home / "calm")


def test_an_export_that_the_system_refuses_is_made_on_resume(home: Path) -> None:
    shutil.copytree(home / "calm", home / "no-export")
    shutil.rmtree(home / "no-export" / "model")
    said = runs.train(home, "--run", "no-export", "--resume", file_limit=20_000, status=2)
    assert_one_message(said, "model: cannot be written: ", "File too large", "the checkpoints are whole")
    runs.train(home, "--run", "no-export", "--resume")
    runs.assert_same_run(home / "no-export", home / "calm")


@pytest.mark.parametrize("limit", [600, 20_000, 0])
def test_a_conversion_that_the_system_refuses_to_write_is_one_message(home: Path, limit: int) -> None:
    arguments = ["convert", "--from", "tp", "calm", "--to", "huggingface"]
    runs.run_tp(home, *arguments, f"whole-{limit}")
    size = (home / f"whole-{limit}" / "model.safetensors").stat().st_size
    said = runs.run_tp(home, *arguments, "refused", file_limit=limit or size - 1, status=2)
    assert_one_message(said, "refused: cannot be written: ", "File too large")
    assert not (home / "refused").exists()


def test_a_spec_or_cache_that_the_system_refuses_to_write_is_one_message(home: Path) -> None:
    said = runs.train(home, "--run", "no-spec", file_limit=500, status=2)
    assert_one_message(said, "no-spec/spec.yaml: cannot be written: File too large")
    said = runs.train(home, "--run", "no-cache", "data.cache=other", file_limit=500, status=2)
    assert_one_message(said, "cannot be written: File too large", "data.cache names another folder")
    assert not (home / "no-cache").exists()


def test_a_spec_that_the_system_refuses_to_write_on_resume_leaves_the_run_as_it_was(home: Path) -> None:
    run = home / "respec"
    shutil.copytree(home / "half", run)
    before = (run / "spec.yaml").read_text()
    said = runs.train(home, "--run", "respec", "--resume", file_limit=500, status=2)
    assert_one_message(said, "respec/spec.yaml: cannot be written: File too large")
    assert (run / "spec.yaml").read_text() == before
    runs.train(home, "--run", "respec", "--resume")
    runs.assert_same_run(run, home / "calm")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for two checkpoints and a bit."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a file system is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_leaves_the_checkpoint_before_and_the_run_goes_on_when_there_is_room(
    home: Path, small_disk: Path
) -> None:
    run = small_disk / "run"
    said = runs.train(home, "--run", str(run), "train.keep_checkpoints=9", status=2)
    assert_one_message(said, "cannot be written: No space left on device", "is whole")
    assert damage(newest(run)) is None
    assert not list((run / "checkpoints").glob(".tmp*"))
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    runs.train(home, "--run", str(run), "train.keep_checkpoints=9", "--resume")
    runs.assert_same_run(run, home / "calm")
