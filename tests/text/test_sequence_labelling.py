"""Sequence labelling: forms of data, windows of long texts, predictions as spans, and bad data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.text.corpora import FIRST, processor, records, refuse, rows_of
from tests.text.vocabularies import BERT, lines
from tp_core import DataError, evaluate, load_model, load_spec, predict, train
from tp_core.data.cache.rows import write_rows
from tp_core.data.sampling.order import EVALUATION, generator
from tp_core.data.sources.records import BadRecords, read_records
from tp_core.interfaces import IGNORE
from tp_core.options.choice import chosen_of
from tp_core.testing import check_module
from tp_core.testing.specs import config_class_of

LABELS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
NAME = "token_cls"


def ids(*words: int) -> list[int]:
    return [FIRST + word for word in words]


def made(folder: Path, **options: Any) -> Any:
    return processor(folder, NAME, **{"labels": LABELS, "max_length": 32, **options})


def of(folder: Path, record: dict[str, Any], **options: Any) -> dict[str, Any]:
    own = made(folder, **options)
    rows = rows_of(folder, own, records([record]))
    return own.evaluation_sample(rows, 0, generator(0, EVALUATION, 0, 0))


FORMS: list[dict[str, Any]] = [
    {"tokens": ["w1", "w2ab", "w3"], "tags": ["B-PER", "I-PER", "O"]},
    {"tokens": ["w1", "w2ab", "w3"], "tags": [1, 2, 0]},
    {"tokens": "w1 w2ab w3", "tags": "B-PER I-PER O"},
    {"text_a": "w1 w2ab  w3", "label": "B-PER I-PER O"},
    {"text": "w1 w2ab w3", "spans": [{"start": 0, "end": 7, "label": "PER"}]},
    {"text": "w1 w2ab w3", "spans": [[0, 7, "PER"]]},
    {"text": "w1 w2ab w3", "spans": [{"start": 0, "end": 7, "type": "PER", "text": "w1 w2ab"}]},
]


@pytest.mark.parametrize("record", FORMS)
def test_all_forms_of_a_record_give_the_same_sample(tmp_path: Path, record: dict[str, Any]) -> None:
    sample = of(tmp_path, record)
    assert sample["positions"].tolist() == [1, 2, 5]  # after [CLS]; w2ab has the pieces w2 ##a ##b
    assert sample["labels"].tolist() == [1, 2, 0]
    assert sample["tags"].tolist() == [1, 2, 0]


def test_all_pieces_of_a_word_may_be_labelled(tmp_path: Path) -> None:
    record = {"tokens": ["w1a", "w2ab", "w3"], "tags": ["B-PER", "B-LOC", "O"]}
    sample = of(tmp_path, record, label_pieces="all")
    assert sample["positions"].tolist() == [1, 2, 3, 4, 5, 6]
    assert [LABELS[n] for n in sample["labels"]] == ["B-PER", "I-PER", "B-LOC", "I-LOC", "I-LOC", "O"]
    assert sample["first"].tolist() == [True, False, True, False, False, True]


def test_labels_may_be_given_by_number_or_made_of_types(tmp_path: Path) -> None:
    numbered = made(tmp_path, labels={name: number for number, name in enumerate(LABELS)})
    assert numbered.tags == LABELS
    assert made(tmp_path, labels=None, types=["PER", "LOC"]).tags == LABELS
    assert made(tmp_path, labels=None, types=["X"], scheme="bmes").tags == ["O", "B-X", "M-X", "E-X", "S-X"]


def test_a_word_that_the_tokenizer_leaves_out_still_has_a_label(tmp_path: Path) -> None:
    sample = of(tmp_path, {"tokens": ["w1", "\u200b", "w2"], "tags": ["O", "B-PER", "I-PER"]})
    assert len(sample["positions"]) == 3
    assert sample["labels"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("context", [None, 0, 2])
def test_every_word_of_a_long_text_is_labelled_once(tmp_path: Path, context: int | None) -> None:
    own = made(tmp_path, max_length=12, context=context)
    rng = np.random.default_rng(0)
    words = [f"w{n}{'ab'[: n % 3]}" for n in range(50)]
    given = records([{"tokens": words, "tags": rng.choice(LABELS, 50).tolist()}, {"tokens": ["w1"], "tags": ["O"]}])
    rows = rows_of(tmp_path, own, given)
    assert own.record_starts(rows).tolist() == [0, len(rows) - 1]
    samples = [own.evaluation_sample(rows, index, generator(0, EVALUATION, 0, 0)) for index in range(len(rows) - 1)]
    labels = [number for sample in samples for number in sample["labels"].tolist()]
    assert labels == [LABELS.index(tag) for tag in given[0].value["tags"]]
    assert all(len(sample["input_ids"]) == 12 for sample in samples)
    predictions = [{"labels": sample["labels"].tolist()} for sample in samples]
    combined = own.combine(list(map(own.carried, samples)), predictions)
    assert combined["tags"] == given[0].value["tags"]
    batch = own.collate(samples)
    labelled = batch.labels[NAME]["positions"] >= 0
    assert ((batch.labels[NAME]["labels"] != IGNORE) == labelled).all()


def test_predictions_are_spans_in_characters_of_the_text(tmp_path: Path) -> None:
    own = made(tmp_path)
    text = "  w1 w2ab, w3 "
    ((sample,),) = own.divide(records([text]))
    count = len(sample["positions"])
    tags = ["B-PER", "I-PER", "O", "B-LOC"][:count]
    prediction = {"labels": [LABELS.index(tag) for tag in tags], "probabilities": [0.5, 0.7, 0.9, 0.8][:count]}
    found = own.combine([sample], [prediction])
    assert [(each["text"], each["label"]) for each in found["spans"]] == [("w1 w2ab", "PER"), ("w3", "LOC")]
    assert all(text[each["start"] : each["end"]] == each["text"] for each in found["spans"])
    assert found["spans"][0]["score"] == pytest.approx(0.6)
    ((listed,),) = own.divide(records([{"tokens": ["w1", "w2ab", "w3"]}]))
    (span,) = own.combine([listed], [{"labels": [0, 1, 2]}])["spans"]
    assert span == {"text": "w2ab w3", "label": "PER", "start": 3, "end": 10, "first_word": 1, "last_word": 2}


def test_predictions_ignore_tags_also_wrong_ones(tmp_path: Path) -> None:
    own = made(tmp_path)
    given = [
        {"tokens": ["w1", "w2"], "tags": ["O"]},
        {"text_a": "w1 w2", "label": "O O O"},
        {"text": "w1 w2", "spans": [[3, 90, "PER"]]},
        {"tokens": ["w1", "w2"]},
    ]
    plain, *_ = found = [samples[0] for samples in own.divide(records(given))]
    assert all(each["input_ids"].tolist() == plain["input_ids"].tolist() for each in found)


def test_tags_that_break_the_scheme_are_counted_or_refused(tmp_path: Path) -> None:
    good, bad = {"tokens": ["w1"], "tags": ["B-PER"]}, {"tokens": ["w1", "w2"], "tags": ["O", "I-PER"]}
    own = made(tmp_path)
    rows_of(tmp_path, own, records([good, bad, good]))
    (remark,) = own.remarks()
    assert remark == (
        "1 records have tags that break the scheme bio, the first is corpus.txt:2: tag 2, 'I-PER' after O, breaks the "
        "scheme bio (strict: true makes them bad records)"
    )
    with pytest.raises(DataError, match=r"corpus.txt:1: tag 2, 'I-PER' after O, breaks the scheme bio"):
        rows_of(tmp_path, made(tmp_path, strict=True), records([bad]))


def test_spans_inside_words_are_widened_and_counted(tmp_path: Path) -> None:
    own = made(tmp_path)
    rows = rows_of(tmp_path, own, records([{"text": "w1 w2ab w3", "spans": [[4, 6, "PER"], [8, 10, "LOC"]]}]))
    assert rows.get("labels", 0).tolist() == [0, 1, 3]
    assert own.remarks() == ["1 of 2 spans begin or end inside a word; they are widened to whole words"]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"tokens": ["w1", "w2"], "tags": ["O"]}, "'tags' has 1 tags for 2 words"),
        ({"text_a": "w1 w2", "label": "O O O"}, "'label' has 3 tags for 2 words"),
        ({"tokens": ["w1"], "tags": ["B-PRE"]}, "unknown tag 'B-PRE' of the word 'w1'; did you mean 'B-PER'?"),
        ({"tokens": ["w1"], "tags": [5]}, "unknown tag '5' of the word 'w1'"),
        ({"tokens": ["w1"]}, "no tags: expected 'tags' with 'tokens'"),
        ({"tokens": ["w1", " "], "tags": ["O", "O"]}, "word 2 of 'tokens' is ' '; expected a text that is not blank"),
        ({"text": "w1 w2", "spans": [[3, 9, "PER"]]}, "the span 3 to 9 (PER) is not inside the text, which has 5"),
        ({"text": "w1 w2", "spans": [[3, 3, "PER"]]}, "is not inside the text"),
        ({"text": "w1 w2", "spans": [[0, 2, "PRE"]]}, "unknown type of span 'PRE'; did you mean 'PER'?"),
        (
            {"text": "w1 w2", "spans": [{"start": 0, "end": 2, "label": "PER", "text": "w2"}]},
            "the span 0 to 2 is 'w1' in the text, but 'w2' here; 'w2' is at 3",
        ),
        ({"text": "w1 w2", "spans": [[0, 5, "PER"], [3, 5, "LOC"]]}, "the spans PER and LOC (3 to 5) overlap"),
        ({"text": "w1 w2", "spans": [["0", 2, "PER"]]}, "needs integers as start and end"),
        ({"text": "w1 w2", "spans": "PER"}, "expected a list of spans"),
        ({"other": "w1"}, "no field 'tokens', 'text_a' or 'text'"),
    ],
)
def test_bad_records_are_told(tmp_path: Path, record: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as error:
        write_rows(tmp_path / "rows.arrow", made(tmp_path).prepare(iter(records([record])), refuse))
    assert message in str(error.value)
    assert str(error.value).startswith("corpus.txt:1: ")


CONLL = "-DOCSTART- -X- O O\n\nw1 NNP B-NP B-PER\nw2 NNP I-NP I-PER\n\n\nw3 VB O O\n"


def test_conll_columns_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text(CONLL)
    config = config_class_of("source", "conll")(path=str(tmp_path / "a.conll"))
    found = list(read_records([chosen_of(config)]))
    assert [(each.line, each.value) for each in found] == [
        (3, {"tokens": ["w1", "w2"], "tags": ["B-PER", "I-PER"]}),
        (7, {"tokens": ["w3"], "tags": ["O"]}),
    ]
    columns = config_class_of("source", "conll")(path=str(tmp_path / "a.conll"), tag_column=1)
    assert [each.value["tags"] for each in read_records([chosen_of(columns)])] == [["NNP", "NNP"], ["VB"]]


def test_the_source_conforms(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(CONLL + "\nw4 O\n")
    check_module("conll", "source", {"path": str(path)}, change=lambda: path.write_text(CONLL[:-3] + "B-LOC\n"), bad=1)


def test_a_line_with_other_columns_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("w1 O\nw2\n\nw3 O\n")
    config = config_class_of("source", "conll")(path=str(tmp_path / "a.conll"))
    bad = BadRecords("skip")
    assert [each.value["tokens"] for each in read_records([chosen_of(config)], bad=bad)] == [["w3"]]
    assert "a.conll:2: the line has 1 columns; expected 2 columns" in str(bad.summary())


@pytest.mark.parametrize("crf", [False, True])
def test_a_model_learns_tags_and_finds_spans_again(tmp_path: Path, crf: bool) -> None:
    """Words w0 to w9 begin a person, w10 to w19 continue one; long texts are divided into windows."""
    lines(tmp_path / "vocab.txt", [*BERT, *(f"w{n}" for n in range(40))])
    rng = np.random.default_rng(0)
    rows = []
    for number in range(60):
        words, tags = [], []
        while len(words) < (40 if number % 10 == 0 else 6):
            if rng.random() < 0.4:
                more = int(rng.integers(0, 3))
                words += [f"w{rng.integers(10)}", *(f"w{rng.integers(10, 20)}" for _ in range(more))]
                tags += ["B-PER", *["I-PER"] * more]
            else:
                words.append(f"w{rng.integers(20, 40)}")
                tags.append("O")
        rows.append({"tokens": words, "tags": tags})
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    spec = {
        "model": {
            "hidden_size": 32,
            "dropout": 0.0,
            "embedding": ["word"],
            "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}},
            "target": {"token_cls": {"num_labels": 3, "crf": crf}},
        },
        "data": {
            "tokenizer": {"space": {"vocab": "vocab.txt"}},
            "processor": {"token_cls": {"types": ["PER"], "max_length": 16}},
            "train": "train.jsonl",
            "eval": "train.jsonl",
            "cache": "cache",
        },
        "train": {"steps": 80, "batch_size": 16, "loggers": [], "optimizer": {"adamw": {"lr": 0.02}}},
    }
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec))
    train(load_spec(tmp_path / "spec.yaml"), run=tmp_path / "run")
    model = load_model(tmp_path / "run")
    found = evaluate(model, str(tmp_path / "train.jsonl"))
    assert found["f1"] == found["strict_f1"] == found["precision"] == found["recall"] == 1.0
    tagged = predict(model, [{"tokens": row["tokens"]} for row in rows], batch_size=4)
    assert [each["tags"] for each in tagged] == [row["tags"] for row in rows]
    (named,) = predict(model, "w25 w1 w11 w30")
    assert [(each["text"], each["start"]) for each in named["spans"]] == [("w1 w11", 4)]
