"""Metrics of generated texts, compared with sacrebleu and rouge-score on the whole data, and in evaluations."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from tests.text.corpora import processor, records, rows_of
from tests.text.vocabularies import BERT, lines
from tp_core import SpecError, TPError, evaluate, load_model, load_spec, train
from tp_core.data.sampling.order import EVALUATION, generator
from tp_core.inference.generate import generate
from tp_text.scoring.texts import TEXT_METRICS, TextScores

ALL = ["bleu", "chrf", "rouge1", "rouge2", "rougeL", "exact_match"]
ENGLISH = "the cat sat on a mat , and the dog did not sit ."
CHINESE = "巴黎随着经济危机不断加深和蔓延 abc 12"


def pairs(text: str, count: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """References, and texts with some words left out or moved."""
    rng = random.Random(seed)
    units = text.split() if " , " in text else list(text)
    joined = " ".join if " , " in text else "".join
    wanted = [joined(rng.choices(units, k=rng.randint(1, 14))) for _ in range(count)]
    found = []
    for each in wanted:
        own = each.split() if " , " in text else list(each)
        own = [unit for unit in own if rng.random() > 0.3]
        found.append(joined(own if rng.random() > 0.2 else own[::-1]))
    found[0] = ""
    found[1] = wanted[1]
    return found, wanted


@pytest.mark.parametrize(
    ("text", "tokenize"), [(ENGLISH, "13a"), (ENGLISH, "intl"), (CHINESE, "zh"), (CHINESE, "char")]
)
def test_batches_add_up_to_the_metric_of_the_corpus(text: str, tokenize: Any) -> None:
    found, wanted = pairs(text, 60)
    scores = TextScores(ALL, tokenize)
    totals: dict[str, list[Any]] = {}
    for start, end in ((0, 1), (1, 20), (20, 60)):
        for name, state in scores(found[start:end], wanted[start:end]).items():
            before = totals.get(name, [0.0] * len(state))
            totals[name] = [one + other for one, other in zip(before, state)]
    values = {name: TEXT_METRICS[name].compute(*state) for name, state in totals.items()}
    assert list(values) == ALL
    assert values["bleu"] == pytest.approx(BLEU(tokenize=tokenize, force=True).corpus_score(found, [wanted]).score)
    assert values["chrf"] == pytest.approx(CHRF().corpus_score(found, [wanted]).score)
    assert values["exact_match"] == np.mean([one.split() == other.split() for one, other in zip(found, wanted)])
    if text is ENGLISH:
        theirs = RougeScorer(["rouge1", "rouge2", "rougeL"])
        each = [theirs.score(reference, text) for text, reference in zip(found, wanted)]
        for name in ("rouge1", "rouge2", "rougeL"):
            assert values[name] == pytest.approx(np.mean([scores[name].fmeasure for scores in each]))


def test_chinese_characters_are_words_of_rouge() -> None:
    own = TextScores(["rouge1", "rougeL"], "zh")
    ((one, _), (longest, _)) = own(["经济危机加深 ABC"], ["危机经济加深 abc"]).values()
    assert one == 1.0  # the same seven words: six characters and abc
    assert longest == pytest.approx(5 / 7)
    without = TextScores(["rouge1"])
    assert without(["经济危机"], ["经济危机"])["rouge1"] == (0.0, 1)  # rouge-score's own words are Latin


WORDS = [f"w{number}" for number in range(12)]
TRANSFORMER = {"num_layers": 1, "num_heads": 2}
MODELS: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "encoder-decoder": (
        {
            "embedding": ["word", "pos"],
            "encoder": {"transformer": TRANSFORMER},
            "target_embedding": ["word", "pos"],
            "decoder": {"transformer": TRANSFORMER},
            "target": "lm",
        },
        "mt",
        {},
    ),
    "prefix": (
        {
            "embedding": ["word", "pos", "seg"],
            "encoder": {"transformer": {**TRANSFORMER, "mask": "causal_with_prefix"}},
            "target": "lm",
        },
        "prefixlm",
        {},
    ),
    "causal": (
        {"embedding": ["word", "pos"], "encoder": {"transformer": {**TRANSFORMER, "mask": "causal"}}, "target": "lm"},
        "sft",
        {"user_prefix": "", "user_suffix": "", "assistant_prefix": "[SEP]"},
    ),
}


def project(folder: Path, name: str, **processor: Any) -> Path:
    model, kind, options = MODELS[name]
    lines(folder / "vocab.txt", [*BERT, "[EOS]", *WORDS])
    rng = random.Random(0)
    rows = []
    for _ in range(24):
        words = rng.choices(WORDS, k=rng.randint(1, 5))
        answer = " ".join(words[:2])
        text = " ".join(words)
        rows.append({"instruction": text, "output": answer} if kind == "sft" else {"source": text, "target": answer})
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    spec = {
        "model": {"hidden_size": 32, "dropout": 0.0, **model},
        "data": {
            "tokenizer": {"space": {"vocab": "vocab.txt", "eos_token": "[EOS]"}},
            "processor": {kind: {"max_length": 24, **options, **processor}},
            "train": "rows.jsonl",
            "eval": "rows.jsonl",
            "cache": "cache",
        },
        "train": {"steps": 6, "batch_size": 8, "loggers": [], "optimizer": {"adamw": {"lr": 0.01}}},
    }
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec))
    return folder / "spec.yaml"


@pytest.mark.parametrize("name", MODELS)
def test_an_evaluation_measures_the_texts_that_the_model_generates(tmp_path: Path, name: str) -> None:
    spec = load_spec(project(tmp_path, name, metrics=ALL))
    train(spec, run=tmp_path / "run")
    logged = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()][-1]
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    questions = [{"text": row.get("source"), "instruction": row.get("instruction")} for row in rows]
    given = [{key: value for key, value in each.items() if value is not None} for each in questions]
    model = load_model(tmp_path / "run")
    longest = 24 if name != "encoder-decoder" else model.processor.longest_text()  # type: ignore[union-attr]
    texts = [each["text"] for each in generate(model, given, max_new_tokens=longest)]
    wanted = [row.get("target", row.get("output")) for row in rows]
    expected = BLEU(force=True).corpus_score(texts, [wanted]).score
    for size in (1, 5, 32):
        found = evaluate(model, str(tmp_path / "rows.jsonl"), batch_size=size)
        assert found["bleu"] == pytest.approx(expected, abs=1e-6)
        assert found["exact_match"] == np.mean([one == other for one, other in zip(texts, wanted)])
    assert logged["eval/bleu"] == pytest.approx(found["bleu"], abs=1e-4)
    assert logged["eval/chrf"] == pytest.approx(found["chrf"], abs=1e-4)


def test_without_metrics_nothing_is_generated(tmp_path: Path) -> None:
    train(load_spec(project(tmp_path, "encoder-decoder")), run=tmp_path / "run")
    model = load_model(tmp_path / "run")
    assert model.processor is not None
    assert not model.processor.writes
    assert not model.processor.has_metrics
    assert set(evaluate(model, str(tmp_path / "rows.jsonl"))) == {"loss", "loss/lm", "lm/accuracy"}


def test_the_question_of_a_conversation_ends_before_its_last_answer(tmp_path: Path) -> None:
    made: Any = processor(tmp_path, "sft", max_length=30, metrics=["exact_match"], assistant_prefix="w9 ")
    turns = [("user", "w1"), ("assistant", "w2"), ("user", "w3"), ("assistant", "w4 w5")]
    rows = rows_of(tmp_path, made, records([{"messages": [{"role": r, "content": c} for r, c in turns]}]))
    sample = made.evaluation_sample(rows, 0, generator(0, EVALUATION, 0, 0))
    assert bytes(made.carried(sample)["reference"]).decode() == "w4 w5"
    asked = made.question(sample)["input_ids"]
    assert asked.tolist() == sample["input_ids"][: len(asked)].tolist()
    (expected,) = made.prompts(records([{"messages": [{"role": r, "content": c} for r, c in turns[:3]]}]), _room(30))
    assert asked.tolist() == expected["input_ids"].tolist()


def _room(length: int) -> Any:
    from tp_core.interfaces import PromptRoom

    return PromptRoom(length)


def test_a_prefix_stands_before_each_source(tmp_path: Path) -> None:
    plain: Any = processor(tmp_path, "mt", max_length=20)
    named: Any = processor(tmp_path, "mt", max_length=20, prefix="w7 w8 ")
    one = rows_of(tmp_path, plain, records([{"source": "w7 w8 w1", "target": "w2"}])).get("source", 0)
    other = rows_of(tmp_path, named, records([{"source": "w1", "target": "w2"}])).get("source", 0)
    assert one.tolist() == other.tolist()
    assert (
        plain.encode(records(["w7 w8 w1"]))[0]["input_ids"].tolist()
        == named.encode(records(["w1"]))[0]["input_ids"].tolist()
    )


def test_metrics_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="metrics: need a conversation per row, but pack is true"):
        load_spec(project(tmp_path, "causal", metrics=["bleu"], pack=True))
    with pytest.raises(SpecError, match=r"got the text 'blue'; did you mean 'bleu'\?"):
        load_spec(project(tmp_path, "causal", metrics=["blue"]))
    spec = load_spec(project(tmp_path, "prefix", metrics=["bleu"]))
    (tmp_path / "rows.jsonl").write_text('{"text": "w1 w2"}\n')
    with pytest.raises(TPError, match=r"rows.jsonl:1: no field 'target' or 'text_b', which the metrics compare with"):
        train(spec, run=tmp_path / "run")
