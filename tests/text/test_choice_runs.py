"""Multiple choice, cloze tests and ranking from the command line, with one process and with two."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from tests.core import runs
from tp_core import evaluate, load_model, predict

MODEL: dict[str, Any] = {
    "hidden_size": 16,
    "dropout": 0.0,
    "embedding": ["word", {"pos": {"max_length": 32}}, "seg"],
    "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}},
}


def project(folder: Path, target: str, processor: Any, train: Any, eval: Any, steps: int = 30, **model: Any) -> Path:
    words = [*runs.SPECIAL, *runs.WORDS]
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in words))
    spec = {
        "model": {**MODEL, "target": [target], **model},
        "data": {
            "tokenizer": {"space": {"vocab": "vocab.txt"}},
            "processor": processor,
            "train": train,
            "eval": eval,
            "cache": "cache",
        },
        "train": {
            "steps": steps,
            "batch_size": 16,
            "eval_every": steps,
            "eval_batch_size": 7,
            "workers": 1,
            "loggers": [],
            "optimizer": {"adamw": {"lr": 0.02}},
        },
    }
    runs.write_spec(folder, spec)
    runs.train(folder, "--run", "run")
    return folder


def sentence(rng: np.random.Generator, count: int, among: list[str]) -> str:
    return " ".join(rng.choice(among, count))


GOOD, OTHER = runs.WORDS[:5], runs.WORDS[5:]


@pytest.fixture(scope="module")
def choosing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Questions with 2 to 5 choices, of which the right one has one of five words."""
    folder, rng = tmp_path_factory.mktemp("choice"), np.random.default_rng(0)
    for name, count in (("train", 160), ("eval", 41)):
        lines = []
        for _ in range(count):
            choices = [sentence(rng, 3, OTHER) for _ in range(rng.integers(2, 6))]
            label = int(rng.integers(len(choices)))
            choices[label] = f"{choices[label]} {rng.choice(GOOD)}"
            context = sentence(rng, int(rng.integers(0, 40)), OTHER)
            lines.append(json.dumps({"context": context, "question": "ba", "choices": choices, "label": label}))
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    return project(folder, "choice", "choice", "train.jsonl", "eval.jsonl")


def records_in(folder: Path, name: str = "eval.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def figures(said: str) -> dict[str, float]:
    found: dict[str, float] = json.loads(next(line for line in said.splitlines() if line.startswith("{")))
    return found


def test_choices_are_learned_and_each_question_has_its_own(choosing: Path) -> None:
    model = load_model(choosing / "run")
    given = records_in(choosing)
    found = list(predict(model, given, batch_size=5))
    assert [len(each["probabilities"]) for each in found] == [len(record["choices"]) for record in given]
    right = np.mean([each["label"] == record["label"] for each, record in zip(found, given)])
    assert right > 0.9
    for record, whole in zip(given[:5], found):
        (alone,) = predict(model, record)
        assert alone["probabilities"] == pytest.approx(whole["probabilities"], abs=1e-6)
    for size in (1, 6, 100):
        assert evaluate(model, given, batch_size=size)["choice/accuracy"] == pytest.approx(right)
    (last,) = [line for line in runs.metrics(choosing / "run") if "eval/choice/accuracy" in line]
    assert last["eval/choice/accuracy"] == pytest.approx(right)


@pytest.mark.parametrize("ending", ["jsonl", "tsv", "csv", "parquet"])
def test_predictions_of_questions_with_different_numbers_of_choices_can_be_written(
    choosing: Path, tmp_path: Path, ending: str
) -> None:
    said = runs.run_tp(choosing, "predict", "run", "--input", "eval.jsonl", "--output", tmp_path / f"out.{ending}")
    assert "41 predictions" in said
    if ending == "tsv":
        header, first, *_ = (tmp_path / "out.tsv").read_text().splitlines()
        assert header.split("\t") == ["row", "label", "probabilities"]
        assert len(json.loads(first.split("\t")[2])) == len(records_in(choosing)[0]["choices"])


def test_two_processes_choose_what_one_does(choosing: Path, tmp_path: Path) -> None:
    common = ["--batch-size", "5", "--device", "cpu"]
    evaluation = ["evaluate", "run", "--data", "eval.jsonl", "--json", *common]
    one, two = figures(runs.run_tp(choosing, *evaluation)), figures(runs.run_group(choosing, *evaluation))
    assert one == pytest.approx(two, abs=1e-6)
    alone, pair = tmp_path / "alone", tmp_path / "pair"
    options = ["train.steps=3", "train.optimizer={sgd: {lr: 0.5}}", "train.workers=0"]
    runs.train(choosing, *options, "--run", str(alone))
    runs.train_pair(choosing, *options, "--run", str(pair))
    for name, value in runs.weights(alone).items():
        assert np.allclose(value, runs.weights(pair)[name], atol=1e-5), name


def test_a_question_has_no_vector(choosing: Path, tmp_path: Path) -> None:
    said = runs.run_tp(choosing, "embed", "run", "--input", "eval.jsonl", "--output", tmp_path / "v.npy", status=2)
    assert "a record of the processor 'choice' is several sequences, so it has no single vector" in said


def test_a_question_that_cannot_be_used_ends_the_command_with_its_place(choosing: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"choices": ["ba", "bo"]}\n{"choices": ["ba"]}\n')
    said = runs.run_tp(
        choosing, "predict", "run", "--input", tmp_path / "bad.jsonl", "--output", tmp_path / "o.jsonl", status=2
    )
    assert "bad.jsonl:2: the question has only one choice, 'ba'; expected at least two" in said
    assert "Traceback" not in said


def test_blanks_are_measured_before_and_after_their_assignment(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for name, count in (("train", 60), ("eval", 23)):
        lines, answers = [], {}
        for group in range(count):
            order = rng.permutation(5)[: rng.integers(1, 6)]
            blanks = [f"#idiom{group:03}{number}#" for number in range(len(order))]
            answers |= {blank: int(right) for blank, right in zip(blanks, order)}
            texts = [f"{sentence(rng, 3, OTHER)} {blank} {GOOD[right]}" for blank, right in zip(blanks, order)]
            lines.append(json.dumps({"content": [" ".join(texts[:2]), *texts[2:]], "candidates": GOOD}))
        (tmp_path / f"{name}.json").write_text("\n".join(lines) + "\n")
        (tmp_path / f"{name}_answers.json").write_text(json.dumps(answers))
    sources = {
        name: {"chid": {"path": f"{name}.json", "answers": f"{name}_answers.json"}} for name in ("train", "eval")
    }
    project(tmp_path, "choice", {"cloze": {"one_to_one": True}}, sources["train"], sources["eval"], 1, init_std=0.5)
    answers = json.loads((tmp_path / "eval_answers.json").read_text())
    runs.run_tp(tmp_path, "predict", "run", "--input", "{chid: {path: eval.json}}", "--output", "out.jsonl")
    groups = [line["blanks"] for line in records_in(tmp_path, "out.jsonl")]
    blanks = [blank for group in groups for blank in group]
    assert [blank["blank"] for blank in blanks] == list(answers)
    assert all(len({blank["label"] for blank in group}) == len(group) for group in groups)
    after = np.mean([blank["label"] == answers[blank["blank"]] for blank in blanks])
    before = np.mean([np.argmax(blank["probabilities"]) == answers[blank["blank"]] for blank in blanks])
    data = "{chid: {path: eval.json, answers: eval_answers.json}}"
    for start in (runs.run_tp, runs.run_group):
        for size in ("3", "50"):
            said = start(tmp_path, "evaluate", "run", "--data", data, "--json", "--batch-size", size, "--device", "cpu")
            found = figures(said)
            assert found["choice/accuracy"] == pytest.approx(before)
            assert found["assigned_accuracy"] == pytest.approx(after)
    (last,) = [line for line in runs.metrics(tmp_path / "run") if "eval/assigned_accuracy" in line]
    assert last["eval/assigned_accuracy"] == pytest.approx(after)


def test_rankings_are_those_of_whole_questions(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    for name, count in (("train", 80), ("eval", 15)):
        rows = []
        for question in range(count):
            for number in range(int(rng.integers(2, 8))):
                right = int(number == 0 and question % 5 > 0)
                answer = f"{sentence(rng, 3, OTHER)} {rng.choice(GOOD if right and rng.random() < 0.9 else OTHER)}"
                rows.append(f"{question}\t{right}\t{sentence(rng, 3, OTHER)}\t{answer}")
        rng.shuffle(rows)
        (tmp_path / f"{name}.tsv").write_text("\n".join(["qid\tlabel\ttext_a\ttext_b", *rows]) + "\n")
    project(tmp_path, "cls", "ranking", "train.tsv", "eval.tsv", 60)
    header, *rows = [line.split("\t") for line in (tmp_path / "eval.tsv").read_text().splitlines()]
    given = [dict(zip(header, row)) for row in rows]
    found = list(predict(load_model(tmp_path / "run"), given))
    ranks, precisions = [], []
    for question in range(15):
        own = [
            (each["probabilities"][1], int(pair["label"]))
            for each, pair in zip(found, given)
            if pair["qid"] == str(question)
        ]
        scores, labels = zip(*own)
        assert len({*scores}) == len(scores)
        if any(labels):
            ranks.append(1 + sum(score > scores[labels.index(1)] for score in scores))
            precisions.append(average_precision_score(labels, scores))
    expected = {
        "mrr": np.mean([1 / rank for rank in ranks]),
        "map": np.mean(precisions),
        "precision_at_1": np.mean([rank == 1 for rank in ranks]),
        "questions": 12,
        "questions_without_answer": 3,
    }
    for start in (runs.run_tp, runs.run_group):
        for size in ("4", "64"):
            said = start(
                tmp_path, "evaluate", "run", "--data", "eval.tsv", "--json", "--batch-size", size, "--device", "cpu"
            )
            assert {name: figures(said)[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    (last,) = [line for line in runs.metrics(tmp_path / "run") if "eval/mrr" in line]
    assert last["eval/map"] == pytest.approx(expected["map"])
    assert expected["mrr"] > 0.6
