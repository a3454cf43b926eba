"""Every processor feeds a model that trains, evaluates, predicts and, where it is for that, writes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.text.corpora import CORPUS
from tests.text.vocabularies import BERT, lines
from tp_core import DataError, SpecError, evaluate, load_model, load_spec, predict, train
from tp_core.inference.generate import generate

WORDS = ("[EOS]", *(f"<extra_id_{n}>" for n in range(9)), *(f"w{n}" for n in range(400)))
NARROW = {"hidden_size": 16, "dropout": 0.0}
TRANSFORMER: dict[str, Any] = {"num_layers": 1, "num_heads": 2}

DECODING = {
    **NARROW,
    "embedding": ["word", "pos"],
    "encoder": {"transformer": TRANSFORMER},
    "target_embedding": ["word", "pos"],
    "decoder": {"transformer": TRANSFORMER},
    "target": "lm",
}


def encoding(target: Any, embedding: Any = ("word", "pos"), **encoder: Any) -> dict[str, Any]:
    return {
        **NARROW,
        "embedding": list(embedding),
        "encoder": {"transformer": {**TRANSFORMER, **encoder}},
        "target": target,
    }


def streams(target: Any, *more: str) -> dict[str, Any]:
    side = {"embedding": ["word", "pos", "seg"], "encoder": {"transformer": TRANSFORMER}}
    return {**NARROW, "streams": {"one": side, **dict.fromkeys(("other", *more), "one")}, "target": target}


RUNNING = "".join(f"{line}\n" for document in CORPUS for line in [*document, ""])
LONG = "".join(f"{line}\n" for document in CORPUS if len(document) > 1 for line in [*document, ""])
PAIRS = "text_a\ttext_b\tlabel\n" + "".join(f"{d[0]}\t{d[-1]}\t{n % 2}\n" for n, d in enumerate(CORPUS))
TRIPLETS = "text_a\ttext_b\tnegative\n" + "".join(
    f"{d[0]}\t{d[-1]}\t{CORPUS[n - 1][0]}\n" for n, d in enumerate(CORPUS)
)
CHATS = "".join(json.dumps({"instruction": d[0], "output": d[-1]}) + "\n" for d in CORPUS)

CASES: dict[str, tuple[dict[str, Any], str, dict[str, Any], str, str]] = {
    # name → (model, processor, its options, file, its content)
    "bilm": (
        {**NARROW, "embedding": ["word"], "encoder": {"bilstm": {"num_layers": 1}}, "target": "bilm"},
        "bilm",
        {},
        "a.txt",
        RUNNING,
    ),
    "prefixlm": (
        encoding("lm", ("word", "pos", "seg"), mask="causal_with_prefix"),
        "prefixlm",
        {},
        "a.txt",
        RUNNING,
    ),
    "prefixlm pairs": (
        encoding("lm", ("word", "pos", "seg"), mask="causal_with_prefix"),
        "prefixlm",
        {"prefix_loss": True},
        "a.tsv",
        PAIRS,
    ),
    "mt": (DECODING, "mt", {"target_max_length": 12}, "a.tsv", PAIRS),
    "t5": (DECODING, "t5", {}, "a.txt", RUNNING),
    "bart": (DECODING, "bart", {}, "a.txt", RUNNING),
    "gsg": (DECODING, "gsg", {}, "a.txt", LONG),
    "cls_mlm": (
        encoding([{"cls": {"num_labels": 2}}, "mlm"]),
        "cls_mlm",
        {},
        "a.tsv",
        PAIRS,
    ),
    "pair": (streams("clr"), "pair", {}, "a.tsv", PAIRS),
    "pair next": (streams("clr"), "pair", {"pairing": "next"}, "a.txt", LONG),
    "pair same": (streams("clr"), "pair", {"pairing": "same"}, "a.txt", RUNNING),
    "pair labelled": (streams({"cls": {"num_labels": 2}}), "pair", {"labelled": "class"}, "a.tsv", PAIRS),
    "pair similarity": (streams("similarity"), "pair", {"labelled": "similarity"}, "a.tsv", PAIRS),
    "pair hard negatives": (
        streams("clr", "third"),
        "pair",
        {},
        "a.tsv",
        TRIPLETS,
    ),
    "pair triplets": (streams("triplet", "third"), "pair", {}, "a.tsv", TRIPLETS),
    "sft": (encoding("lm", mask="causal"), "sft", {}, "a.jsonl", CHATS),
    "sft packed": (encoding("lm", mask="causal"), "sft", {"pack": True}, "a.jsonl", CHATS),
    "skipgram": (
        {**NARROW, "embedding": ["word"], "encoder": "identity", "target": "sgns"},
        "skipgram",
        {"window": 2},
        "a.txt",
        RUNNING,
    ),
    "skipgram bigrams": (
        {**NARROW, "embedding": ["word"], "encoder": "identity", "target": {"sgns": {"ngram_buckets": 100}}},
        "skipgram",
        {"ngrams": 2, "ngram_buckets": 100},
        "a.txt",
        RUNNING,
    ),
}
WRITE = {"prefixlm", "mt", "t5", "bart", "gsg", "sft", "sft packed"}


def spec_of(
    folder: Path, model: dict[str, Any], processor: str, options: dict[str, Any], file: str, **data: Any
) -> Path:
    lines(folder / "vocab.txt", [*BERT, *WORDS])
    spec = {
        "model": model,
        "data": {
            "tokenizer": {"space": {"vocab": "vocab.txt", "eos_token": "[EOS]"}},
            "processor": {processor: {"max_length": 24, **options}},
            "train": file,
            "cache": "cache",
            **data,
        },
        "train": {"steps": 3, "batch_size": 4, "loggers": [], "workers": 0, "log_every": 1},
    }
    path = folder / "spec.yaml"
    path.write_text(yaml.safe_dump(spec))
    return path


@pytest.mark.parametrize("case", CASES)
def test_a_model_of_each_processor_trains_evaluates_predicts_and_writes(tmp_path: Path, case: str) -> None:
    model, processor, options, file, content = CASES[case]
    (tmp_path / file).write_text(content)
    spec = spec_of(tmp_path, model, processor, options, file)
    train(load_spec(spec), tmp_path / "run")
    lines_of_log = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    losses = [value for line in lines_of_log if (value := json.loads(line).get("loss")) is not None]
    assert len(losses) == 3
    assert all(math.isfinite(loss) and loss > 0 for loss in losses)
    loaded = load_model(tmp_path / "run", device="cpu")
    assert math.isfinite(evaluate(loaded, str(tmp_path / file))["loss"])
    inputs: list[dict[str, Any]] = [{"text_a": "w1 w2", "text_b": "w3"}, {"text_a": "w4", "text_b": "w5 w6 w7"}]
    if processor == "sft":
        inputs = [{"instruction": "w1 w2"}, {"instruction": "w4"}]
    if processor != "skipgram":  # its target predicts nothing; the word vectors are what one wants of it
        assert len(list(predict(loaded, inputs))) == 2
    if case in WRITE:
        texts = list(generate(loaded, inputs, max_new_tokens=4))
        assert all(isinstance(each["text"], str) for each in texts)
        assert len(texts) == 2


def test_a_partner_file_that_is_missing_or_too_short_stops_before_the_run_begins(tmp_path: Path) -> None:
    options = {"source_extension": "en", "target_extension": "de"}
    spec = spec_of(tmp_path, DECODING, "mt", options, "a.en")
    (tmp_path / "a.en").write_text("w1\nw2\n")
    with pytest.raises(DataError, match=r"a\.de: no such file"):
        train(load_spec(spec), tmp_path / "run")
    (tmp_path / "a.de").write_text("w1\n")
    with pytest.raises(DataError, match=r"a\.en:2: this line has no counterpart: .*a\.de has 1 line"):
        train(load_spec(spec), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("model", "processor", "options", "message"),
    [
        (encoding("lm", mask="causal"), "pair", {}, "feeds streams, and the model has none"),
        (DECODING, "t5", {"noise_density": 0.9, "target_max_length": 2}, "is too short for one hidden span"),
        (DECODING, "mt", {"source_extension": "en"}, "source_extension and target_extension are given together"),
        (streams("clr"), "pair", {"labels": ["a", "b"]}, "set labelled: class"),
        (streams("clr"), "pair", {"labelled": "class", "pairing": "next"}, "they require pairing: fields"),
        (streams("clr"), "pair", {"labelled": True}, "expected one of none, class, similarity; got the boolean true"),
        (streams("clr", "third"), "pair", {"pairing": "same"}, "same makes two texts, and the model has three streams"),
        (streams("similarity"), "pair", {}, "a target needs the labels 'similarity'; set labelled: similarity"),
        (
            {**NARROW, "embedding": ["word"], "encoder": "identity", "target": {"sgns": {"ngram_buckets": 9}}},
            "skipgram",
            {"ngrams": 2},
            "is 100000, but model.target.sgns.ngram_buckets is 9",
        ),
    ],
)
def test_options_that_cannot_work_are_refused(
    tmp_path: Path, model: dict[str, Any], processor: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(spec_of(tmp_path, model, processor, options, "a.txt"))
    assert message in str(caught.value)
