"""A field that holds no text is a bad record, whichever processor reads it; a number is a text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.contexts import targets
from tests.text.vocabularies import lines, sentencepiece_model, wordpieces
from tp_core import DataError, Record
from tp_core.data.classes.labels import ClassLabels
from tp_core.data.fields import required_text, text_field
from tp_core.data.sources.media import media_bytes
from tp_core.interfaces import Processor
from tp_core.interfaces.tokenizer import Tokenizer
from tp_core.options.context import DataContext
from tp_text.processors.chat import turns_of
from tp_text.processors.classification_options import ClassificationProcessorConfig
from tp_text.processors.instruction_options import InstructionProcessorConfig
from tp_text.processors.lm_options import LmProcessorConfig
from tp_text.processors.mlm_options import MlmProcessorConfig
from tp_text.processors.pair_options import PairProcessorConfig
from tp_text.processors.prefixlm_options import PrefixLmProcessorConfig
from tp_text.processors.translation_options import TranslationProcessorConfig
from tp_text.tokenizers.line_vocabulary_options import WordPieceConfig
from tp_text.tokenizers.sentence_piece_options import SentencePieceConfig

NO_TEXTS: list[tuple[Any, str]] = [
    ([1, 2], "a list"),
    (["a text"], "a list"),
    ({"a": "b"}, "a mapping"),
    (float("nan"), "nan (not a number)"),
    (float("inf"), "inf"),
    (b"text", "bytes"),
    (True, "true or false"),
]


@pytest.mark.parametrize(("value", "named"), NO_TEXTS)
def test_a_value_that_is_no_text_is_named_with_its_place(value: Any, named: str) -> None:
    with pytest.raises(DataError) as error:
        text_field(Record({"text": value}, "data.jsonl", 7), "text")
    assert str(error.value) == f"data.jsonl:7: expected a text in 'text', got {named}"


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (-3, "-3"), (1.5, "1.5"), ("", ""), ("0", "0")])
def test_a_number_is_the_text_that_it_is_written_as(value: Any, text: str) -> None:
    assert text_field(Record({"text": value}, "data.jsonl", 1), "text") == text


def test_a_number_of_more_digits_than_python_writes_is_a_bad_record() -> None:
    with pytest.raises(DataError, match=r"data\.jsonl:7: expected a text in 'text', got a number of too many digits"):
        text_field(Record({"text": 10**5000}, "data.jsonl", 7), "text")


def test_a_null_is_no_text_and_the_next_field_counts() -> None:
    record = Record({"text_a": None, "text": "b"}, "data.jsonl", 1)
    assert text_field(record, "text_a", "text") == "b"
    assert text_field(record, "text_a") is None


def test_a_field_that_is_there_and_holds_nothing_is_said_to_hold_nothing() -> None:
    record = Record({"text": None, "label": None, "title": "", "source": "a"}, "data.jsonl", 7)
    fields = "the fields are text (null), label (null), title (empty), source"
    with pytest.raises(DataError) as error:
        required_text(record, "text")
    assert str(error.value) == f"data.jsonl:7: no field 'text'; {fields} (data.columns renames them)"
    with pytest.raises(DataError) as error:
        ClassLabels(["a"], None, "labels").read(record)
    assert str(error.value) == f"data.jsonl:7: no field 'label'; {fields} (data.columns renames them)"
    with pytest.raises(DataError, match=r"no field 'image'; the fields are image \(null\)"):
        media_bytes(Record({"image": None}, "data.jsonl", 7), "image")


def tokenizer(folder: Path) -> Tokenizer:
    vocabulary = lines(folder / "pieces.txt", wordpieces())
    return WordPieceConfig(vocab=vocabulary, eos_token="[SEP]").build(DataContext())


def processors(folder: Path) -> dict[str, tuple[Processor, dict[str, Any]]]:
    """Processors with a good record for each."""
    made, two = tokenizer(folder), DataContext(streams=("a", "b"))
    pair = {"text_a": "hello", "text_b": "the cats", "label": 0}
    data = DataContext(targets=targets(cls={"num_labels": 2}))
    return {
        "mlm": (MlmProcessorConfig().build(data, made), {"text": "hello"}),
        "lm": (LmProcessorConfig().build(data, made), {"text": "hello"}),
        "cls": (ClassificationProcessorConfig().build(data, made), pair),
        "pair": (PairProcessorConfig().build(two, made), pair),
        "mt": (TranslationProcessorConfig().build(data, made), {"source": "hello", "target": "the cats"}),
        "prefixlm": (PrefixLmProcessorConfig().build(data, made), {"source": "hello", "target": "the cats"}),
        "sft": (InstructionProcessorConfig().build(data, made), {"instruction": "hello", "output": "the cats"}),
    }


NAMES = ["mlm", "lm", "cls", "pair", "mt", "prefixlm", "sft"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bad", [["a"], float("nan"), "half \ud800 a pair"])
def test_every_processor_reports_each_of_its_fields_and_keeps_the_other_records(
    tmp_path: Path, name: str, bad: Any
) -> None:
    processor, good = processors(tmp_path)[name]
    fields = [field for field in good if field != "label"]
    records = [Record(good, "a.jsonl", 1)]
    records += [Record({**good, field: bad}, "a.jsonl", n) for n, field in enumerate(fields, 2)]
    said: list[str] = []
    chunks = list(processor.prepare(records, lambda error: said.append(str(error))))
    rows = sum(len(next(iter(columns.values()))) for columns in chunks if columns)
    assert rows == 1
    assert [line.partition(": ")[0] for line in said] == [f"a.jsonl:{n}" for n, _ in enumerate(fields, 2)]
    assert all(f"'{field}'" in line for line, field in zip(said, fields, strict=True))
    for record in records[1:2]:
        with pytest.raises(DataError, match=r"a\.jsonl:2: "):
            processor.encode([record])


@pytest.mark.parametrize("name", NAMES)
def test_zero_is_a_text_and_no_blank_line(tmp_path: Path, name: str) -> None:
    processor, good = processors(tmp_path)[name]
    zeros = {field: value if field == "label" else 0 for field, value in good.items()}
    records = [Record(zeros, "a.jsonl", n) for n in (1, 2)]
    chunks = list(processor.prepare(records, lambda error: pytest.fail(str(error))))
    assert any(len(next(iter(columns.values()))) for columns in chunks if columns)


def test_zero_is_the_content_of_a_message() -> None:
    messages = [{"role": "user", "content": 0}, {"role": "assistant", "content": 1.5}]
    turns = turns_of(Record({"messages": messages}, "a.jsonl", 1))
    assert [turn.content for turn in turns] == ["0", "1.5"]


@pytest.mark.parametrize("name", ["cls", "pair", "sft"])
def test_a_record_without_fields_is_a_bad_record_and_no_blank_line(tmp_path: Path, name: str) -> None:
    processor, _ = processors(tmp_path)[name]
    said: list[str] = []
    records = [Record({"text": " "}, "a.jsonl", 1), Record({}, "a.jsonl", 2)]
    list(processor.prepare(records, lambda error: said.append(str(error))))
    assert [line.partition(": ")[0] for line in said] == ["a.jsonl:2"]


@pytest.mark.parametrize("names", [None, ["bad", "good"]])
def test_half_a_surrogate_pair_in_a_label_is_shown_as_an_escape(tmp_path: Path, names: list[str] | None) -> None:
    data = DataContext(targets=targets(cls={"num_labels": 2}))
    processor = ClassificationProcessorConfig(labels=names).build(data, tokenizer(tmp_path))
    said: list[str] = []
    record = Record({"text_a": "hello", "label": "x\ud800"}, "a\udcff.jsonl", 1)
    list(processor.prepare([record], lambda error: said.append(str(error))))
    (line,) = said
    assert line.startswith("a\\udcff.jsonl:1: ")
    assert "'x\\ud800'" in line
    (tmp_path / "said.txt").write_text(line, encoding="utf-8")  # as what was skipped is written beside the cache


@pytest.mark.parametrize("kind", ["wordpiece", "sentencepiece"])
def test_half_a_surrogate_pair_is_refused_by_every_tokenizer(tmp_path: Path, kind: str) -> None:
    made = tokenizer(tmp_path)
    if kind == "sentencepiece":
        made = SentencePieceConfig(model=sentencepiece_model(tmp_path / "m.model")).build(DataContext())
    text = json.loads('"a \\ud800 b"')
    for encode in (made.encode_batch, made.encode_flat, made.encode_masked):
        with pytest.raises(DataError, match=r"half of a surrogate pair \(U\+D800\)"):
            encode([text])
