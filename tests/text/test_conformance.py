"""The text plugin's modules keep the contracts that the conformance kit checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.text.corpora import CORPUS, tokenizer
from tp_core.testing import check_module, check_processor


@pytest.mark.parametrize("name", ["word", "seg"])
def test_embeddings_conform(name: str) -> None:
    check_module(name, "embedding")


@pytest.mark.parametrize("options", [{}, {"tie": False}])
@pytest.mark.parametrize("name", ["mlm", "lm"])
def test_targets_that_predict_tokens_conform(name: str, options: dict[str, Any]) -> None:
    check_module(name, "target", options)


def test_sentence_prediction_conforms() -> None:
    check_module("sp")


@pytest.mark.parametrize("name", ["bert", "mlm", "lm", "cls"])
def test_processors_conform(tmp_path: Path, name: str) -> None:
    given: list[dict[str, Any]] = [{"text": line} for document in CORPUS for line in [*document, ""]]
    if name == "cls":
        given = [{"text_a": line, "text_b": line[:9], "label": n % 2} for n, (line, *_) in enumerate(CORPUS)]
    check_processor(name, given, {"max_length": 24}, tokenizer=tokenizer(tmp_path))


def test_a_name_of_several_kinds_needs_the_kind() -> None:
    with pytest.raises(AssertionError, match="'mlm' is installed as target and processor; say which kind"):
        check_module("mlm")
