"""The spaces of decoded text, and what a mask does to the spaces beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.text.published import trained
from tests.text.vocabularies import byte_pair_files, lines, wordpieces
from tp_core.interfaces.tokenizer import Tokenizer
from tp_core.options.context import DataContext
from tp_text.tokenizers.byte_pair_options import BytePairConfig
from tp_text.tokenizers.line_vocabulary_options import CharacterConfig, WordPieceConfig
from tp_text.tokenizers.sentence_piece_options import SentencePieceConfig
from tp_text.tokenizers.spacing import without_chinese_spaces


def sentencepiece(folder: Path) -> Tokenizer:
    (folder / "m.model").write_bytes(trained())
    return SentencePieceConfig(model=str(folder / "m.model")).build(DataContext())


def wordpiece(folder: Path) -> Tokenizer:
    return WordPieceConfig(vocab=lines(folder / "v.txt", wordpieces())).build(DataContext())


def roberta(folder: Path, special_in_text: bool = True) -> Tokenizer:
    files = byte_pair_files(folder, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    return BytePairConfig(
        **files, mask_token="<mask>", cls_token="<s>", sep_token="</s>", special_in_text=special_in_text
    ).build(DataContext())


def test_a_continuation_keeps_the_space_before_it(tmp_path: Path) -> None:
    tokenizer = sentencepiece(tmp_path)
    prompt, (rest,) = tokenizer.encode_batch(["the cat"])[0], tokenizer.encode_batch(["is here"])
    assert tokenizer.decode(rest) == "is here"
    assert tokenizer.decode_after(prompt, rest) == " is here"


def test_a_continuation_of_a_word_has_no_space_before_it(tmp_path: Path) -> None:
    tokenizer = wordpiece(tmp_path)
    (whole,) = tokenizer.encode_batch(["unaffable"])
    assert tokenizer.decode_after(whole[:1], whole[1:]) == "affable"
    (comma,) = tokenizer.encode_batch([", hello"])
    assert tokenizer.decode_after(whole, comma) == ", hello"


@pytest.mark.parametrize(
    ("decoded", "text"),
    [
        ("今 天 天 气 很 好 ， 世 界 。", "今天天气很好，世界。"),
        ("2008 年 北 京", "2008年北京"),
        ("他 说 ： “ 好 ”", "他说：“好”"),
        ("nba 球 员 james", "nba 球员 james"),
        ("one two, 3 four", "one two, 3 four"),
        ("カ タ カ ナ と ひ ら が な", "カタカナとひらがな"),
        ("한국 어", "한국 어"),
    ],
)
def test_spaces_between_chinese_characters_are_left_out_and_others_stay(decoded: str, text: str) -> None:
    assert without_chinese_spaces(decoded) == text


def test_word_pieces_of_chinese_text_become_that_text(tmp_path: Path) -> None:
    tokenizer = wordpiece(tmp_path)
    (ids,) = tokenizer.encode_batch(["天天好，世界。hello the"])
    assert tokenizer.decode(ids) == "天天好，世界。 hello the"


def test_a_tokenizer_of_characters_keeps_the_spaces_that_are_tokens(tmp_path: Path) -> None:
    vocabulary = lines(tmp_path / "c.txt", ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", " ", "今", "天"])
    tokenizer = CharacterConfig(vocab=vocabulary).build(DataContext())
    (ids,) = tokenizer.encode_batch(["今 天"])
    assert tokenizer.decode(ids) == "今 天"


@pytest.mark.parametrize("special_in_text", [True, False])
def test_the_mask_of_roberta_takes_the_space_before_it(tmp_path: Path, special_in_text: bool) -> None:
    tokenizer = roberta(tmp_path, special_in_text)
    mask = tokenizer.special["mask"]
    before, after = tokenizer.encode_batch(["the", " hello"])
    assert tokenizer.encode_masked(["the <mask> hello", "the<mask> hello", "<mask>"]) == [
        [*before, mask, *after],
        [*before, mask, *after],
        [mask],
    ]


def test_a_mask_in_a_text_is_found_by_tokenizers_that_do_not_look_for_it(tmp_path: Path) -> None:
    (tmp_path / "m.model").write_bytes(trained(user_defined_symbols="[X]", control_symbols="[MASK]"))
    tokenizer = SentencePieceConfig(model=str(tmp_path / "m.model")).build(DataContext())
    left, right = tokenizer.encode_batch(["the cat", "here"])
    assert tokenizer.encode_masked(["the cat [MASK] here"]) == [[*left, tokenizer.special["mask"], *right]]
