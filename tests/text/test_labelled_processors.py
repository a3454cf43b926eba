"""Texts and pairs of texts with sets of classes or with numbers, from the file to the prediction."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scipy import stats

from tests.contexts import targets
from tests.core import runs
from tests.text.corpora import CLS, SEP, draw, processor, records, rows_of, tokenizer
from tp_core import DataContext, evaluate, load_model, load_spec, predict, train
from tp_core.data.build import build_processor, build_tokenizer
from tp_core.data.cache.prepared import prepared_rows
from tp_core.errors import DataError
from tp_core.testing import check_module

THREE = DataContext(targets=targets(multi_label={"num_labels": 3}))
TWO = DataContext(targets=targets(regression={"outputs": 2}))


def test_samples_have_sets_of_classes_as_rows_of_zeros_and_ones(tmp_path: Path) -> None:
    made = processor(tmp_path, "multi_label", THREE, max_length=10)
    given = [
        {"text_a": "w1 w2", "label": "2, 0"},
        {"text": "w1", "label": []},
        {"text": "w1", "text_b": "w2", "label": 1},
    ]
    rows = rows_of(tmp_path, made, records(given))
    samples = [draw(made, rows, n) for n in range(3)]
    assert samples[2]["input_ids"].tolist() == [CLS, 7, SEP, 8, SEP]
    assert made.collate(samples).labels["multi_label"]["labels"].tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    unlabelled = made.collate(made.encode(records([{"text": "w1"}])))
    assert unlabelled.labels["multi_label"]["labels"].isnan().all()


def test_samples_have_numbers(tmp_path: Path) -> None:
    made = processor(tmp_path, "regression", TWO, fields=["valence", "arousal"], allow_missing=True)
    given = [{"text": "w1", "valence": "1.5", "arousal": -2}, {"text": "w1", "text_b": "w2", "arousal": 1e-3}]
    rows = rows_of(tmp_path, made, records(given))
    labels = made.collate([draw(made, rows, n) for n in range(2)]).labels["regression"]["labels"]
    assert labels[0].tolist() == [1.5, -2.0]
    assert math.isnan(labels[1, 0])
    assert labels[1, 1].item() == np.float32(1e-3)
    assert made.describe([{"values": [0.5, 1.0]}]) == [{"values": {"valence": 0.5, "arousal": 1.0}}]
    assert made.collate(made.encode(records([{"text": "w1"}]))).labels["regression"]["labels"].isnan().all()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("multi_label", {"text": "w1"}, "no field 'label'; the fields are text"),
        ("multi_label", {"text": "w1", "label": "3"}, "the label 3 is out of range; expected an integer from 0 to 2"),
        ("multi_label", {"text": "w1", "label": "1,1"}, "the label '1' is listed twice"),
        ("multi_label", {"text": " ", "label": "1"}, "the text is empty"),
        ("regression", {"text": "w1", "label": ["1", "n/a"]}, "the label is 'n/a'; expected a number"),
        ("regression", {"text": "w1", "label": [1, math.inf]}, "the label is inf; expected a finite number"),
        ("regression", {"text": "w1", "label": 1}, "the label has one value; expected 2 numbers"),
    ],
)
def test_a_bad_record_is_reported_with_its_line_and_the_others_are_kept(
    tmp_path: Path, name: str, value: dict[str, Any], message: str
) -> None:
    reported: list[DataError] = []
    good: Any = [0] if name == "multi_label" else [1.0, 2.0]
    given = records([{"text": "w1", "label": good}, value, {"text": "w2", "label": good}])
    data = THREE if name == "multi_label" else TWO
    (columns,) = processor(tmp_path, name, data).prepare(iter(given), reported.append)
    assert [list(cell) for cell in columns["label"]] == [good, good]
    (error,) = reported
    assert str(error).startswith(f"corpus.txt:2: {message}")


SETS = [{"text_a": f"w{n} w3", "text_b": "w4" * (n % 2), "label": [[], [1], [0, 2]][n % 3]} for n in range(9)]
NUMBERS = [{"text": f"w{n} w3", "label": [n / 3, -n] if n % 2 else [None, n]} for n in range(9)]


@pytest.mark.parametrize(
    ("name", "given", "options", "data"),
    [
        ("multi_label", SETS, {}, THREE),
        ("multi_label", SETS, {"labels": {0: "a", 1: "b", 2: "c"}}, DataContext()),
        ("regression", NUMBERS, {"allow_missing": True}, TWO),
        ("regression", [{**each, "label": n} for n, each in enumerate(SETS)], {}, DataContext()),
    ],
)
def test_the_processors_conform(
    tmp_path: Path, name: str, given: list[dict[str, Any]], options: dict[str, Any], data: DataContext
) -> None:
    check_module(
        name, "processor", {"max_length": 16, **options}, records=given, tokenizer=tokenizer(tmp_path), data=data
    )


# -- from the file to the prediction -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts in which each of four words makes a class, and counts of two of them as numbers."""
    folder = runs.write_project(tmp_path_factory.mktemp("labels"))
    rng = np.random.default_rng(0)
    for split, count in (("train", 240), ("test", 60)):
        with open(folder / f"{split}.csv", "w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["text", "words", "first", "second"])
            for _ in range(count):
                words = rng.choice(runs.WORDS[:10], 5).tolist()
                kept = [word for word in runs.WORDS[:4] if word in words]
                table.writerow([" ".join(words), ",".join(kept), words.count("ba"), words.count("be") - 0.5])
    spec = runs.read_spec(folder)
    spec["model"] |= {"pooling": "mean", "dropout": 0.0, "encoder": "identity"}  # it counts words
    for key in ("num_layers", "num_heads", "feed_forward_size"):
        del spec["model"][key]
    spec["data"] |= {"train": "train.csv", "eval": "test.csv"}
    spec["train"] |= {"steps": 100, "batch_size": 16, "device": "cpu", "optimizer": {"adamw": {"lr": 0.03}}}
    own = {
        "multi": ({"multi_label": {"num_labels": 4}}, {"multi_label": {"labels": runs.WORDS[:4]}}, {"label": "words"}),
        "numbers": (
            {"regression": {"outputs": 2, "metrics": ["pearson", "mse"]}},
            {"regression": {"fields": ["first", "second"]}},
            {},
        ),
        "number": ({"regression": {}}, {"regression": {}}, {"label": "first"}),
    }
    for name, (target, read, columns) in own.items():
        part = {**spec, "model": {**spec["model"], "target": [target]}}
        part["data"] = {**spec["data"], "processor": read, "columns": columns}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(part))
    return folder


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "test.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_classes_are_learned_and_named(home: Path) -> None:
    run = train(load_spec(home / "multi.yaml"), home / "multi")
    found = evaluate(run.model, str(home / "test.csv"))
    assert found["multi_label/f1_micro"] > 0.9
    predictions = list(predict(run.model, rows(home)))
    given = [[name for name in row["words"].split(",") if name] for row in rows(home)]
    right = [sorted(each["labels"]) == sorted(labels) for each, labels in zip(predictions, given)]
    assert np.mean(right) > 0.8
    assert [*predictions[0]["probabilities"]] == runs.WORDS[:4]


def test_numbers_are_learned_and_have_columns_of_their_own_in_a_table(home: Path) -> None:
    train(load_spec(home / "numbers.yaml"), home / "numbers")
    found = evaluate(load_model(home / "numbers", "cpu"), str(home / "test.csv"))
    assert found["regression/pearson_0"] > 0.9
    assert found["regression/pearson"] == pytest.approx(
        (found["regression/pearson_0"] + found["regression/pearson_1"]) / 2
    )
    runs.run_tp(home, "predict", "numbers", "--input", "test.csv", "--output", "found.csv", "--keep", "first")
    with open(home / "found.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [*table[0]] == ["row", "input_first", "value_first", "value_second"]
    first = [[float(row[name]) for row in table] for name in ("input_first", "value_first")]
    assert stats.pearsonr(*first).statistic == pytest.approx(found["regression/pearson_0"], abs=1e-4)
    said = runs.run_tp(home, "predict", "numbers", "--text", "ba be")
    values = next(json.loads(line) for line in said.splitlines() if line.startswith("{"))["values"]
    assert [*values] == ["first", "second"]


def test_one_number_is_predicted_as_a_value(home: Path) -> None:
    train(load_spec(home / "number.yaml", ["train.steps=2"]), home / "number")
    (found,) = predict(home / "number", [{"text": "ba be"}])
    assert [*found] == ["value"]
    assert isinstance(found["value"], float)


def test_another_number_of_outputs_prepares_the_data_anew(home: Path) -> None:
    """Rows of one output do not fit a target of two, so that the cache must not give them."""
    (home / "lists.jsonl").write_text('{"text": "ba", "label": [1.0]}\n')
    given = ["data.train=lists.jsonl", "data.columns.label=null", "data.eval=null"]

    def prepare(outputs: int) -> Any:
        spec = load_spec(home / "number.yaml", [*given, f"model.target.regression.outputs={outputs}"])
        made = build_processor(spec, build_tokenizer(spec))
        assert made is not None
        return prepared_rows(spec, made, str(home / "lists.jsonl"))

    assert prepare(1).get("label", 0).tolist() == [1.0]
    with pytest.raises(DataError, match="the label has one value; expected 2 numbers"):
        prepare(2)


def test_two_regressions_read_columns_of_their_own(home: Path) -> None:
    spec = yaml.safe_load((home / "number.yaml").read_text())
    spec["model"]["target"] = [{"regression": {"name": name}} for name in ("one", "two")]
    spec["data"] |= {"labels": {"one": "first", "two": "second"}, "columns": {}}
    (home / "two.yaml").write_text(yaml.safe_dump(spec))
    train(load_spec(home / "two.yaml"), home / "two")
    found = evaluate(home / "two", str(home / "test.csv"))
    assert found["one/pearson"] > 0.8
    assert found["two/pearson"] > 0.8
    (prediction,) = predict(home / "two", [{"text": "ba be"}])
    assert {name: [*each] for name, each in prediction.items()} == {"one": ["value"], "two": ["value"]}
