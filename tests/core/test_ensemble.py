"""Predictions of several models are averaged, and what cannot be averaged is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tp_core
from tests.core import reviews, runs
from tp_core import TPError, load_spec
from tp_core.inference.ensemble import averaged

TEXTS = [f"{first} {second}" for first in runs.WORDS[:8] for second in runs.WORDS[-5:]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with models: ``one``, ``two``, ``other`` with another order of classes, and two of masked tokens."""
    folder = reviews.write_project(tmp_path_factory.mktemp("ensemble"))
    runs.write_corpus(folder / "corpus.txt", 5)
    masked = ["model.target=[mlm]", "data.processor=bert", f"data.train={folder}/corpus.txt", "data.eval=null"]
    masked += ["data.processor.bert.max_length=16"]
    other = ["data.processor.cls.labels=[good, bad]"]
    settings = {"one": [], "two": ["train.seed=1"], "other": other, "masked": masked}
    for run, own in (settings | {"masked_too": [*masked, "train.seed=1"]}).items():
        tp_core.train(load_spec(folder / "spec.yaml", own), folder / run)
    (folder / "new.txt").write_text("".join(f"{text}\n" for text in TEXTS))
    return folder


def test_probabilities_are_averaged_and_labels_follow(home: Path) -> None:
    one, two = (list(tp_core.predict(home / run, TEXTS)) for run in ("one", "two"))
    both = list(tp_core.predict_ensemble([home / "one", home / "two"], TEXTS, batch_size=7))
    assert len(both) == len(TEXTS)
    assert len({each["label"] for each in both}) == 2
    for first, second, found in zip(one, two, both):
        mean = np.mean([list(each["probabilities"].values()) for each in (first, second)], axis=0)
        np.testing.assert_allclose(list(found["probabilities"].values()), mean, atol=1e-6)
        assert found["label"] == ["bad", "good"][int(mean.argmax())]
    assert any(a["label"] != b["label"] for a, b in zip(one, two)), "the models agree on every text"


def test_the_command_averages_and_gives_each_record_its_row_also_in_two_processes(home: Path) -> None:
    command = ["predict", "one", "two", "--input", "new.txt", "--output"]
    said = runs.run_tp(home, *command, "one.jsonl")
    assert f"{len(TEXTS)} predictions in one.jsonl" in said
    runs.run_group(home, *command, "pair.jsonl")
    rows = [json.loads(line) for line in (home / "one.jsonl").read_text().splitlines()]
    expected = list(tp_core.predict_ensemble([home / "one", home / "two"], TEXTS))
    assert [row.pop("row") for row in rows] == list(range(1, len(TEXTS) + 1))
    assert rows == expected
    assert (home / "pair.jsonl").read_text() == (home / "one.jsonl").read_text()


@pytest.mark.parametrize("given", ["read.txt", "rea*.txt", "folder", "{text: {path: read.txt}}"])
def test_an_input_is_not_replaced_by_the_output(home: Path, given: str) -> None:
    place = home / ("folder/read.txt" if given == "folder" else "read.txt")
    place.parent.mkdir(exist_ok=True)
    place.write_text("one\ntwo\n")
    (home / "link.txt").unlink(missing_ok=True)
    (home / "link.txt").symlink_to(place)
    for output in (str(place.relative_to(home)), "link.txt"):
        command = ["predict", "one", "--input", given, "--output", output, "--output-form", "jsonl", "--overwrite"]
        said = runs.run_tp(home, *command, status=2)
        assert said == f"error: --output {output}: --input reads this file; expected another file\n"
        assert place.read_text() == "one\ntwo\n"


def test_vectors_do_not_replace_the_records_either(home: Path) -> None:
    pq.write_table(pa.table({"text_a": ["one", "two"]}), home / "read.parquet")
    before = (home / "read.parquet").read_bytes()
    command = ["embed", "one", "--input", "read.parquet", "--output", "read.parquet", "--overwrite"]
    said = runs.run_tp(home, *command, status=2)
    assert said.endswith("error: --output read.parquet: --input reads this file; expected another file\n")
    assert (home / "read.parquet").read_bytes() == before


def test_models_with_other_classes_are_refused_and_nothing_is_written(home: Path) -> None:
    said = runs.run_tp(home, "predict", "one", "other", "--input", "new.txt", "--output", "no.jsonl", status=2)
    assert "error: the models have different classes, or in another order: one/model: bad, good; other/model: " in said
    assert not (home / "no.jsonl").exists()


def test_texts_cannot_be_averaged_and_their_field_is_named(home: Path) -> None:
    with pytest.raises(TPError, match=r"predictions with 'tokens\[0\]\[0\]\.token' cannot be averaged, only"):
        list(tp_core.predict_ensemble([home / "masked", home / "masked_too"], ["ba [MASK]"]))
    with pytest.raises(TPError, match=r"the models predict different things: .*one: label, probabilities; .*: tokens"):
        list(tp_core.predict_ensemble([home / "one", home / "masked"], ["ba [MASK]"]))
    twice = [{"tokens": [{"token": "a", "probability": 0.5}]}, {"tokens": [{"token": "b", "probability": 0.5}]}]
    with pytest.raises(TPError, match=r"'tokens\[0\]\.token' cannot be averaged.*record 3: x: 'a'; y: 'b'"):
        averaged(twice, ["x", "y"], 3)


def test_one_folder_is_no_list_of_models(home: Path) -> None:
    for wrong in (str(home / "one"), [], home / "one"):
        with pytest.raises(TPError, match="expected a list of models"):
            next(tp_core.predict_ensemble(wrong, TEXTS))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("predictions", "expected"),
    [
        ([{"similarity": 0.25}, {"similarity": 0.75}], {"similarity": 0.5}),
        ([{"value": [1.0, 2.0]}, {"value": [3.0, 5.0]}], {"value": [2.0, 3.5]}),
        (
            [{"label": 0, "probabilities": [0.6, 0.4]}, {"label": 1, "probabilities": [0.1, 0.9]}],
            {"label": 1, "probabilities": [0.35, 0.65]},
        ),
        (
            [
                {"labels": ["a"], "probabilities": {"a": 0.75, "b": 0.25}},
                {"labels": ["a", "b"], "probabilities": {"a": 0.5, "b": 0.875}},
            ],
            {"labels": ["a", "b"], "probabilities": {"a": 0.625, "b": 0.5625}},
        ),
        (
            [
                {"image": "/a.png", "x": {"label": "n", "probabilities": {"n": 1.0, "m": 0.0}}, "y": {"score": 1.0}},
                {"image": "/a.png", "x": {"label": "m", "probabilities": {"n": 0.25, "m": 0.75}}, "y": {"score": 2.0}},
            ],
            {"image": "/a.png", "x": {"label": "n", "probabilities": {"n": 0.625, "m": 0.375}}, "y": {"score": 1.5}},
        ),
    ],
)
def test_numbers_are_averaged_wherever_they_are(predictions: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    assert averaged(predictions, ["x", "y"]) == expected


def test_labels_follow_from_the_mean_of_the_thresholds(home: Path) -> None:
    def spec(seed: int, threshold: Any) -> Any:
        target = f"model.target=[{{multi_label: {{num_labels: 2, pooling: mean, threshold: {threshold}}}}}]"
        own = [target, "data.processor={multi_label: {labels: [bad, good]}}", f"train.seed={seed}"]
        return load_spec(home / "spec.yaml", own)

    for run, seed, threshold in (("low", 1, "[0.2, 0.45]"), ("high", 2, "[0.5, 0.65]")):
        tp_core.train(spec(seed, threshold), home / run)
    models = [home / "low", home / "high"]
    one, two = (list(tp_core.predict(model, TEXTS)) for model in models)
    both = list(tp_core.predict_ensemble(models, TEXTS))
    counts = set()
    for first, second, found in zip(one, two, both, strict=True):
        mean = {name: (first["probabilities"][name] + second["probabilities"][name]) / 2 for name in ("bad", "good")}
        assert found["probabilities"] == pytest.approx(mean)
        expected = [name for name, least in (("bad", 0.35), ("good", 0.55)) if mean[name] >= least]
        assert found["labels"] == expected
        counts.add(len(expected))
    assert len(counts) > 1


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        ([{"text": "a"}, {"text": "b"}], "predictions with 'text' cannot be averaged, only probabilities"),
        ([{"start": 3}, {"start": 4}], "predictions with 'start' cannot be averaged"),
        ([{"units": [1, 2]}, {"units": [1]}], "predictions with 'units' cannot be averaged"),
        ([{"label": 0, "probabilities": [1.0]}, {"label": 0, "probabilities": [0.5, 0.5]}], "different classes.*: 1; "),
        ([{"a": 0.5}, {"b": 0.5}], "the models predict different things: x: a; y: b"),
        (
            [{"labels": ["a"], "probabilities": {"a": 0.4}}, {"labels": [], "probabilities": {"a": 0.1}}],
            "predictions with 'labels' cannot be averaged",  # a threshold that is not known here
        ),
        (
            [
                {"label": "b", "probabilities": {"a": 0.6, "b": 0.4}},
                {"label": "a", "probabilities": {"a": 1.0, "b": 0.0}},
            ],
            "predictions with 'label' cannot be averaged",
        ),
    ],
)
def test_what_cannot_be_averaged_is_named(predictions: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(TPError, match=message):
        averaged(predictions, ["x", "y"])
