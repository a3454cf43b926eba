"""Prompts: how records fill a template, what is cut, and where the words of classes are scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.text.corpora import CLS, EOS, FIRST, MASK, SEP, UNK, records, rows_of, tokenizer
from tests.text.prompts import batch_for, prompts, sequences
from tests.text.vocabularies import BERT, byte_pair_files, lines, sentencepiece_model
from tp_core import DataError
from tp_core.interfaces import IGNORE, Batch, Tokenizer
from tp_core.options.context import DataContext
from tp_text.processors.prompt_options import PromptProcessorConfig
from tp_text.processors.prompt_template import Template, cuts
from tp_text.tokenizers.byte_pair_options import BytePairConfig
from tp_text.tokenizers.line_vocabulary_options import CharacterConfig
from tp_text.tokenizers.sentence_piece_options import SentencePieceConfig

ONE = {"bad": "w1", "good": "w2"}
#: Words of one token, of two and of three.
SEVERAL: dict[str, Any] = {"bad": ["w1", "w3ab"], "good": "w2a", "odd": ["w5", "w6", "w7bc"]}
#: The tails of the tokenizer's words.
A, B, C = FIRST + 400, FIRST + 401, FIRST + 402


def ids(text: str) -> list[int]:
    return [FIRST + int(word[1:]) for word in text.split()]


def scored(batch: Batch, target: str = "x") -> list[list[list[list[tuple[int, int, int]]]]]:
    """For each sample, class and word, the (sequence, position, id) of each of its tokens."""
    labels = batch.labels[target]
    found = []
    for row, token_ids in enumerate(labels["ids"].tolist()):
        places = list(zip(labels["rows"][row].tolist(), labels["positions"][row].tolist()))
        slots = labels["slots"][row].tolist()
        classes = []
        for own, own_slots in zip(token_ids, slots):
            each = [
                [(*places[slot], token) for token, slot in zip(word, word_slots) if token != IGNORE]
                for word, word_slots in zip(own, own_slots)
            ]
            classes.append([word for word in each if word])
        found.append(classes)
    return found


# -- templates --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{text_a} good", r"has no {mask}"),
        ("{mask} {text_a} {mask}", r"has {mask} 2 times"),
        ("{text_a} {mask", "has a brace without its other one"),
        ("{text_a} {mask}}", "has a brace without its other one"),
        ("{} {mask}", "'{}' is no name of a field"),
        ("{text_a!r} {mask}", "'{text_a!r}' is no name of a field"),
        ("{text_a:>9} {mask}", "'{text_a:>9}' is no name of a field"),
    ],
)
def test_a_text_that_is_no_template_says_why(template: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("{", r"\{").replace("}", r"\}")):
        Template(template)


def test_fields_and_literal_braces_are_filled_in() -> None:
    template = Template("{{{a}}}, {b} {a} is {mask}!")
    assert template.fields == ["a", "b"]
    filled = template.filled({"a": "one", "b": "two"}, "WORD")
    assert filled.text == "{one}, two one is WORD!"
    assert [filled.text[start:end] for start, end in filled.fields] == ["one", "two", "one"]
    assert filled.text[slice(*filled.word)] == "WORD"
    stripped = template.filled({"a": "one", "b": "two"}, "WORD", strip=True)
    assert stripped.text == "{one}, two one isWORD!"
    assert stripped.text[slice(*stripped.word)] == "WORD"


@pytest.mark.parametrize(
    ("lengths", "over", "expected"),
    [
        ([5], 2, [2]),
        ([5, 3], 2, [2, 0]),
        ([5, 3], 3, [2, 1]),
        ([5, 3], 8, [5, 3]),
        ([4, 4, 1], 1, [0, 1, 0]),
        ([2, 9, 7], 10, [0, 6, 4]),
    ],
)
def test_tokens_are_cut_from_the_longest_text(lengths: list[int], over: int, expected: list[int]) -> None:
    assert cuts(lengths, over) == expected


def test_no_more_can_be_cut_than_there_is() -> None:
    with pytest.raises(ValueError, match="3 tokens are less than 4"):
        cuts([2, 1], 4)


@pytest.mark.parametrize("seed", range(20))
def test_cuts_leave_the_lengths_as_equal_as_possible(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 12, rng.integers(1, 5)).tolist()
    over = int(rng.integers(0, sum(lengths) + 1))
    removed = cuts(lengths, over)
    left = [length - gone for length, gone in zip(lengths, removed)]
    assert sum(removed) == over
    assert min(removed) >= 0
    assert all(gone == 0 or kept >= max(left) - 1 for gone, kept in zip(removed, left))


# -- masked prompts ---------------------------------------------------------------------------------------------------


def test_words_of_one_token_need_one_sequence_with_one_mask(tmp_path: Path) -> None:
    made = prompts(tokenizer(tmp_path), "{text_a} w9 {mask} w8", ONE)
    batch = batch_for("x", made, [{"text_a": "w11 w12"}, {"text": "w13"}])
    assert sequences(batch) == [
        [[CLS, *ids("w11 w12 w9"), MASK, *ids("w8"), SEP]],
        [[CLS, *ids("w13 w9"), MASK, *ids("w8"), SEP]],
    ]
    assert scored(batch) == [
        [[[(0, 4, FIRST + 1)]], [[(0, 4, FIRST + 2)]]],
        [[[(0, 3, FIRST + 1)]], [[(0, 3, FIRST + 2)]]],
    ]


def test_words_of_other_lengths_have_sequences_with_as_many_masks(tmp_path: Path) -> None:
    made = prompts(tokenizer(tmp_path), "{text_a} {mask} w8", SEVERAL)
    batch = batch_for("x", made, [{"text_a": "w11 w12"}])
    head, tail = [CLS, *ids("w11 w12")], [*ids("w8"), SEP]
    assert sequences(batch) == [[[*head, *[MASK] * count, *tail] for count in (1, 2, 3)]]
    (found,) = scored(batch)
    assert found == [
        [[(0, 3, FIRST + 1)], [(2, 3, FIRST + 3), (2, 4, A), (2, 5, B)]],
        [[(1, 3, FIRST + 2), (1, 4, A)]],
        [[(0, 3, FIRST + 5)], [(0, 3, FIRST + 6)], [(2, 3, FIRST + 7), (2, 4, B), (2, 5, C)]],
    ]


def test_a_pair_fills_its_fields_in_the_order_of_the_template(tmp_path: Path) -> None:
    made = prompts(tokenizer(tmp_path), "{text_b}w1 {mask} {text_a}", {"no": "w3", "yes": "w4"})
    batch = batch_for("x", made, [{"text_a": " w11 w12 ", "text_b": "w13 "}])
    assert sequences(batch) == [[[CLS, UNK, MASK, *ids("w11 w12"), SEP]]]  # "w13w1" is one word


def test_mask_tokens_of_a_text_are_no_places_of_words(tmp_path: Path) -> None:
    made = prompts(tokenizer(tmp_path), "{text_a} w9 {mask} {text_b}", {"bad": "w1", "good": "w2a"})
    batch = batch_for("x", made, [{"text_a": "w3 [MASK] [MASK]", "text_b": "[MASK]"}])
    one, two = ([CLS, *ids("w3"), MASK, MASK, *ids("w9"), *[MASK] * count, MASK, SEP] for count in (1, 2))
    assert sequences(batch) == [[one, two]]
    assert scored(batch) == [[[[(0, 5, FIRST + 1)]], [[(1, 5, FIRST + 2), (1, 6, A)]]]]


@pytest.mark.parametrize("words", [ONE, SEVERAL])
@pytest.mark.parametrize("count", [3, 7, 8, 9, 40])
def test_the_end_of_a_long_text_is_cut_and_the_template_stays(
    tmp_path: Path, words: dict[str, Any], count: int
) -> None:
    made = prompts(tokenizer(tmp_path), "w1 {text_a} w9 {mask} w8", words, max_length=16)
    masks = sorted({1, *([2, 3] if words is SEVERAL else [])})
    room = 16 - 5 - masks[-1]
    text = " ".join(f"w{20 + number}" for number in range(count))
    kept = ids(text)[:room]
    batch = batch_for("x", made, [{"text_a": text}])
    head, tail = [CLS, *ids("w1"), *kept, *ids("w9")], [*ids("w8"), SEP]
    assert sequences(batch) == [[[*head, *[MASK] * each, *tail] for each in masks]]
    assert {position for word in scored(batch)[0][0] for _, position, _ in word[:1]} == {len(head)}


@pytest.mark.parametrize(("first", "second", "kept"), [(9, 2, (6, 2)), (2, 9, (2, 6)), (9, 9, (4, 4)), (8, 9, (4, 4))])
def test_of_two_texts_the_longer_one_is_cut(tmp_path: Path, first: int, second: int, kept: tuple[int, int]) -> None:
    made = prompts(tokenizer(tmp_path), "{text_a} w9 {mask} {text_b}", ONE, max_length=12)
    texts = [" ".join(f"w{start + number}" for number in range(n)) for start, n in ((20, first), (60, second))]
    batch = batch_for("x", made, [dict(zip(("text_a", "text_b"), texts))])
    a, b = (ids(text)[:length] for text, length in zip(texts, kept))
    assert sequences(batch) == [[[CLS, *a, *ids("w9"), MASK, *b, SEP]]]


def test_a_batch_of_rows_is_that_of_their_records(tmp_path: Path) -> None:
    made = prompts(tokenizer(tmp_path), "{text_a} {mask}", SEVERAL, max_length=12)
    given = [{"text": "w1 w2", "label": "odd"}, {"text": "w3 " * 30, "label": "bad"}, {"text": "w4", "label": "good"}]
    rows = rows_of(tmp_path, made, records([*given, {"text": "  "}]))
    generator = np.random.default_rng(0)
    samples = [made.sample(rows, index, generator) for index in range(len(rows))]
    found, expected = made.collate(samples), made.collate(made.encode(records(given)))
    assert found.labels["cls"]["labels"].tolist() == [2, 0, 1]
    assert expected.labels["cls"]["labels"].tolist() == [IGNORE] * 3
    for side, other in ((found.inputs, expected.inputs), (found.labels["prompt"], expected.labels["prompt"])):
        assert side.keys() == other.keys()
        assert all(torch.equal(side[name], other[name]) for name in side)
    assert found.sequences is not None
    assert found.sequences.tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


def test_an_empty_text_is_no_training_record_and_can_be_predicted(tmp_path: Path) -> None:
    made = prompts(tokenizer(tmp_path), "{text_a} w9 {mask}", ONE)
    reported: list[str] = []
    list(made.prepare(records([{"text_a": " ", "label": "good"}]), lambda error: reported.append(str(error))))
    assert reported == ["corpus.txt:1: the text is empty"]
    assert sequences(batch_for("x", made, [{"text_a": ""}])) == [[[CLS, *ids("w9"), MASK, SEP]]]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"text_a": "w1", "label": "good"}, "no field 'text_b'; the fields are text_a, label"),
        ({"text_b": "w1", "label": "good"}, "no field 'text_a' or 'text'; the fields are text_b, label"),
        ({"text_a": "w1", "text_b": [1], "label": "good"}, "expected a text in 'text_b', got a list"),
        ({"text_a": "w1", "text_b": "w2"}, "no field 'label'"),
        ({"text_a": "w1", "text_b": "w2", "label": "goood"}, "unknown label 'goood'; did you mean 'good'?"),
    ],
)
def test_a_record_that_does_not_fill_the_template_is_reported_with_its_line(
    tmp_path: Path, record: dict[str, Any], message: str
) -> None:
    made = prompts(tokenizer(tmp_path), "{text_a} {text_b} {mask}", ONE)
    reported: list[DataError] = []
    good = {"text_a": "w1", "text_b": "w2", "label": "bad"}
    chunks = list(made.prepare(records([good, record, good]), reported.append))
    assert [str(error).startswith(f"corpus.txt:2: {message}") for error in reported] == [True], reported
    assert [len(chunk["tokens"]) for chunk in chunks] == [2]


# -- words in their places --------------------------------------------------------------------------------------------


def masked_words(made_of: Tokenizer, template: str, words: list[str]) -> list[list[str]]:
    made = prompts(made_of, template, {word: word for word in words})
    batch = batch_for("x", made, [{"text_a": "call"}])
    return [[made_of.token(token) for _, _, token in word] for (word,) in scored(batch)[0]]


def byte_pairs(folder: Path) -> Tokenizer:
    special = {"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>", "mask_token": "<mask>"}
    return BytePairConfig(**byte_pair_files(folder, [*special.values()]), **special).build(DataContext())


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{text_a} was {mask}.", [["Ġthe"], ["Ġ", "hell"]]),
        ("{text_a} {mask}", [["Ġthe"], ["Ġ", "hell"]]),
        ("{text_a}:{mask}.", [["the"], ["hell"]]),
        ("{text_a}{mask}.", [["the"], ["hell"]]),
        ("{mask}, {text_a}", [["the"], ["hell"]]),
    ],
)
def test_byte_pairs_of_a_word_have_the_space_before_it_and_the_mask_stands_for_it(
    tmp_path: Path, template: str, expected: list[list[str]]
) -> None:
    made_of = byte_pairs(tmp_path)
    assert masked_words(made_of, template, ["the", "hell"]) == expected
    batch = batch_for("x", prompts(made_of, template, {"a": "the", "b": "hell"}), [{"text_a": "call"}])
    tokens = [made_of.token(token) for token in sequences(batch)[0][0]]
    assert tokens[tokens.index("<mask>") - 1] != "Ġ"


def test_pieces_of_a_word_are_those_that_begin_or_continue_one(tmp_path: Path) -> None:
    path = sentencepiece_model(tmp_path / "a.model", user_defined_symbols=["[CLS]", "[SEP]", "[PAD]", "[MASK]"])
    made_of = SentencePieceConfig(model=path).build(DataContext())
    after, inside = (masked_words(made_of, template, ["tin"]) for template in ("{text_a} {mask}", "{text_a}{mask}"))
    assert "".join(after[0]) == "▁tin"
    assert "".join(inside[0]) == "tin"


def test_characters_of_a_chinese_word_are_its_tokens(tmp_path: Path) -> None:
    vocabulary = lines(tmp_path / "vocab.txt", [*BERT, *"cal很好差，"])
    made_of = CharacterConfig(vocab=vocabulary).build(DataContext())
    assert masked_words(made_of, "{text_a}，{mask}", ["很好", "差"]) == [["很", "好"], ["差"]]


# -- causal prompts ---------------------------------------------------------------------------------------------------


def test_causal_words_of_one_token_at_the_end_are_scored_by_one_sequence(tmp_path: Path) -> None:
    made = prompts(tokenizer(tmp_path), "{text_a} w9 {mask}", ONE, scoring="causal")
    batch = batch_for("x", made, [{"text_a": "w11 w12"}, {"text_a": "w13"}])
    assert sequences(batch) == [[ids("w11 w12 w9")], [ids("w13 w9")]]
    assert scored(batch)[1] == [[[(0, 1, FIRST + 1)]], [[(0, 1, FIRST + 2)]]]
    assert batch.inputs["lengths"].tolist() == [3, 2]


def test_a_causal_word_is_scored_with_all_that_follows_it(tmp_path: Path) -> None:
    made = prompts(tokenizer(tmp_path), "w9 {mask} {text_a}", {"bad": ["w1", "w1a"], "good": "w2"}, scoring="causal")
    batch = batch_for("x", made, [{"text_a": "w11 w12"}])
    assert sequences(batch) == [[[*ids("w9 w1 w11")], [*ids("w9 w1"), A, *ids("w11")], [*ids("w9 w2 w11")]]]
    end = ids("w11 w12")
    assert scored(batch)[0][0][1] == [(1, 0, FIRST + 1), (1, 1, A), (1, 2, end[0]), (1, 3, end[1])]
    assert scored(batch)[0][1] == [[(2, 0, FIRST + 2), (2, 1, end[0]), (2, 2, end[1])]]


def test_a_causal_text_that_begins_with_the_word_begins_after_an_end_token(tmp_path: Path) -> None:
    made = prompts(tokenizer(tmp_path), "{mask} {text_a}", ONE, scoring="causal")
    batch = batch_for("x", made, [{"text_a": "w11"}])
    assert sequences(batch) == [[[EOS, *ids("w1")], [EOS, *ids("w2")]]]
    assert scored(batch)[0][0] == [[(0, 0, FIRST + 1), (0, 1, FIRST + 11)]]


def test_the_initial_token_of_a_tokenizer_is_before_a_causal_text(tmp_path: Path) -> None:
    files = byte_pair_files(tmp_path, ["<s>"])
    made_of = BytePairConfig(**files, bos_token="<s>", add_bos=True).build(DataContext())
    made = prompts(made_of, "{mask} {text_a}", {"a": "the", "b": "hell"}, scoring="causal")
    assert [
        [made_of.token(token) for token in each] for each in sequences(batch_for("x", made, [{"text_a": "a"}]))[0]
    ] == [
        ["<s>", "the"],
        ["<s>", "hell"],
    ]


@pytest.mark.parametrize("template", ["w1 {text_a} w9 {mask}", "w1 {mask} w9 {text_a}", "{text_b} {mask} w9 {text_a}"])
@pytest.mark.parametrize("count", [1, 5, 6, 7, 8, 30])
def test_causal_texts_are_cut_alike_for_all_words(tmp_path: Path, template: str, count: int) -> None:
    words = {"bad": "w2", "good": "w3ab"}
    made = prompts(tokenizer(tmp_path), template, words, scoring="causal", max_length=12)
    text = " ".join(f"w{20 + number}" for number in range(count))
    batch = batch_for("x", made, [{"text_a": text, "text_b": "w4"}])
    fixed = len(template.split()) - 2 + 3  # without the text, with the tokens of the longest word
    begins = template.startswith("w1")  # else there is room for a token with which the text may have to begin
    kept = " ".join(text.split()[: 12 + begins - fixed])

    def tokens(word: str) -> list[int]:
        (found,) = made.tokenizer.encode_batch([template.format(text_a=kept, text_b="w4", mask=word)])
        return found

    assert sequences(batch) == [[tokens(word)[:-1] for word in words.values()]]
    for (word,), spelled in zip(scored(batch)[0], words.values()):
        whole = tokens(spelled)
        assert [token for _, _, token in word] == whole[len(whole) - len(word) :]
        assert [place for _, place, _ in word] == list(range(len(whole) - len(word) - 1, len(whole) - 1))
        assert word[0][2] == made.tokenizer.encode_batch([spelled])[0][0]


# -- names of classes -------------------------------------------------------------------------------------------------


def test_classes_are_in_the_order_of_the_words_or_of_labels(tmp_path: Path) -> None:
    made_of = tokenizer(tmp_path)

    def order(**options: Any) -> list[str]:
        made = PromptProcessorConfig(template="{text} {mask}", **options).build(DataContext(), made_of)
        (found,) = made.describe([{"label": 0, "probabilities": [0.5, 0.5]}])
        return list(found["probabilities"])

    assert order(verbalizer={"w2": "w7", "w1": "w8"}) == ["w2", "w1"]
    assert order(labels=["w1", "w2"]) == ["w1", "w2"]
    assert order(labels={1: "good", 0: "bad"}, verbalizer={"good": "w1", "bad": "w2"}) == ["bad", "good"]
    assert order(verbalizer={0: "w1", 1: "w2"}) == ["0", "1"]


@pytest.mark.parametrize("label", [1, "1", 1.0, "good"])
def test_labels_are_integers_or_names(tmp_path: Path, label: Any) -> None:
    made_of = tokenizer(tmp_path)
    options: dict[str, Any] = {"template": "{text} {mask}", "verbalizer": {"good": "w1", "bad": "w2"}}
    made = PromptProcessorConfig(labels={0: "bad", 1: "good"}, **options).build(DataContext(), made_of)
    (chunk,) = made.prepare(records([{"text": "w1", "label": label}]), _refuse)
    assert chunk["label"] == [1]


def _refuse(error: DataError) -> None:
    raise error
