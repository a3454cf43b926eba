"""Question answering from a file of SQuAD's form to predictions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tp_core
from tests.core import runs
from tests.text.checkpoints import find, save
from tp_text.scoring import squad

RECORDS = 23
SPEC: dict[str, Any] = {
    "model": {
        "hidden_size": 24,
        "embedding": ["word", {"pos": {"max_length": 32}}, "seg"],
        "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}},
        "target": {"qa": {"max_answer_length": 3}},
    },
    "data": {
        "tokenizer": {"space": {"vocab": "vocab.txt"}},
        "processor": {"qa": {"max_length": 32, "stride": 6, "unanswerable": True}},
        "train": "train.json",
        "eval": {"squad": {"path": "dev"}},
        "cache": "cache",
    },
    "train": {
        "steps": 60,
        "batch_size": 16,
        "eval_every": 30,
        "eval_batch_size": 4,
        "loggers": [],
        "optimizer": {"adamw": {"lr": 0.02}},
    },
}


def write_questions(path: Path, count: int, seed: int) -> None:
    """Contexts of 5 to 70 words. The answer is the word "ka" and the one behind it; some contexts have none."""
    rng = np.random.default_rng(seed)
    words = [word for word in runs.WORDS if word != "ka"]
    paragraphs = []
    for number in range(count):
        context = rng.choice(words, rng.choice([5, 20, 70])).tolist()
        answers = []
        if rng.random() < 0.7:
            place = int(rng.integers(len(context) - 1))
            context[place] = "ka"
            answers = [{"text": f"ka {context[place + 1]}", "answer_start": len(" ".join([*context[:place], ""]))}]
        own = {"id": f"q{number}", "question": "ba be", "answers": answers, "is_impossible": not answers}
        paragraphs.append({"qas": [own], "context": " ".join(context)})
    path.write_text(json.dumps({"version": "v2.0", "data": [{"title": "", "paragraphs": paragraphs}]}, indent=1))


def questions(path: Path) -> list[dict[str, Any]]:
    paragraphs = json.loads(path.read_text())["data"][0]["paragraphs"]
    return [{**paragraph["qas"][0], "context": paragraph["context"]} for paragraph in paragraphs]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a trained model in ``run``."""
    folder = tmp_path_factory.mktemp("questions")
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in [*runs.SPECIAL, *runs.WORDS]))
    write_questions(folder / "train.json", 120, 0)
    write_questions(folder / "dev", RECORDS, 1)
    runs.write_spec(folder, SPEC)
    runs.train(folder, "--run", "run")
    return folder


def test_a_model_learns_to_answer_and_to_give_no_answer(home: Path) -> None:
    first, last = [each for each in runs.metrics(home / "run") if "eval/f1" in each]
    names = {
        "f1",
        "exact_match",
        "f1_answerable",
        "f1_unanswerable",
        "best_f1",
        "best_threshold",
        "loss",
        "qa/accuracy",
    }
    assert {f"eval/{name}" for name in names} <= last.keys()
    assert last["eval/f1"] > 0.8
    assert last["eval/best_f1"] >= last["eval/f1"] - 1e-9
    assert min(last["eval/f1_answerable"], last["eval/f1_unanswerable"]) > 0.7
    assert last["eval/f1"] > first["eval/f1"]


def test_evaluations_are_the_same_with_any_batch_size_and_measure_the_predictions(home: Path) -> None:
    model, given = tp_core.load_model(home / "run"), questions(home / "dev")
    predicted = list(tp_core.predict(model, given))
    wanted = [[each["text"] for each in record["answers"]] for record in given]
    f1 = [squad.f1(found["answer"], answers) for found, answers in zip(predicted, wanted)]
    whole = tp_core.evaluate(model, given, batch_size=1000)
    assert whole["f1"] == pytest.approx(np.mean(f1))
    assert whole["f1_answerable"] == pytest.approx(np.mean([each for each, own in zip(f1, wanted) if own]))
    for size in (1, 3, 8):
        assert tp_core.evaluate(model, given, batch_size=size) == pytest.approx(whole, abs=1e-5)
        again = list(tp_core.predict(model, given, batch_size=size))
        assert [each["answer"] for each in again] == [each["answer"] for each in predicted]
        assert [each["no_answer_score"] for each in again] == pytest.approx(
            [each["no_answer_score"] for each in predicted], abs=1e-4
        )


def test_two_processes_measure_what_one_does(home: Path) -> None:
    evaluate = ["evaluate", "run", "--data", "{squad: {path: dev}}", "--json", "--device", "cpu", "--batch-size", "3"]
    said = [runs.run_tp(home, *evaluate), runs.run_group(home, *evaluate)]
    figures = [json.loads(next(line for line in each.splitlines() if line.startswith("{"))) for each in said]
    assert figures[0] == pytest.approx(figures[1], abs=1e-5)


def test_predictions_are_written_with_the_ids_of_questions(home: Path, tmp_path: Path) -> None:
    write_questions(tmp_path / "new.json", 9, 2)
    common = ["predict", "run", "--input", tmp_path / "new.json", "--keep", "id", "--device", "cpu"]
    runs.run_tp(home, *common, "--output", tmp_path / "answers.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert [row["input_id"] for row in rows] == [f"q{number}" for number in range(9)]
    for row, record in zip(rows, questions(tmp_path / "new.json")):
        start, end = row["start"], row["end"]
        assert row["answer"] == ("" if start is None else record["context"][start:end])
        assert 1 <= len(row["n_best"]) <= 5
    runs.run_tp(home, *common, "--output", tmp_path / "answers.tsv")
    header, *lines = (tmp_path / "answers.tsv").read_text().splitlines()
    assert header.split("\t")[:4] == ["row", "input_id", "answer", "score"]
    assert [line.split("\t")[2] for line in lines] == [row["answer"] for row in rows]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"no_answer_threshold": 1.0},
            "no_answer_threshold: is for questions without an answer; set unanswerable: true",
        ),
        ({"stride": 25}, "stride: windows of the context have 21 of 32 tokens, 3 of them special and up to 8 of the"),
        ({"question_max_length": 29}, "question_max_length: windows of the context have 0 of 32 tokens"),
        ({"doc_stride": 8}, "unknown option 'doc_stride'; did you mean 'stride'"),
        ({"version_2_with_negative": True}, "did you mean 'unanswerable'"),
    ],
)
def test_options_that_do_not_fit_are_problems(home: Path, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    (tmp_path / "vocab.txt").write_text((home / "vocab.txt").read_text())
    spec = {"model": SPEC["model"], "data": {"processor": {"qa": {"max_length": 32, **change}}}}
    spec["data"]["tokenizer"] = SPEC["data"]["tokenizer"]
    runs.write_spec(tmp_path, spec)
    with pytest.raises(tp_core.SpecError) as caught:
        tp_core.load_spec(tmp_path / "spec.yaml")
    assert message in str(caught.value)


def test_a_bad_answer_ends_the_training_with_its_place(home: Path, tmp_path: Path) -> None:
    for name in ("vocab.txt", "dev"):
        (tmp_path / name).write_text((home / name).read_text())
    text = (home / "train.json").read_text().replace('"text": "ka ', '"text": "ko ', 1)
    (tmp_path / "train.json").write_text(text)
    line = text[: text.index('"text": "ko ')].count("\n") - 4
    runs.write_spec(tmp_path, SPEC)
    said = runs.train(tmp_path, "--run", "run", status=2)
    assert f"train.json:{line}: the answer 'ko " in said
    assert "is not in the context (id q" in said


def test_a_converted_model_gives_the_answers_of_transformers(tmp_path: Path) -> None:
    """The best span of all windows, by the logits of transformers for the windows of its own tokenizer."""
    transformers = pytest.importorskip("transformers")
    case = find("BertForQuestionAnswering")
    theirs = save(case, tmp_path / "theirs")
    words = [*runs.SPECIAL, *runs.WORDS][: theirs.config.vocab_size]
    tokenizer = transformers.BertTokenizerFast(vocab={word: n for n, word in enumerate(words)})
    tokenizer.save_pretrained(tmp_path / "theirs")
    model = tp_core.load_model(tp_core.convert("huggingface", tmp_path / "theirs", "tp", tmp_path / "ours"), "cpu")
    rng = np.random.default_rng(3)
    for length in (5, 24, 90):
        question, context = "ba be bi", " ".join(rng.choice(words[5:], length))
        cut = {"truncation": "only_second", "max_length": 32, "stride": 8, "return_overflowing_tokens": True}
        found = tokenizer(question, context, **cut, return_offsets_mapping=True)
        best = (-np.inf, "")
        for number, (ids, places) in enumerate(zip(found["input_ids"], found["offset_mapping"])):
            types = torch.tensor([found["token_type_ids"][number]])
            with torch.no_grad():
                logits = theirs(input_ids=torch.tensor([ids]), token_type_ids=types)
            inside = [place for place, text in enumerate(found.sequence_ids(number)) if text == 1]
            for start in inside:
                for end in range(start, inside[-1] + 1):
                    score = float(logits.start_logits[0, start] + logits.end_logits[0, end])
                    best = max(best, (score, context[places[start][0] : places[end][1]]))
        (answer,) = tp_core.predict(model, {"question": question, "context": context})
        assert (answer["score"], answer["answer"]) == (pytest.approx(best[0], abs=1e-5), best[1])
