"""Answers are found with every tokenizer, and with every form of special tokens."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.text.corpora import draw, records, rows_of
from tests.text.questions import asked, evaluated, made, text_of
from tests.text.vocabularies import BERT, byte_pair_files, lines, sentencepiece_model
from tp_core.errors import TPError
from tp_core.interfaces import IGNORE, Tokenizer
from tp_core.options.context import DataContext
from tp_text.tokenizers.byte_pair_options import BytePairConfig
from tp_text.tokenizers.line_vocabulary_options import CharacterConfig
from tp_text.tokenizers.sentence_piece_options import SentencePieceConfig


def tokenizers_of(folder: Path) -> dict[str, Tokenizer]:
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    roles = {"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    characters = lines(folder / "chars.txt", [*BERT, *"abcdeilnorst ,今天气很好在上海"])
    pieces = sentencepiece_model(
        folder / "pieces.model", control_symbols=["[CLS]", "[SEP]", "[PAD]"], byte_fallback=False
    )
    data = DataContext()
    return {
        "bpe": BytePairConfig(**byte_pair_files(folder, special), **roles).build(data),
        "char": CharacterConfig(vocab=characters).build(data),
        "sentencepiece": SentencePieceConfig(model=pieces).build(data),
    }


@pytest.mark.parametrize("name", ["bpe", "char", "sentencepiece"])
@pytest.mark.parametrize(
    ("context", "answer"),
    [
        ("the  cat sat on a stone, and then it ran to the sea", "a stone"),
        ("今天天气很好, cats 在上海 😀👍🏽 today", "在上海"),
        ("ﬁne ½ ①㎏ no one ㍿ sat ﬃ here", "sat"),  # normalisation changes the number of characters
        ("the end is here", "here"),
        ("the end is here", "the"),
    ],
)
def test_answers_are_found_with_every_tokenizer(tmp_path: Path, name: str, context: str, answer: str) -> None:
    processor = made(tmp_path, tokenizers_of(tmp_path)[name], max_length=64)
    rows = rows_of(tmp_path, processor, records([asked(answer, context=context, question="sat a cat")]))
    labelled = [sample for sample in evaluated(processor, rows) if sample["start"] > 0]
    assert labelled
    for sample in labelled:
        assert text_of(processor, sample, context) == answer


def test_two_separators_stand_between_question_and_context_as_in_roberta(tmp_path: Path) -> None:
    processor = made(tmp_path, tokenizers_of(tmp_path)["bpe"], max_length=40, stride=6, question_max_length=12)
    (samples,) = processor.divide(records([{"question": "a cat", "context": "the sea " * 12}]))
    assert len(samples) > 1
    for sample in samples:
        ids, (first, end) = sample["input_ids"].tolist(), sample["context"]
        assert (ids[0], ids[first - 2 : first], ids[end:]) == (0, [2, 2], [2])


def headless(folder: Path) -> Tokenizer:
    """A tokenizer that puts a token between the texts of a pair, and none in front of them."""
    files = byte_pair_files(folder, ["<pad>", "</s>", "<unk>"])
    return BytePairConfig(**files, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", add_eos=True).build(
        DataContext()
    )


def test_without_a_token_in_front_a_window_without_an_answer_is_unlabelled(tmp_path: Path) -> None:
    processor = made(tmp_path, headless(tmp_path), stride=3, question_max_length=5)
    context = "the cat sat on a stone at the sea"
    rows = rows_of(tmp_path, processor, records([asked("sea", context=context, question="a cat")]))
    samples = [draw(processor, rows, n) for n in range(len(rows))]
    labelled = [sample for sample in samples if sample["start"] != IGNORE]
    assert 0 < len(labelled) < len(samples)
    assert all(sample["start"] >= sample["context"][0] > 0 for sample in labelled)
    assert all(sample["end"] == IGNORE for sample in samples if sample["start"] == IGNORE)
    with pytest.raises(TPError, match=r"data\.processor\.qa\.unanswerable: needs a special token before the question"):
        made(tmp_path, headless(tmp_path), unanswerable=True, stride=3, question_max_length=5)


def test_a_question_and_its_context_need_a_token_between_them(tmp_path: Path) -> None:
    files = byte_pair_files(tmp_path, ["<pad>", "<unk>"])
    without = BytePairConfig(**files, pad_token="<pad>", unk_token="<unk>").build(DataContext())
    with pytest.raises(TPError, match=r"data\.processor\.qa: puts no special token between a question"):
        made(tmp_path, without)
