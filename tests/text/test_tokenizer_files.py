"""One clear message for every damaged or missing file of a tokenizer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.text.vocabularies import (
    DATA,
    byte_pair_files,
    sentencepiece_model,
)
from tp_core.errors import TPError
from tp_core.options.context import DataContext
from tp_text.tokenizers.byte_pair_options import BytePairConfig
from tp_text.tokenizers.huggingface_options import HuggingFaceConfig
from tp_text.tokenizers.line_vocabulary_options import WordPieceConfig
from tp_text.tokenizers.sentence_piece_options import SentencePieceConfig

BROKEN_VOCABULARIES = [
    (b"[UNK]\na\n\xff\xfe\n", "v.txt:3: this line is not UTF-8"),
    (b"", "v.txt: the vocabulary is empty"),
    (b"\n\n", "v.txt: the vocabulary is empty"),
    (b"[UNK]\na\nb\na\n", "v.txt:4: token 'a' is already on line 2"),
    (b"[UNK]\n\n\nb\n", "v.txt:3: an empty line is already on line 2"),
    (b"a\nb\n", "v.txt has no '[UNK]', which wordpiece needs for words it does not know"),
    (b"<unk>\nb\n", "it has '<unk>': set unk_token to that"),
]


@pytest.mark.parametrize(("content", "message"), BROKEN_VOCABULARIES)
def test_a_damaged_vocabulary_is_one_message_with_its_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "v.txt").write_bytes(content)
    with pytest.raises(TPError) as error:
        WordPieceConfig(vocab=str(tmp_path / "v.txt")).build(DATA)
    assert message in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_other_line_ends_and_a_byte_order_mark_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_bytes("\ufeff[UNK]\r\na\r\nb\u0085\r\n\r\n".encode())
    config = WordPieceConfig(vocab="v.txt")
    tokenizer = config.build(DataContext(base=str(tmp_path)))
    assert [tokenizer.token(i) for i in range(tokenizer.vocab_size)] == ["[UNK]", "a", "b\u0085"]


BROKEN_BYTE_PAIRS = [
    ("vocab", '{"a": 0,\n "b" 1}', "encoder.json:2: is no valid JSON"),
    pytest.param("vocab", "[" * 10**5 + "]" * 10**5, "encoder.json: is nested too deep", id="deep"),
    ("vocab", '{"a": "0"}', "expected a JSON object that maps tokens to ids"),
    ("vocab", '["a"]', "expected a JSON object that maps tokens to ids"),
    ("vocab", "{}", "the vocabulary is empty"),
    ("vocab", '{"a": 0, "b": 0}', "'a' and 'b' both have id 0"),
    ("vocab", '{"a": 0, "a": 1}', "token 'a' occurs twice"),
    ("vocab", '{"a": 0}', "has no '<|endoftext|>', which bpe needs for bytes it does not know"),
    (
        "merges",
        "#version: 0.2\nt h\nt h e\n",
        "merges.txt:3: expected two parts with one space between them, got 't h e'",
    ),
    ("merges", "t h\nthe\n", "merges.txt:2: expected two parts"),
    ("merges", "t h\nq z\n", "merges.txt:2: 'qz' is not in the vocabulary"),
]


@pytest.mark.parametrize(("option", "content", "message"), BROKEN_BYTE_PAIRS)
def test_damaged_byte_pair_files_are_one_message(tmp_path: Path, option: str, content: str, message: str) -> None:
    files = byte_pair_files(tmp_path, ["<|endoftext|>"])
    Path(files[option]).write_text(content, encoding="utf-8")
    if option == "vocab":
        Path(files["merges"]).write_text("")
    with pytest.raises(TPError) as error:
        BytePairConfig(**files).build(DATA)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "tokenizer.json:1: is no valid JSON"),
        pytest.param("[" * 10**5 + "]" * 10**5, "tokenizer.json: is nested too deep", id="deep"),
        ("{}", "is not a tokenizer.json: it has no 'model'"),
        ('{"model": {"vocab": {"a": 0}}}', "is not a tokenizer.json that the tokenizers library can read"),
    ],
)
def test_a_tokenizer_json_that_does_not_parse_is_one_message(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(TPError) as error:
        HuggingFaceConfig(path=str(tmp_path)).build(DATA)
    assert message in str(error.value)


def test_a_folder_without_a_tokenizer_says_what_would_do(tmp_path: Path) -> None:
    with pytest.raises(TPError, match=r"transformers finds no tokenizer there .*; give a"):
        HuggingFaceConfig(path=str(tmp_path)).build(DATA)


@pytest.mark.parametrize("keep", [0, 100])
def test_a_damaged_sentencepiece_model_is_one_message(tmp_path: Path, keep: int) -> None:
    path = Path(sentencepiece_model(tmp_path / "m.model"))
    path.write_bytes(path.read_bytes()[:keep])
    for use in (SentencePieceConfig.build, SentencePieceConfig.facts):
        with pytest.raises(TPError, match=r"m.model is (empty|not a sentencepiece model)"):
            use(SentencePieceConfig(model=str(path)), DATA)


def test_missing_files_are_named(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    for config in (
        WordPieceConfig(vocab=gone),
        SentencePieceConfig(model=gone),
        BytePairConfig(vocab=gone, merges=gone),
        HuggingFaceConfig(path=gone),
    ):
        assert set(config.files().values()) == {gone}
        with pytest.raises(TPError, match=f"there is no file {gone}"):
            config.build(DATA)
