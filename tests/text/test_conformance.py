"""The text plugin's modules keep the contracts that the conformance kit checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.text.corpora import CORPUS, tokenizer
from tp_core.options.context import DataContext
from tp_core.testing import check_module


@pytest.mark.parametrize("name", ["word", "seg"])
def test_embeddings_conform(name: str) -> None:
    check_module(name, "embedding")


@pytest.mark.parametrize("options", [{}, {"tie": False}])
@pytest.mark.parametrize("name", ["mlm", "lm"])
def test_targets_that_predict_tokens_conform(name: str, options: dict[str, Any]) -> None:
    check_module(name, "target", options)


def test_sentence_prediction_conforms() -> None:
    check_module("sp")


SENTINELS = tuple(f"<extra_id_{number}>" for number in range(20))
RUNNING: list[dict[str, Any]] = [{"text": line} for document in CORPUS for line in [*document, ""]]
#: Documents of two sentences or more.
LONG: list[dict[str, Any]] = [{"text": line} for doc in CORPUS if len(doc) > 1 for line in [*doc, ""]]
PAIRS: list[dict[str, Any]] = [
    {"text_a": line, "text_b": line[:9], "label": n % 2} for n, (line, *_) in enumerate(CORPUS)
]
CHATS: list[dict[str, Any]] = [
    {"instruction": "w1 w2", "input": "w3", "output": "w4 w5"},
    {"messages": [{"role": "user", "content": "w6"}, {"role": "assistant", "content": "w7 w8"}]},
] * 4
#: Questions with two to four choices, with and without a context.
QUESTIONS: list[dict[str, Any]] = [
    {
        "context": " ".join(["w1 w2 w3 w4"] * (n % 3 * n)),
        "question": "w5 w6",
        "choices": [f"w{n + number} w7" for number in range(2 + n % 3)],
        "label": n % 2,
    }
    for n in range(9)
]
#: Texts with three blanks and five choices.
BLANKS: list[dict[str, Any]] = [
    {
        "context": [" ".join(["w1"] * n + ["#idiom1#", "w3", "#idiom2#"] + ["w8"] * n), "w2 #idiom3#"],
        "choices": [f"w{number} w4" for number in range(5)],
        "label": [n % 5, (n + 1) % 5, (n + 2) % 5],
    }
    for n in range(9)
]
RANKED: list[dict[str, Any]] = [{**pair, "qid": n // 3} for n, pair in enumerate(PAIRS)]


@pytest.mark.parametrize(
    ("name", "given", "options"),
    [
        *((name, RUNNING, {}) for name in ("bert", "mlm", "lm", "bilm", "prefixlm", "t5", "bart", "skipgram")),
        *((name, PAIRS, {}) for name in ("cls", "cls_mlm", "mt", "prefixlm", "pair")),
        ("gsg", LONG, {}),
        ("bart", RUNNING, {"mask_rate": 0.1, "delete_rate": 0.1, "rotate_rate": 0.5}),
        ("prefixlm", RUNNING, {"prefix_loss": True}),
        ("pair", RUNNING, {"pairing": "next"}),
        ("pair", RUNNING, {"pairing": "same"}),
        ("pair", PAIRS, {"labelled": True}),
        ("sft", CHATS, {}),
        ("sft", CHATS, {"pack": True}),
        ("skipgram", RUNNING, {"ngrams": 2, "ngram_buckets": 50}),
        ("choice", QUESTIONS, {}),
        ("choice", QUESTIONS, {"layout": "choice_context", "template": "{choice} {question}"}),
        ("cloze", BLANKS, {}),
        ("cloze", BLANKS, {"one_to_one": True, "mark": "w9"}),
        ("ranking", RANKED, {"metrics": ["mrr", "ndcg_at_3"]}),
    ],
)
@pytest.mark.parametrize("pad", ["longest", "max_length"])
def test_processors_conform(
    tmp_path: Path, name: str, given: list[dict[str, Any]], options: dict[str, Any], pad: str
) -> None:
    data = DataContext(streams=("one", "other"))
    options = {"max_length": 24, "pad": pad, **options}
    words, possible = tokenizer(tmp_path, *SENTINELS), [0.1, 0.9] if name == "ranking" else [0.1, 0.3, 0.2, 0.2, 0.2]
    prediction = {"label": 1, "probabilities": possible}
    check_module(name, "processor", options, records=given, tokenizer=words, data=data, prediction=prediction)


def test_a_name_of_several_kinds_needs_the_kind() -> None:
    with pytest.raises(AssertionError, match="'mlm' is installed as processor and target; give the kind to check"):
        check_module("mlm")
