"""The source ``fold``: records divided for cross-validation, and what cannot be divided."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sklearn.model_selection import StratifiedGroupKFold

from tests.core import runs
from tp_core import DataError, SpecError, load_spec
from tp_core.data.sources.division import divide
from tp_core.data.sources.fingerprint import fingerprint
from tp_core.data.sources.fold_options import FoldConfig
from tp_core.data.sources.records import BadRecords, read_records
from tp_core.options.choice import chosen_of
from tp_core.spec.checks.run import check_data
from tp_core.testing import check_module

CLASSES = np.array([0] * 13 + [1] * 8 + [2] * 6)


def table(path: Path, labels: Sequence[str], groups: Sequence[str] = ()) -> Path:
    rows = [f"{label}\t{groups[n] if groups else 'g'}\ttext {n}" for n, label in enumerate(labels)]
    path.write_text("\n".join(["label\tauthor\ttext", *rows, ""]))
    return path


def texts(bad: BadRecords | None = None, columns: dict[str, str] | None = None, **options: Any) -> list[str]:
    records = read_records([chosen_of(FoldConfig(**options))], columns or {}, bad)
    return [record.value["text"] for record in records]


# -- the division ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folds", [2, 3, 5])
@pytest.mark.parametrize("seed", [0, 7])
def test_sizes_differ_by_at_most_one_in_total_and_within_each_class(folds: int, seed: int) -> None:
    found = divide(CLASSES, folds, seed)
    assert np.ptp(np.bincount(found, minlength=folds)) <= 1
    for own in range(3):
        assert np.ptp(np.bincount(found[own == CLASSES], minlength=folds)) <= 1
    assert not np.array_equal(found, divide(CLASSES, folds, seed + 1))
    assert np.array_equal(found, divide(CLASSES, folds, seed))


def test_groups_stay_together_and_classes_are_as_even_as_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 60, 600)
    classes = (rng.random(600) < np.where(groups < 20, 0.8, 0.2)).astype(np.int64)
    groups = np.unique(groups, return_inverse=True)[1]
    found = divide(classes, 5, 0, groups)
    assert all(len({*found[groups == group]}) == 1 for group in range(groups.max() + 1))

    def spread(folds: Any) -> float:
        return float(np.std([classes[folds == number].mean() for number in range(5)]))

    theirs = np.empty(600, np.int64)
    for number, (_, test) in enumerate(StratifiedGroupKFold(5).split(classes, classes, groups)):
        theirs[test] = number
    assert spread(found) <= 1.5 * spread(theirs)
    assert np.ptp(np.bincount(found)) <= 0.2 * len(found) / 5


# -- the source --------------------------------------------------------------------------------------------------------


def test_the_fold_and_the_rest_partition_the_records_in_their_order(tmp_path: Path) -> None:
    path = table(tmp_path / "a.tsv", ["x"] * 13 + ["y"] * 8)
    every = texts(of=str(path), folds=2, held_out=True) + texts(of=str(path), folds=2)
    assert Counter(every) == Counter(f"text {n}" for n in range(21))
    held = [texts(of=str(path), folds=4, number=n, held_out=True, stratify="label") for n in range(4)]
    assert sorted(each for fold in held for each in fold) == sorted(f"text {n}" for n in range(21))
    for number, fold in enumerate(held):
        rest = texts(of=str(path), folds=4, number=number, stratify="label")
        assert rest == [f"text {n}" for n in range(21) if f"text {n}" not in fold]
        assert fold == sorted(fold, key=lambda text: int(text.split()[1]))


def test_several_inputs_are_divided_as_one(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text 0\ntext 1\ntext 2\n")
    (tmp_path / "b.dat").write_text("text\ntext 3\ntext 4\n")
    of = [str(tmp_path / "*.txt"), {"csv": {"path": str(tmp_path / "b.dat")}}]
    folds = [texts(of=of, folds=5, number=n, held_out=True) for n in range(5)]
    assert sorted(folds) == [[f"text {n}"] for n in range(5)]


def test_columns_of_the_division_are_those_of_the_data_also_if_fields_have_other_names(tmp_path: Path) -> None:
    path = table(tmp_path / "a.tsv", ["x", "x", "y", "y"])
    options = {"of": str(path), "folds": 2, "stratify": "label", "held_out": True}
    renamed = read_records([chosen_of(FoldConfig(**options))], {"class": "label", "body": "text"})
    assert [record.value["body"] for record in renamed] == texts(**options)


def test_an_unreadable_record_has_a_number_and_is_reported_by_the_part_that_has_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = [json.dumps({"text": f"text {n}", "label": n % 2, "author": n % 3}) for n in range(12)]
    path.write_text("\n".join([*lines[:5], "no", *lines[5:]]))
    for options in ({}, {"stratify": "label"}, {"group": "author"}):
        counts = []
        for number in range(3):
            for held_out in (True, False):
                bad = BadRecords("skip")
                found = texts(bad, of=str(path), folds=3, number=number, held_out=held_out, **options)
                counts.append((held_out, bad.count, len(found) + bad.count))
        assert sum(bad for held, bad, _ in counts if held) == 1
        assert sum(bad for held, bad, _ in counts if not held) == 2
        assert sum(size for held, _, size in counts if held) == 13


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ("xy", {"folds": 3}, "3 folds need at least 3 records, and there are 2"),
        ("xxxxyy", {"folds": 3, "stratify": "label"}, "3 folds need at least 3 records of each class, and 'y' has 2;"),
        ("xxxx", {"folds": 2, "stratify": "lable"}, "no record has 'lable', which tells the class; did you mean 'labe"),
        (
            "xxxx",
            {"folds": 2, "group": "autor"},
            r"a\.tsv:2: there is no 'autor', which tells the group; did you mean 'author'",
        ),
        ("xxxx", {"folds": 2, "group": "author"}, "2 folds need at least 2 values of 'author', and there is 1"),
    ],
)
def test_data_that_cannot_be_divided_are_one_message(
    tmp_path: Path, labels: str, options: dict[str, Any], message: str
) -> None:
    path = table(tmp_path / "a.tsv", labels)
    with pytest.raises(DataError, match=message):
        texts(of=str(path), **options)


def test_a_class_in_too_few_groups_is_named(tmp_path: Path) -> None:
    path = table(tmp_path / "a.tsv", "xxxxyyyy", "abcdaabb")
    with pytest.raises(DataError, match="at least 3 values of 'author' of each class, and 'y' has 2"):
        texts(of=str(path), folds=3, stratify="label", group="author")


def test_the_source_keeps_the_contracts_of_sources(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text\n" + "a\nb\n" * 6)
    options = {"of": [{"csv": {"path": str(path)}}], "folds": 3, "held_out": True}
    check_module("fold", "source", options, change=lambda: path.write_text("text\n" + "a\nc\n" * 6))


def test_the_fingerprint_follows_the_options_and_the_data(tmp_path: Path) -> None:
    path = table(tmp_path / "a.tsv", "xxyy")
    first = fingerprint([chosen_of(FoldConfig(of=str(path), folds=2))])
    assert fingerprint([chosen_of(FoldConfig(of=str(path), folds=2, held_out=True))]) != first
    assert fingerprint([chosen_of(FoldConfig(of=str(path), folds=2, number=1))]) != first
    moved = tmp_path / "b.tsv"
    path.rename(moved)
    assert fingerprint([chosen_of(FoldConfig(of=str(moved), folds=2))]) == first


# -- in a spec ---------------------------------------------------------------------------------------------------------


def test_paths_of_a_fold_are_relative_to_the_spec_and_a_setting_reaches_its_options(tmp_path: Path) -> None:
    home = runs.write_project(tmp_path / "project")
    spec = runs.read_spec(home)
    spec["data"]["train"] = {"fold": {"of": ["corpus.txt", {"text": {"path": "held_out.txt"}}], "folds": 3}}
    runs.write_spec(home, spec)
    loaded = load_spec(home / "spec.yaml", "data.train.fold.number=2")
    dumped = loaded.dump()["data"]["train"]["fold"]
    assert dumped["of"] == [str(home / "corpus.txt"), {"text": {"path": str(home / "held_out.txt")}}]
    assert dumped["number"] == 2
    again = tmp_path / "again.yaml"
    again.write_text(loaded.to_yaml())
    assert load_spec(again).dump() == loaded.dump()


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ({"of": "corpus.txt", "number": 5}, r"fold\.number: is 5; the 5 folds have the numbers 0 to 4"),
        ({"of": "corpus.txt", "folds": 1}, r"fold\.folds: must be at least 2, got 1"),
        ({"folds": 2}, r"fold\.of: is required"),
        ({"of": []}, r"fold\.of: expected at least 1 items"),
        ({"of": {"text": {"pth": "corpus.txt"}}}, r"fold\.of\.text\.pth: unknown option 'pth'; did you mean 'path'"),
        ({"of": ["corpus.txt", 3]}, r"fold\.of\[1\]: expected a path, or a source"),
        ({"of": "copus.txt"}, r"there is no file .*copus\.txt; did you mean 'corpus\.txt'"),
        ({"of": ["corpus.txt", {"text": {"path": "copus.txt"}}]}, r"fold\.of\[1\]\.text\.path: there is no file"),
    ],
)
def test_what_is_wrong_with_a_fold_is_told_at_its_place(tmp_path: Path, train: dict[str, Any], message: str) -> None:
    from tp_core.spec.checks.run import check_run

    home = runs.write_project(tmp_path / "project")
    spec = runs.read_spec(home)
    spec["data"]["train"] = {"fold": train}
    (home / "spec.yaml").write_text(yaml.safe_dump(spec))
    with pytest.raises(SpecError, match=message):
        check_run(load_spec(home / "spec.yaml"))


@pytest.mark.parametrize(
    ("train", "held_out", "message"),
    [
        ({}, {"number": 1}, "data.eval.fold.number: is 1, and 0 in data.train, so that it has records of the training"),
        ({"folds": 3}, {}, "data.eval.fold.folds: is 5, and 3 in data.train"),
        ({}, {"stratify": "label"}, "data.eval.fold.stratify: is label, and null in data.train"),
        ({"seed": 2}, {}, "data.eval.fold.seed: is 0, and 2 in data.train"),
        ({}, {"held_out": False}, "data.eval.fold.held_out: is false in data.train, too: both read all folds but one"),
    ],
)
def test_an_evaluation_with_records_of_the_training_is_an_error(
    tmp_path: Path, train: dict[str, Any], held_out: dict[str, Any], message: str
) -> None:
    of = str(table(tmp_path / "all.tsv", ["a", "b"] * 10))

    def check(own: dict[str, Any], other: dict[str, Any]) -> None:
        data = {"train": {"fold": {"of": of, **own}}, "eval": {"fold": {"of": of, "held_out": True, **other}}}
        tree = {
            "model": {
                "embedding": ["word"],
                "encoder": "identity",
                "target": [{"cls": {"num_labels": 2, "pooling": "mean"}}],
            },
            "data": {"tokenizer": {"space": {"vocab": str(tmp_path / "vocab.txt")}}, "processor": "cls", **data},
        }
        check_data(load_spec(tree))

    (tmp_path / "vocab.txt").write_text("".join(f"{token}\n" for token in [*runs.SPECIAL, *runs.WORDS]))

    check({}, {})
    with pytest.raises(SpecError) as caught:
        check(train, held_out)
    assert message in str(caught.value)


def test_a_misspelt_class_is_named_with_its_line(tmp_path: Path) -> None:
    of = [str(table(tmp_path / "all.tsv", ["good", "bad", "god", *["good", "bad"] * 4]))]
    with pytest.raises(DataError) as caught:
        texts(of=of, folds=3, stratify="label")
    assert str(caught.value).endswith(
        "all.tsv:4: 3 folds need at least 3 records of each class, and 'god' has 1; did you mean 'good'?"
    )
