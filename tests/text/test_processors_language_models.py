"""Instances of bidirectional and prefix language models, and of instruction tuning."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.text.corpora import (
    ALL,
    CLS,
    CORPUS,
    EOS,
    FIRST,
    LINES,
    PAD,
    SEP,
    draw,
    numbers,
    processor,
    records,
    refuse,
    rows_of,
)
from tests.text.vocabularies import BERT, lines
from tp_core.errors import DataError
from tp_core.interfaces import IGNORE
from tp_core.options.context import DataContext
from tp_text.processors.instruction_options import InstructionProcessorConfig
from tp_text.processors.prefixlm_options import PrefixLmProcessorConfig
from tp_text.tokenizers.line_vocabulary_options import SpaceConfig

# -- bidirectional ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_length", [5, 8, 31])
def test_bilm_rows_hold_every_token_of_the_corpus_in_order(tmp_path: Path, max_length: int) -> None:
    made = processor(tmp_path, "bilm", max_length=max_length)
    rows = rows_of(tmp_path, made, LINES)
    each = [rows.get("tokens", n).tolist() for n in range(len(rows))]
    assert [i for row in each for i in row if i != EOS] == ALL
    assert {len(row) for row in each[:-1]} == {max_length - 2}


@pytest.mark.parametrize("name", ["lm", "bilm", "t5"])
def test_a_row_may_hold_one_document_only(tmp_path: Path, name: str) -> None:
    """TencentPretrain and fairseq (``--sample-break-mode``) cut each document alone."""
    sentinels = tuple(f"<extra_id_{number}>" for number in range(8)) if name == "t5" else ()
    made = processor(tmp_path, name, extra=sentinels, max_length=12, pack=False)
    rows = rows_of(tmp_path, made, LINES)
    each = [rows.get("tokens", n).tolist() for n in range(len(rows))]
    room = {"lm": 13, "bilm": 10, "t5": getattr(made, "row_length", 0)}[name]
    end = [EOS] if name == "lm" else []
    expected = []
    for document in CORPUS:
        ids = [number for line in document for number in numbers(line)] + end
        expected += [ids[start : start + room] for start in range(0, len(ids), room)]
    least = 1 if name == "bilm" else 2
    assert each == [row for row in expected if len(row) >= least]


def test_bilm_labels_are_the_neighbours_and_the_edges_have_none(tmp_path: Path) -> None:
    made = processor(tmp_path, "bilm", max_length=10)
    rows = rows_of(tmp_path, made, LINES)
    last = len(rows) - 1
    batch = made.collate([draw(made, rows, 0), draw(made, rows, last)])
    for row, index in enumerate((0, last)):
        ids = [CLS, *rows.get("tokens", index).tolist(), EOS]
        filling = [IGNORE] * (10 - len(ids))
        assert batch.inputs["input_ids"][row].tolist() == [*ids, *[PAD] * len(filling)]
        assert batch.labels["bilm"]["forward"][row].tolist() == [*ids[1:], IGNORE, *filling]
        assert batch.labels["bilm"]["backward"][row].tolist() == [IGNORE, *ids[:-1], *filling]
        assert batch.inputs["attention_mask"][row].sum() == len(ids)
    assert len(rows.get("tokens", last)) < 8


def test_bilm_reads_texts_at_inference_without_labels(tmp_path: Path) -> None:
    made = processor(tmp_path, "bilm", max_length=6)
    batch = made.collate(made.encode(records(["w1 w2 w3 w4 w5", ""])))
    assert batch.inputs["input_ids"].tolist() == [[CLS, 7, 8, 9, 10, EOS], [CLS, EOS, *[PAD] * 4]]
    assert all((labels == IGNORE).all() for labels in batch.labels["bilm"].values())


# -- prefix ----------------------------------------------------------------------------------------------------------


def continuation(sample: Any) -> tuple[list[int], list[int]]:
    ids, length = sample["input_ids"].tolist(), sample["prefix_length"]
    return ids[:length], ids[length:]


def test_pairs_become_a_prefix_and_a_labelled_continuation(tmp_path: Path) -> None:
    made = processor(tmp_path, "prefixlm", max_length=9)
    given = records([{"source": "w1 w2", "target": "w3"}, {"text_a": "w4", "text_b": "w5 w6 w7 w8 w9 w10 w11"}])
    rows = rows_of(tmp_path, made, given)
    batch = made.collate([draw(made, rows, n) for n in range(2)])
    long = [CLS, 10, SEP, 11, 12, 13, 14, 15, EOS]
    assert batch.inputs["input_ids"].tolist() == [[CLS, 7, 8, SEP, 9, EOS, PAD, PAD, PAD], long]
    assert batch.inputs["token_type_ids"].tolist() == [[0, 0, 0, 0, 1, 1, 0, 0, 0], [0, 0, 0, *[1] * 6]]
    assert batch.inputs["prefix_lengths"].tolist() == [4, 3]
    assert batch.inputs["attention_mask"].sum(1).tolist() == [6, 9]
    assert batch.labels["lm"]["labels"].tolist() == [
        [IGNORE, IGNORE, IGNORE, 9, EOS, *[IGNORE] * 4],
        [IGNORE, IGNORE, *long[3:], IGNORE],
    ]


def test_the_prefix_is_predicted_too_when_asked_for(tmp_path: Path) -> None:
    made = processor(tmp_path, "prefixlm", max_length=9, prefix_loss=True)
    rows = rows_of(tmp_path, made, records([{"source": "w1 w2", "target": "w3"}]))
    sample = draw(made, rows, 0)
    assert sample["labels"].tolist() == [*sample["input_ids"].tolist()[1:], IGNORE]
    # A token that is to be predicted is not shown to those before it.
    assert "prefix_lengths" not in made.collate([sample]).source


def test_running_text_is_cut_in_two_at_random_and_nothing_is_lost(tmp_path: Path) -> None:
    made = processor(tmp_path, "prefixlm", max_length=16)
    rows = rows_of(tmp_path, made, LINES)
    cuts = set()
    whole: list[int] = []
    for epoch, index in itertools.product(range(20), range(len(rows))):
        prefix, rest = continuation(draw(made, rows, index, epoch))
        assert (prefix[0], prefix[-1], rest[-1]) == (CLS, SEP, EOS)
        text = [*prefix[1:-1], *rest[:-1]]
        assert text == rows.get("prefix", index).tolist()
        assert prefix[1:-1]
        assert rest[:-1]
        whole += text if epoch == 0 else []
        if len(text) == 13 and index == 0:
            cuts.add(len(prefix) - 2)
    assert [i for i in ALL if i in set(whole)] == ALL
    assert len(whole) >= len(ALL) - len(LINES), "a document may lose one token that stands alone at its end"
    assert len(cuts) > 6


def test_without_cls_and_sep_a_prefix_is_the_text_alone(tmp_path: Path) -> None:
    path = lines(tmp_path / "plain.txt", ["<unk>", "<pad>", "</s>", "a", "b", "c"])
    config = SpaceConfig(vocab=path, unk_token="<unk>", pad_token="<pad>", eos_token="</s>")
    made = PrefixLmProcessorConfig(max_length=8).build(DataContext(), config.build(DataContext()))
    rows = rows_of(tmp_path, made, records([{"source": "a b", "target": "c"}]))
    sample = draw(made, rows, 0)
    assert continuation(sample) == ([3, 4], [5, 2])
    assert sample["labels"].tolist() == [IGNORE, 5, 2, IGNORE]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"title": "w1"}, "no field 'text_a' or 'text'; the fields are title"),
        ({"source": "w1", "target": " "}, "the target is empty"),
        ({"source": "", "target": "w1"}, "the source is empty"),
    ],
)
def test_a_bad_record_of_prefixlm_is_reported(tmp_path: Path, value: Any, message: str) -> None:
    made = processor(tmp_path, "prefixlm")
    reported: list[DataError] = []
    (columns,) = made.prepare(iter(records(["w1 w2", value, "", "w3 w4"])), reported.append)
    assert len(columns["prefix"]) == 2
    (error,) = reported
    assert str(error).startswith(f"corpus.txt:2: {message}")


def test_a_target_without_tokens_is_reported_and_not_taken_for_running_text(tmp_path: Path) -> None:
    made = processor(tmp_path, "prefixlm")
    with pytest.raises(DataError, match=r"corpus\.txt:1: the target has no tokens"):
        list(made.prepare(iter(records([{"source": "w1 w2", "target": "\x01"}])), refuse))


def test_a_prefix_is_read_at_inference_and_continued_in_the_second_segment(tmp_path: Path) -> None:
    made = processor(tmp_path, "prefixlm", max_length=9)
    batch = made.collate(made.encode(records([{"source": "w1 w2", "target": "w3"}, ""])))
    assert batch.inputs["input_ids"][:, :5].tolist() == [[CLS, 7, 8, SEP, PAD], [CLS, SEP, PAD, PAD, PAD]]
    assert batch.inputs["prefix_lengths"].tolist() == [4, 2]
    assert made.generation().end == (EOS,)
    assert made.generation().inputs == {"token_type_ids": 1}


# -- instructions ----------------------------------------------------------------------------------------------------

PLAIN = {
    "system_prefix": "w90",
    "system_suffix": "",
    "user_prefix": "w91",
    "user_suffix": "w92",
    "assistant_prefix": "w93",
    "assistant_suffix": "w94",
}
CHAT = {
    "messages": [
        {"role": "system", "content": "w1"},
        {"role": "user", "content": "w2 w3"},
        {"role": "assistant", "content": "w4 w5"},
        {"role": "user", "content": "w6"},
        {"role": "assistant", "content": "w7"},
    ]
}


def sft(folder: Path, **options: Any) -> Any:
    return processor(folder, "sft", **{**PLAIN, **options})


def words(*texts: str | int) -> list[int]:
    return [i for text in texts for i in ([text] if isinstance(text, int) else numbers(text))]


def test_only_answers_are_predicted(tmp_path: Path) -> None:
    made = sft(tmp_path, max_length=32)
    rows = rows_of(tmp_path, made, records([CHAT, {"instruction": "w1", "input": "w2", "output": "w3"}]))
    batch = made.collate([draw(made, rows, n) for n in range(2)])
    chat = words("w90 w1 w91 w2 w3 w92 w93 w4 w5 w94", EOS, "w91 w6 w92 w93 w7 w94", EOS)
    ids, labels = batch.inputs["input_ids"], batch.labels["lm"]["labels"]
    assert ids[0, : len(chat) - 1].tolist() == chat[:-1]
    assert [i for i in labels[0].tolist() if i != IGNORE] == words("w4 w5 w94", EOS, "w7 w94", EOS)
    for row in range(2):
        for place, label in enumerate(labels[row].tolist()):
            if label != IGNORE and place + 1 < ids.shape[1] and ids[row, place + 1] != PAD:
                assert label == ids[row, place + 1]
    assert [i for i in labels[1].tolist() if i != IGNORE] == words("w3 w94", EOS)
    assert ids[1, :6].tolist() == words("w91 w1 w2 w92 w93 w3")
    assert list(batch.inputs) == ["input_ids", "lengths"]
    assert batch.inputs["lengths"].tolist() == [len(chat) - 1, 7]


def test_packed_conversations_stay_whole_and_apart(tmp_path: Path) -> None:
    made = sft(tmp_path, max_length=24, pack=True)
    given = [{"instruction": f"w{n}", "output": " ".join([f"w{n}"] * (n % 7 + 1))} for n in range(40)]
    rows = rows_of(tmp_path, made, records(given))
    batch = made.collate([draw(made, rows, n) for n in range(len(rows))])
    assert len(rows) < 25
    seen = []
    for row, documents, positions, labels in zip(
        *(batch.inputs[n].tolist() for n in ("input_ids", "document_ids", "position_ids")),
        batch.labels["lm"]["labels"].tolist(),
        strict=True,
    ):
        for number in range(max(documents) + 1):
            places = [p for p, each in enumerate(documents) if each == number and row[p] != PAD]
            if not places:
                continue
            inside = [row[p] for p in places]
            assert inside[0] == numbers("w91")[0]
            assert [positions[p] for p in places] == list(range(len(places)))
            assert {i for i in inside if FIRST <= i < FIRST + 40} == {inside[1]}
            seen.append(inside[1] - FIRST)
            answer = [labels[p] for p in places if labels[p] != IGNORE]
            count = (inside[1] - FIRST) % 7 + 1
            assert answer == [*[inside[1]] * count, *words("w94", EOS)]
    assert seen == list(range(40))


def test_a_system_message_is_added_where_there_is_none(tmp_path: Path) -> None:
    made = sft(tmp_path, system="w80")
    rows = rows_of(tmp_path, made, records([{"instruction": "w1", "output": "w2"}, CHAT]))
    assert rows.get("tokens", 0).tolist()[:2] == words("w90 w80")
    assert rows.get("tokens", 1).tolist()[:2] == words("w90 w1")


def test_a_text_begins_with_bos_where_that_is_a_token_of_its_own(tmp_path: Path) -> None:
    path = lines(tmp_path / "own.txt", [*BERT, "<s>", "</s>", "a", "b"])
    for bos, head in (("<s>", [5]), ("</s>", [])):
        config = SpaceConfig(vocab=path, bos_token=bos, eos_token="</s>")
        options = InstructionProcessorConfig(user_prefix="", user_suffix="", assistant_prefix="")
        made = options.build(DataContext(), config.build(DataContext()))
        rows = rows_of(tmp_path, made, records([{"instruction": "a", "output": "b"}]))
        assert rows.get("tokens", 0).tolist() == [*head, 7, 8, 6]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"prompt": "w1"}, "no field 'messages' or 'instruction'; the fields are prompt"),
        ({"instruction": "w1"}, "no field 'output'; the fields are instruction"),
        ({"instruction": "w1", "output": " "}, "the conversation has no answer to learn from"),
        ({"messages": []}, "'messages' is no list of messages"),
        ({"messages": "w1"}, "'messages' is no list of messages"),
        ({"messages": ["w1"]}, "message 1 is no object with role and content"),
        ({"messages": [{"role": "assistent", "content": "w1"}]}, "message 1 has the role 'assistent'; did you mean"),
        ({"messages": [{"role": "tool", "content": "w1"}]}, "message 1 has the role 'tool'; the roles are system"),
        ({"messages": [{"role": "user", "content": None}]}, "the content of message 1 is no text"),
        (
            {"messages": [{"role": "user", "content": ["a"]}]},
            "expected a text in 'content of message 1', got a list",
        ),
        ({"messages": [{"role": "user", "content": "w1"}]}, "the conversation has no answer to learn from"),
        (
            {"instruction": " ".join(["w1"] * 40), "output": "w2"},
            "the first answer begins after 43 tokens, and max_length is 30",
        ),
    ],
)
def test_a_bad_conversation_is_reported_and_the_others_are_kept(tmp_path: Path, value: Any, message: str) -> None:
    made = sft(tmp_path, max_length=30)
    reported: list[DataError] = []
    (columns,) = made.prepare(iter(records([CHAT, value, "", CHAT])), reported.append)
    assert len(columns["tokens"]) == 2
    (error,) = reported
    assert str(error).startswith(f"corpus.txt:2: {message}")


def test_a_conversation_is_read_up_to_the_answer_that_is_asked_for(tmp_path: Path) -> None:
    made = sft(tmp_path, max_length=32)
    samples = made.encode(records([CHAT, {"instruction": "w1", "input": "w2", "output": "w3"}, "w5"]))
    assert [s["input_ids"].tolist() for s in samples] == [
        words("w90 w1 w91 w2 w3 w92 w93 w4 w5 w94", EOS, "w91 w6 w92 w93"),
        words("w91 w1 w2 w92 w93"),
        words("w91 w5 w92 w93"),
    ]
    batch = made.collate(samples)
    assert batch.inputs["attention_mask"].sum(1).tolist() == [15, 5, 4]
    short = sft(tmp_path, max_length=4).encode(records([CHAT]))
    assert short[0]["input_ids"].tolist() == words("w91 w6 w92 w93")
    assert made.generation().end == (EOS,)
    assert made.decode(words("w7 w94", EOS)) == "w7 "


def test_long_conversations_lose_their_end(tmp_path: Path) -> None:
    made = sft(tmp_path, max_length=9)
    rows = rows_of(tmp_path, made, records([CHAT]))
    sample = draw(made, rows, 0)
    assert sample["input_ids"].tolist() == words("w90 w1 w91 w2 w3 w92 w93 w4 w5")
    assert sample["labels"].tolist() == [*[IGNORE] * 6, *words("w4 w5 w94")]
    assert np.array_equal(draw(made, rows, 0, epoch=3)["input_ids"], sample["input_ids"])


def test_empty_data_gives_no_rows(tmp_path: Path) -> None:
    for name in ("bilm", "prefixlm", "sft", "bart", "gsg", "skipgram"):
        chunks = list(processor(tmp_path, name).prepare(iter(records(["", " "])), refuse))
        assert not any(values for chunk in chunks for values in chunk.values()), name
