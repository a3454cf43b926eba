"""A run goes on with the contents that it was trained with, and all its processes have the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.core import runs
from tp_core import TPError, load_spec, train


def changed(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    spec = runs.read_spec(folder)
    change(spec)
    runs.write_spec(folder, spec)


def swapped(file: Path, one: int, other: int) -> None:
    """Two lines of a file change places."""
    lines = file.read_text().split("\n")
    lines[one], lines[other] = lines[other], lines[one]
    file.write_text("\n".join(lines))


# -- a run that goes on --------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A project whose run has done two of four steps."""
    folder = runs.write_project(tmp_path / "home", documents=8, steps=4)
    changed(folder, lambda spec: spec["data"].update(eval="held_out.txt"))
    train(load_spec(folder / "spec.yaml", ["train.steps=2"]), folder / "run")
    return folder


def go_on(folder: Path) -> None:
    train(load_spec(folder / "spec.yaml"), folder / "run", resume=True, allow_change="steps")


def test_a_vocabulary_in_another_order_is_refused(home: Path) -> None:
    swapped(home / "vocab.txt", 10, 20)
    place = r"trained with other contents than there are now\n  data\.tokenizer\.space: \S*vocab\.txt has changed\n"
    with pytest.raises(TPError, match=place):
        go_on(home)


def test_an_edited_corpus_of_as_many_instances_is_refused(home: Path) -> None:
    swapped(home / "corpus.txt", 0, 1)
    with pytest.raises(TPError, match=r"data\.train: \S*corpus\.txt has changed"):
        go_on(home)


def test_what_was_refused_is_as_it_was_and_goes_on_when_the_file_is_back(home: Path) -> None:
    def files() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in (home / "run").rglob("*") if path.is_file()}

    before = files()
    swapped(home / "vocab.txt", 10, 20)
    with pytest.raises(TPError):
        go_on(home)
    assert files() == before
    swapped(home / "vocab.txt", 10, 20)
    go_on(home)


def test_files_that_have_moved_are_the_same(home: Path) -> None:
    (home / "data").mkdir()
    (home / "vocab.txt").rename(home / "data" / "words")
    (home / "corpus.txt").rename(home / "data" / "texts.txt")

    def moved(spec: dict[str, Any]) -> None:
        spec["data"] |= {"tokenizer": {"space@tp-text": {"vocab": "data/words"}}, "train": "data/texts.txt"}

    changed(home, moved)
    go_on(home)


def test_other_data_for_evaluation_are_told(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    swapped(home / "held_out.txt", 0, 1)
    go_on(home)
    said = capsys.readouterr().err
    assert "held_out.txt has changed; evaluations from here on do not compare with those before" in said


def test_data_for_evaluation_that_have_moved_are_the_same(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stopping = {"metric": "loss", "patience": 9}
    changed(home, lambda spec: spec["train"].update(early_stopping=stopping))
    train(load_spec(home / "spec.yaml", ["train.steps=2"]), home / "watched")
    (home / "held_out.txt").rename(home / "texts.txt")
    changed(home, lambda spec: spec["data"].update(eval="texts.txt"))
    capsys.readouterr()
    train(load_spec(home / "spec.yaml"), home / "watched", resume=True, allow_change="steps")
    said = capsys.readouterr().err
    assert "do not compare" not in said
    assert "does not count" not in said


def test_data_sets_in_another_order_are_refused(tmp_path: Path) -> None:
    folder = runs.write_project(tmp_path, documents=8, steps=2)

    def in_sets(spec: dict[str, Any], order: str) -> None:
        own = {key: spec["data"].pop(key) for key in ("processor", "train")} if "train" in spec["data"] else None
        sets = spec["data"].get("sets") or dict.fromkeys("xy", own)
        spec["data"]["sets"] = {name: sets[name] for name in order}

    changed(folder, lambda spec: in_sets(spec, "xy"))
    train(load_spec(folder / "spec.yaml"), folder / "run")
    changed(folder, lambda spec: in_sets(spec, "yx"))
    with pytest.raises(TPError, match=r"cannot change on --resume: data\.sets \(was \[x, y\], is \[y, x\]\)"):
        train(load_spec(folder / "spec.yaml"), folder / "run", resume=True)


def test_a_teacher_of_another_vocabulary_is_refused_before_anything_is_done(home: Path) -> None:
    target = ["mlm", "sp", {"distill": {"teacher": str(home / "run" / "model"), "of": "mlm"}}]
    changed(home, lambda spec: spec["model"].update(target=target))
    swapped(home / "vocab.txt", 10, 20)
    with pytest.raises(TPError, match=r"model\.target\.distill\.teacher: reads another vocabulary: 2 of \d+ ids"):
        train(load_spec(home / "spec.yaml"), home / "taught")
    assert not (home / "taught").exists()


def test_a_teacher_of_other_classes_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    lines = ["text\tlabel", *(f"{runs.WORDS[n % 9]} {runs.WORDS[n % 4]}\t{'ab'[n % 2]}" for n in range(16))]
    for name, labels in (("teacher", ["a", "b"]), ("student", ["b", "a"])):
        folder = runs.write_project(tmp_path / name, documents=3, steps=1, batch_size=4)
        (folder / "table.tsv").write_text("\n".join(lines) + "\n")
        spec = runs.read_spec(folder)
        spec["model"]["target"] = [{"cls": {"num_labels": 2}}]
        if name == "student":
            spec["model"]["target"].append({"distill": {"teacher": str(tmp_path / "teacher" / "run")}})
        spec["data"] |= {"processor": {"cls": {"max_length": 16, "labels": labels}}, "train": "table.tsv"}
        spec["data"].pop("eval", None)
        runs.write_spec(folder, spec)
        if name == "teacher":
            train(load_spec(folder / "spec.yaml"), folder / "run")
    with pytest.raises(TPError, match="teacher: has other classes: class 0 of 'cls' is 'a' there and 'b' here"):
        train(load_spec(tmp_path / "student" / "spec.yaml"), tmp_path / "student" / "run")


def test_another_teacher_is_refused(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "run" / "model", tmp_path / "teacher")
    target = ["mlm", "sp", {"distill": {"teacher": str(tmp_path / "teacher"), "of": "mlm"}}]
    changed(home, lambda spec: spec["model"].update(target=target))
    train(load_spec(home / "spec.yaml", ["train.steps=2"]), home / "taught")
    weights = tmp_path / "teacher" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    (tmp_path / "teacher" / "manifest.json").unlink()  # as for a change of the user's own
    with pytest.raises(TPError, match=r"model\.target\.distill: \S*model\.safetensors has changed"):
        train(load_spec(home / "spec.yaml"), home / "taught", resume=True, allow_change="steps")


# -- processes with disks of their own -------------------------------------------------------------------------------


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """One project on two disks."""
    one = runs.write_project(tmp_path / "one", documents=8, steps=2)
    return one, Path(shutil.copytree(one, tmp_path / "two"))


def test_equal_files_on_two_disks_train_together(two: tuple[Path, Path]) -> None:
    runs.train_pair(two[0], "--run", "run", other=two[1])
    assert (two[0] / "run" / "model").is_dir()
    assert not (two[1] / "run" / "model").exists()


@pytest.mark.parametrize(
    ("file", "place"), [("vocab.txt", "data.tokenizer.space"), ("corpus.txt", "data.train")], ids=["vocab", "corpus"]
)
def test_another_file_on_one_disk_is_named_with_its_rank(two: tuple[Path, Path], file: str, place: str) -> None:
    swapped(two[1] / file, 10, 11)
    said = runs.train_pair(two[0], "--run", "run", other=two[1], status=2)
    assert f"{place}: {two[1] / file} on rank 1 differs from {two[0] / file} on rank 0" in said
    assert said.count("error:") == 1
    assert not (two[0] / "run").exists()


def test_another_spec_on_one_disk_is_told(two: tuple[Path, Path]) -> None:
    changed(two[1], lambda spec: spec["train"]["optimizer"]["adamw"].update(lr=0.5))
    said = runs.train_pair(two[0], "--run", "run", other=two[1], status=2)
    assert "train.optimizer.adamw.lr is 0.5 in the spec of rank 1, and 0.01 in that of rank 0" in said


def test_another_model_to_start_from_on_one_disk_is_told(two: tuple[Path, Path]) -> None:
    for number, folder in enumerate(two):
        train(load_spec(folder / "spec.yaml", ["train.steps=1", f"train.seed={number}"]), folder / "first")
        changed(folder, lambda spec: spec.update(init_from="first"))
    said = runs.train_pair(two[0], "--run", "run", other=two[1], status=2)
    weights = "first/model/model.safetensors"
    assert f"init_from: {two[1] / weights} on rank 1 differs from {two[0] / weights} on rank 0" in said


def test_a_run_on_a_disk_that_one_process_does_not_see_does_not_go_on(two: tuple[Path, Path]) -> None:
    runs.train_pair(two[0], "--run", "run", other=two[1])
    for folder in two:
        changed(folder, lambda spec: spec["train"].update(steps=4))
    said = runs.train_pair(two[0], "--run", "run", "--resume", "--allow-change", "steps", other=two[1], status=2)
    assert "run/checkpoints/step_000002" in said
    assert "rank 1" in said
