"""``init_from`` compares what rows of weights stand for; ``require_init`` refuses what differs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.core import runs
from tp_core import SpecError, TPError, load_model, load_spec, train


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained model."""
    folder = tmp_path_factory.mktemp("source")
    runs.write_project(folder, documents=8, steps=1)
    train(load_spec(folder / "spec.yaml"), folder / "run")
    return folder


def started(source: Path, folder: Path, capsys: pytest.CaptureFixture[str], **also: Any) -> str:
    """Start a run from the model, with what the project in ``folder`` has; gives back what is said."""
    spec: dict[str, Any] = runs.read_spec(folder) | {"init_from": str(source / "run")} | also
    spec["train"]["steps"] = 1
    runs.write_spec(folder, spec)
    capsys.readouterr()
    train(load_spec(folder / "spec.yaml"), folder / f"run-{len(list(folder.glob('run-*')))}")
    return capsys.readouterr().err


def swapped(folder: Path) -> None:
    """Two words of the vocabulary change places."""
    lines = (folder / "vocab.txt").read_text().split()
    lines[10], lines[20] = lines[20], lines[10]
    (folder / "vocab.txt").write_text("\n".join(lines) + "\n")


def test_the_same_vocabulary_under_another_name_is_the_same(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.write_project(tmp_path, documents=8)
    spec = runs.read_spec(tmp_path)
    (tmp_path / "vocab.txt").rename(tmp_path / "words.txt")
    spec["data"]["tokenizer"]["space"]["vocab"] = "words.txt"
    runs.write_spec(tmp_path, spec)
    assert "stand for other" not in started(source, tmp_path, capsys, require_init="all")


def test_another_vocabulary_of_the_same_size_is_told(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.write_project(tmp_path, documents=8)
    swapped(tmp_path)
    words = [*runs.SPECIAL, *runs.WORDS]
    said = started(source, tmp_path, capsys)
    told = f"2 of {len(words)} ids stand for other tokens, id 10 for '{words[10]}' there and '{words[20]}' here"
    assert told in said


@pytest.mark.parametrize("require", ["all", "vocabulary", ["vocabulary"], ["vocabulary", "weights"]])
def test_another_vocabulary_is_refused_where_the_spec_says_so(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], require: Any
) -> None:
    runs.write_project(tmp_path, documents=8)
    swapped(tmp_path)
    with pytest.raises(TPError, match=r"2 of .* ids stand for other tokens"):
        started(source, tmp_path, capsys, require_init=require)


def test_new_weights_are_refused_where_all_are_required(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.write_project(tmp_path, documents=8)
    target = ["mlm", {"sp": {"name": "order"}}]
    spec = runs.read_spec(tmp_path)
    spec["model"]["target"] = target
    runs.write_spec(tmp_path, spec)
    started(source, tmp_path, capsys, require_init="vocabulary")
    with pytest.raises(TPError, match=r"require_init asks for all weights, and there are none for targets\.order"):
        started(source, tmp_path, capsys, require_init="weights")


def test_weights_that_no_part_names_are_new(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs.write_project(tmp_path, documents=8)
    parts = {"encoder": str(source / "run"), "embedding": str(source / "run")}
    with pytest.raises(TPError, match=r"there are none for targets\.mlm, targets\.sp"):
        started(source, tmp_path, capsys, init_from=parts, require_init="weights")


def test_a_vocabulary_that_was_edited_behind_a_checkpoint_is_not_that_of_its_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.write_project(tmp_path, documents=8, steps=1)
    train(load_spec(tmp_path / "spec.yaml"), tmp_path / "run")
    swapped(tmp_path)
    capsys.readouterr()
    checkpoint = str(tmp_path / "run" / "checkpoints" / "step_000001")
    said = list[str]()
    load_model(checkpoint, say=said.append)
    assert "data.tokenizer.space: " in said[0]
    assert "vocab.txt has changed" in said[0]
    with pytest.raises(TPError, match=r"require_init asks for the same vocabulary: files .* have changed"):
        started(tmp_path, tmp_path, capsys, init_from=checkpoint, require_init="vocabulary")
    load_model(tmp_path / "run" / "model", say=said.append)  # which has its own
    assert len(said) == 1


@pytest.mark.parametrize("part", ["encoder", "embedding"])
def test_only_weights_with_a_row_for_each_id_know_a_vocabulary(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], part: str
) -> None:
    """Whatever their sizes: those of the encoder here are as large as the vocabulary."""
    size = len((source / "vocab.txt").read_text().splitlines())
    for name in ("one", "two"):
        folder = runs.write_project(tmp_path / name, documents=8, steps=1)
        spec = runs.read_spec(folder)
        spec["model"] |= {"hidden_size": size, "encoder": {"transformer": {"num_layers": 1, "num_heads": 1}}}
        runs.write_spec(folder, spec)
    train(load_spec(tmp_path / "one" / "spec.yaml"), tmp_path / "one" / "run")
    swapped(tmp_path / "two")
    spec = runs.read_spec(tmp_path / "two")
    runs.write_spec(
        tmp_path / "two", spec | {"init_from": {part: str(tmp_path / "one" / "run")}, "require_init": "vocabulary"}
    )
    if part == "encoder":
        train(load_spec(tmp_path / "two" / "spec.yaml"), tmp_path / "two" / "run")
    else:
        with pytest.raises(TPError, match=r"2 of \d+ ids stand for other tokens"):
            train(load_spec(tmp_path / "two" / "spec.yaml"), tmp_path / "two" / "run")


def test_data_sets_of_other_numbers_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, order in (("one", ("x", "y")), ("two", ("y", "x"))):
        folder = runs.write_project(tmp_path / name, documents=8, steps=1)
        spec = runs.read_spec(folder)
        spec["model"]["embedding"].append({"task": {"num_tasks": 2}})
        own = {key: spec["data"].pop(key) for key in ("processor", "train")}
        spec["data"]["sets"] = dict.fromkeys(order, own)
        runs.write_spec(folder, spec)
    train(load_spec(tmp_path / "one" / "spec.yaml"), tmp_path / "one" / "run")
    assert "data set 0 is 'x' there and 'y' here" in started(tmp_path / "one", tmp_path / "two", capsys)


def test_classes_in_another_order_are_another_vocabulary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["text\tlabel", *(f"{runs.WORDS[n % 9]} {runs.WORDS[n % 4]}\t{'ab'[n % 2]}" for n in range(16))]
    for name, labels in (("one", ["a", "b"]), ("two", ["b", "a"])):
        folder = runs.write_project(tmp_path / name, documents=3, steps=1, batch_size=4)
        (folder / "table.tsv").write_text("\n".join(lines) + "\n")
        spec = runs.read_spec(folder)
        spec["model"]["target"] = [{"cls": {"num_labels": 2}}]
        spec["data"] |= {"processor": {"cls": {"max_length": 16, "labels": labels}}, "train": "table.tsv"}
        runs.write_spec(folder, spec)
    train(load_spec(tmp_path / "one" / "spec.yaml"), tmp_path / "one" / "run")
    assert "class 0 of 'cls' is 'a' there and 'b' here" in started(tmp_path / "one", tmp_path / "two", capsys)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("wieghts", r"expected all, or some of vocabulary, weights, got the text 'wieghts'; did you mean 'weights'"),
        (["weights", 3], r"expected all, or some of vocabulary, weights, got the number 3"),
    ],
)
def test_a_wrong_value_is_told(source: Path, tmp_path: Path, value: Any, message: str) -> None:
    runs.write_project(tmp_path, documents=3)
    runs.write_spec(tmp_path, runs.read_spec(tmp_path) | {"init_from": str(source / "run"), "require_init": value})
    with pytest.raises(SpecError, match=message):
        load_spec(tmp_path / "spec.yaml")


def test_it_belongs_beside_init_from(tmp_path: Path) -> None:
    runs.write_project(tmp_path, documents=3)
    runs.write_spec(tmp_path, runs.read_spec(tmp_path) | {"require_init": "all"})
    with pytest.raises(SpecError, match="require_init: belongs beside init_from"):
        load_spec(tmp_path / "spec.yaml")
