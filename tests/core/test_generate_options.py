"""``inference.generate``: which options go together, in a spec and in a call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tp_core import SpecError, TPError, load_spec
from tp_core.spec.sections.generate import GenerateOptions
from tp_core.spec.trained.generate_call import for_call

SPEC = "tp: 1\nmodel: {embedding: [word], encoder: transformer}\n"


def called(usual: dict[str, Any], **given: Any) -> dict[str, Any]:
    """The options of a call that differ from those of the core."""
    return for_call(GenerateOptions(**usual), given).model_dump(exclude_defaults=True)


@pytest.mark.parametrize(
    ("usual", "given", "expected"),
    [
        ({"beams": 4, "length_penalty": 2.0}, {}, {"beams": 4, "length_penalty": 2.0}),
        ({"beams": 4}, {"beams": 1}, {}),
        ({"beams": 4, "length_penalty": 2.0}, {"sample": True}, {"length_penalty": 2.0, "sample": True}),
        ({"sample": True, "temperature": 0.6}, {"beams": 2}, {"temperature": 0.6, "beams": 2}),
        ({"sample": True, "temperature": 0.6}, {"sample": False}, {"temperature": 0.6}),
        ({"sample": True, "top_k": 5}, {"temperature": 2.0}, {"sample": True, "top_k": 5, "temperature": 2.0}),
        ({"sample": True, "top_k": 5}, {"top_k": None}, {"sample": True}),
        ({"temperature": 0.6}, {"sample": True}, {"temperature": 0.6, "sample": True}),
        ({"max_length": 142, "min_length": 56}, {"max_new_tokens": 20}, {"max_new_tokens": 20, "min_length": 56}),
        ({"max_new_tokens": 20, "min_length": 3}, {"max_length": 9}, {"max_length": 9, "min_length": 3}),
        ({"min_length": 56}, {"min_new_tokens": 3}, {"min_new_tokens": 3}),
        ({"max_length": 142}, {"max_length": None}, {}),
        ({"eos_token_id": 3}, {"eos_token_id": [4, 5]}, {"eos_token_id": [4, 5]}),
        ({"max_new_tokens": 9}, {"min_new_tokens": 20}, {"min_new_tokens": 20}),
        ({"min_length": 20}, {"max_length": 9}, {"min_length": 9, "max_length": 9}),
        ({"forced_bos_token_id": 7}, {"suppress_tokens": [7, 8]}, {"suppress_tokens": [7, 8]}),
        ({"suppress_tokens": [7, 8]}, {"forced_eos_token_id": 7}, {"suppress_tokens": [8], "forced_eos_token_id": 7}),
    ],
    ids=str,
)
def test_a_call_overrides_what_the_spec_says(
    usual: dict[str, Any], given: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert called(usual, **given) == expected


@pytest.mark.parametrize(
    ("usual", "given", "message"),
    [
        ({}, {"temperature": 0.5}, "only for sampling, which sample turns on: temperature"),
        ({"sample": True}, {"sample": False, "top_p": 0.5}, "only for sampling, which sample turns on: top_p"),
        ({"beams": 3}, {"seed": 1, "min_p": 0.1}, "only for sampling, which sample turns on: min_p, seed"),
        ({}, {"length_penalty": 2.0}, "only for beam search, which beams turns on: length_penalty"),
        ({"sample": True}, {"early_stopping": True}, "only for beam search, which beams turns on: early_stopping"),
        ({}, {"beams": 2, "sample": True}, "sample and beams exclude each other"),
        ({}, {"max_new_tokens": 5, "max_length": 9}, "max_new_tokens and max_length exclude each other"),
        ({}, {"min_new_tokens": 6, "max_new_tokens": 5}, "min_new_tokens is 6, more than max_new_tokens, which is 5"),
        ({}, {"suppress_tokens": [3], "forced_eos_token_id": 3}, "forced_eos_token_id is suppressed"),
        ({}, {"beams": 2, "length_penalty": 400.0}, "length_penalty must be at most 50, got 400"),
        ({}, {"beems": 2}, "unknown option 'beems'; did you mean 'beams'"),
        ({}, {"top_p": 0.0}, "top_p must be greater than 0, got 0.0"),
        ({}, {"eos_token_id": [1, -2]}, r"eos_token_id\[1\] must be at least 0, got -2"),
        ({}, {"early_stopping": "sometimes"}, "early_stopping: expected true or false or never, got the text"),
        ({}, {"beams": None}, "beams: expected an integer, got nothing"),
    ],
    ids=str,
)
def test_what_a_call_gets_wrong_is_named(usual: dict[str, Any], given: dict[str, Any], message: str) -> None:
    with pytest.raises(TPError, match=message):
        called(usual, **given)


def test_options_without_effect_are_none_of_the_calls_business_where_the_model_has_them() -> None:
    assert called({"temperature": 0.6, "length_penalty": 2.0}) == {"temperature": 0.6, "length_penalty": 2.0}


def spec_of(folder: Path, text: str) -> GenerateOptions:
    (folder / "spec.yaml").write_text(f"{SPEC}inference: {{generate: {text}}}\n")
    return load_spec(folder / "spec.yaml").inference.generate


def test_a_spec_has_options_and_says_them_again(tmp_path: Path) -> None:
    found = spec_of(tmp_path, "{beams: 4, early_stopping: never, bad_words_ids: [[1, 2], [3]], max_new_tokens: 64}")
    again = load_spec(tmp_path / "spec.yaml").inference.dump()
    assert again["generate"] == {
        "max_new_tokens": 64,
        "beams": 4,
        "early_stopping": "never",
        "bad_words_ids": [[1, 2], [3]],
    }
    assert GenerateOptions(**again["generate"]) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{sample: true, beams: 2}", "inference.generate: sample and beams exclude each other"),
        (
            "{max_new_tokens: 9, max_length: 9}",
            r"exclude each other; remove one \(max_length: null removes an inherited value",
        ),
        ("{beams: 0}", "inference.generate.beams: must be at least 1, got 0"),
        ("{eos_token_id: [1, x]}", r"inference.generate.eos_token_id\[1\]: expected an integer"),
        ("{num_beams: 4}", "unknown option 'num_beams'; did you mean 'beams'"),
    ],
)
def test_what_a_spec_gets_wrong_has_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        spec_of(tmp_path, text)
    assert "spec.yaml:3:" in str(caught.value)


def test_a_child_overrides_its_parent(tmp_path: Path) -> None:
    spec_of(tmp_path, "{beams: 4, length_penalty: 2.0, max_length: 142}")
    child = tmp_path / "child.yaml"
    child.write_text("extends: spec.yaml\ninference: {generate: {max_length: null, max_new_tokens: 9, beams: 2}}\n")
    expected = {"max_new_tokens": 9, "beams": 2, "length_penalty": 2.0}
    assert load_spec(child).inference.dump() == {"generate": expected}
