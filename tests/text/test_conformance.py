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


@pytest.mark.parametrize("options", [{}, {"num_labels": 3, "normalize_length": True, "tie": False}])
@pytest.mark.parametrize("name", ["prompt_mlm", "prompt_lm"])
def test_targets_of_prompts_conform(name: str, options: dict[str, Any]) -> None:
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
#: Texts with classes, some of which have probabilities of a teacher.
TAUGHT: list[dict[str, Any]] = [pair | ({"taught": "0.25 0.75"} if n % 3 else {}) for n, pair in enumerate(PAIRS)]
TEACHER = {"labels": {0: "no", 1: "yes"}, "probabilities": "taught", "soft_weight": 0.5}
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


#: Words of one token, and of several.
ONE, SEVERAL = {"0": "w1", "1": "w2"}, {"0": ["w1", "w2a"], "1": "w3abc"}


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
        ("pair", PAIRS, {"labelled": "class"}),
        ("pair", PAIRS, {"labelled": "similarity"}),
        ("pair", PAIRS, {"labelled": "similarity", "label_range": [-1, 3]}),
        *((name, TAUGHT, TEACHER) for name in ("cls", "cls_mlm")),
        ("pair", TAUGHT, {"labelled": "class", **TEACHER}),
        ("sft", CHATS, {}),
        ("sft", CHATS, {"pack": True}),
        ("skipgram", RUNNING, {"ngrams": 2, "ngram_buckets": 50}),
        ("choice", QUESTIONS, {}),
        ("choice", QUESTIONS, {"layout": "choice_context", "template": "{choice} {question}"}),
        ("cloze", BLANKS, {}),
        ("cloze", BLANKS, {"one_to_one": True, "mark": "w9"}),
        ("ranking", RANKED, {"metrics": ["mrr", "ndcg_at_3"]}),
        *(
            ("prompt", PAIRS, {"template": template, "verbalizer": words, "scoring": scoring})
            for template in ("{text_a} w9 {mask} w8", "w9 {mask} {text_b} w8 {text_a}")
            for words in (ONE, SEVERAL)
            for scoring in ("masked", "causal")
        ),
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


TAGGED: list[dict[str, Any]] = [{"tokens": [f"w{n}", "w7a", "w9"], "tags": ["B-X", "I-X", "O"]} for n in range(8)]


@pytest.mark.parametrize(("pieces", "labels"), [("first", [1, 2, 0]), ("all", [1, 2, 2, 0])])
def test_sequence_labelling_conforms(tmp_path: Path, pieces: str, labels: list[int]) -> None:
    options = {"types": ["X"], "max_length": 24, "label_pieces": pieces}
    data: dict[str, Any] = {"records": TAGGED, "tokenizer": tokenizer(tmp_path), "prediction": {"labels": labels}}
    check_module("token_cls", "processor", options, **data)


CONTEXT = " ".join(f"w{number}" for number in range(70))
QUESTIONS: list[dict[str, Any]] = [
    {
        "id": "1",
        "question": "w1 w2",
        "context": CONTEXT,
        "answers": {"text": ["w30 w31"], "answer_start": [CONTEXT.index("w30")]},
    },
    {"id": "2", "question": "w7", "context": "w3 w4", "answers": ["w4"]},
    {"id": "3", "question": "w8 w9", "context": "w3 w4", "answers": []},
]


@pytest.mark.parametrize("options", [{}, {"scoring": "cmrc"}, {"unanswerable": True, "no_answer_threshold": -3.0}])
@pytest.mark.parametrize("pad", ["longest", "max_length"])
def test_question_answering_conforms(tmp_path: Path, options: dict[str, Any], pad: str) -> None:
    given = QUESTIONS if "unanswerable" in options else QUESTIONS[:2]
    check_module(
        "qa",
        "processor",
        {"max_length": 24, "pad": pad, **options},
        records=given,
        tokenizer=tokenizer(tmp_path),
        prediction={"spans": [{"start": 4, "end": 4, "score": 1.0}], "null_score": 0.5},
    )


@pytest.mark.parametrize("options", [{}, {"n_best": 2, "max_answer_length": 1, "dropout": 0.5}])
def test_the_target_of_question_answering_conforms(options: dict[str, Any]) -> None:
    check_module("qa", "target", options)


def test_a_name_of_several_kinds_needs_the_kind() -> None:
    with pytest.raises(AssertionError, match="'mlm' is installed as processor and target; give the kind to check"):
        check_module("mlm")
