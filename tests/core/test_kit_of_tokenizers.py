"""The conformance kit on tokenizers."""

from __future__ import annotations

import pytest

from tests.core import odd_tokenizers
from tp_core.testing import check_module


def test_a_tokenizer_that_keeps_the_contracts_conforms() -> None:
    check_module(odd_tokenizers.GoodTokenizerConfig)
    check_module(odd_tokenizers.GoodTokenizerConfig, texts=["texts", "of its own"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("FarIds", "has the id 297; vocab_size is 258"),
        ("Neighbours", "among other texts, but ["),
        ("OtherFlat", "encode_flat() gives other ids than encode_batch()"),
        ("NoWayBack", "when they are decoded and encoded again"),
        ("FarSpecial", "the special token 'mask' is 258; vocab_size is 258"),
        ("OddStarts", "word_starts() has the shape (5,); expected (258,) of bool, or None"),
        ("OtherFacts", "facts() of the config is TokenizerFacts(vocab_size=300"),
        ("ForgetsFiles", "the tokenizer loaded from the files of save() gives other ids"),
    ],
)
def test_a_broken_contract_is_named(name: str, message: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_module(getattr(odd_tokenizers, f"{name}Config"))
    assert str(caught.value).startswith(f"tokenizer 'tests.core.odd_tokenizers:{name}Config': ")
    assert message in str(caught.value)
