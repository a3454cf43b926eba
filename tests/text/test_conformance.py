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
CHATS: list[dict[str, Any]] = [
    {"instruction": "w1 w2", "input": "w3", "output": "w4 w5"},
    {"messages": [{"role": "user", "content": "w6"}, {"role": "assistant", "content": "w7 w8"}]},
] * 4


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
        ("pair", PAIRS, {"labelled": True}),
        ("sft", CHATS, {}),
        ("sft", CHATS, {"pack": True}),
        ("skipgram", RUNNING, {"ngrams": 2, "ngram_buckets": 50}),
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
    check_module(name, "processor", options, records=given, tokenizer=tokenizer(tmp_path, *SENTINELS), data=data)


def test_a_name_of_several_kinds_needs_the_kind() -> None:
    with pytest.raises(AssertionError, match="'mlm' is installed as processor and target; give the kind to check"):
        check_module("mlm")
