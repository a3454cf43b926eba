"""Data that cannot be used is one message with its file and line, before a run's folder exists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.text.vocabularies import BERT, lines, tokenizer_json
from tp_core import DataError, SpecError, TPError, load_spec, train
from tp_core.data.cache.digest_cache import MEMO

WORDS = ["the", "film", "was", "good", "bad", "very", "it", "and"]
SENTENCES = "the film was good\nit was very good\n\nthe film was bad\nit was very bad\n"
LABELLED = "label\ttext_a\n1\tthe film was good\n0\tthe film was bad\n"


def write_spec(folder: Path, target: Any, processor: str, data: str, **keys: Any) -> Path:
    """A tiny model on the folder's file ``data``; ``options`` are the processor's, other keys are of ``data:``."""
    lines(folder / "vocab.txt", [*BERT, *WORDS])
    options = {"max_length": 16, **keys.pop("options", {})}
    causal = {"mask": "causal"} if target == "lm" else {}
    spec = {
        "model": {
            "hidden_size": 8,
            "embedding": ["word", "pos"],
            "encoder": {"transformer": {"num_layers": 1, "num_heads": 2, **causal}},
            "target": target,
        },
        "data": {
            "tokenizer": {"space": {"vocab": "vocab.txt", "eos_token": "[SEP]"}},
            "processor": {processor: options},
            "train": data,
            "cache": "cache",
            **keys,
        },
        "train": {"steps": 1, "batch_size": 2, "loggers": []},
    }
    path = folder / "spec.yaml"
    path.write_text(yaml.safe_dump(spec))
    return path


def refused(folder: Path, spec: Path) -> str:
    """The message that training ends with, without the folder's name; nothing may have been written."""
    before = {path for path in folder.rglob("*") if folder / "cache" not in (path, *path.parents)}
    with pytest.raises(TPError) as caught:
        train(load_spec(spec), folder / "run")
    after = {path for path in folder.rglob("*") if folder / "cache" not in (path, *path.parents)}
    assert after == before
    left = [path for path in (folder / "cache").glob("*") if path.name != MEMO]
    assert not left, "no half-written data may stay"
    return str(caught.value).replace(f"{folder}/", "")


def bert(folder: Path, corpus: bytes | str, **keys: Any) -> str:
    (folder / "corpus.txt").write_bytes(corpus if isinstance(corpus, bytes) else corpus.encode())
    return refused(folder, write_spec(folder, ["mlm", "sp"], "bert", "corpus.txt", **keys))


def classify(folder: Path, table: str, name: str = "data.tsv", **keys: Any) -> str:
    (folder / name).write_text(table)
    return refused(folder, write_spec(folder, {"cls": {"num_labels": 2}}, "cls", name, **keys))


# -- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("target", "processor"), [(["mlm", "sp"], "bert"), ("mlm", "mlm"), ("lm", "lm")])
def test_a_corpus_in_another_encoding_is_refused_with_the_line(tmp_path: Path, target: Any, processor: str) -> None:
    (tmp_path / "corpus.txt").write_bytes("the film\n\nit was good\n电影很好\n".encode("gbk"))
    said = refused(tmp_path, write_spec(tmp_path, target, processor, "corpus.txt"))
    assert said == (
        "corpus.txt:4: this line is not UTF-8 (byte 0xB5 at column 1); "
        "convert the file, for example: iconv -f GBK -t UTF-8"
    )


def test_a_corpus_in_utf_16_is_refused_with_what_it_is(tmp_path: Path) -> None:
    said = bert(tmp_path, SENTENCES.encode("utf-16"))
    assert said == "corpus.txt: this file is UTF-16; convert it: iconv -f UTF-16 -t UTF-8; expected text"


def test_a_wrong_encoding_deep_in_a_large_corpus_has_its_own_line(tmp_path: Path) -> None:
    text = (SENTENCES * 16_000).encode()
    line = text.count(b"\n") + 2
    said = bert(tmp_path, text + "\n好\n".encode("gbk"))
    assert said.startswith(f"corpus.txt:{line}: this line is not UTF-8")


@pytest.mark.parametrize("corpus", ["\n\n  \n\t\n", "\n"])
@pytest.mark.parametrize(("target", "processor"), [(["mlm", "sp"], "bert"), ("mlm", "mlm"), ("lm", "lm")])
def test_a_corpus_of_blank_lines_is_refused(tmp_path: Path, corpus: str, target: Any, processor: str) -> None:
    (tmp_path / "corpus.txt").write_text(corpus)
    said = refused(tmp_path, write_spec(tmp_path, target, processor, "corpus.txt"))
    assert said == "corpus.txt: there is no record that the processor can use"


def test_next_sentences_of_a_single_document_are_refused_with_what_to_do(tmp_path: Path) -> None:
    assert bert(tmp_path, "the film was good\nit was bad\n") == (
        "corpus.txt:2: next-sentence prediction draws from other documents, and the corpus holds only one; put a "
        "blank line between documents, or use sentence_task: order"
    )


def test_an_eval_file_is_looked_at_before_training_too(tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text(SENTENCES)
    (tmp_path / "held_out.txt").write_bytes(b"the film\n\n\xff\n")
    spec = write_spec(tmp_path, ["mlm", "sp"], "bert", "corpus.txt", eval="held_out.txt")
    with pytest.raises(DataError, match=r"held_out.txt:3: this line is not UTF-8"):
        train(load_spec(spec), tmp_path / "run")
    assert not (tmp_path / "run").exists()


# -- labels ----------------------------------------------------------------------------------------------------------


def test_a_label_that_is_no_number_is_refused_with_its_line(tmp_path: Path) -> None:
    assert classify(tmp_path, LABELLED + "good\tit was good\n") == (
        "data.tsv:4: the label 'good' is no integer; expected an integer from 0 to 1, or list the names in "
        "data.processor.cls.labels"
    )


@pytest.mark.parametrize("label", ["2", "-1", "99999999999999999999"])
def test_a_label_out_of_range_is_refused_with_its_line(tmp_path: Path, label: str) -> None:
    said = classify(tmp_path, LABELLED + f"{label}\tit was good\n")
    assert said == f"data.tsv:4: the label {label} is out of range; expected an integer from 0 to 1"


@pytest.mark.parametrize("label", ["1.5", "", "nan", "0x1", "1e0"])
def test_a_label_that_is_no_whole_number_is_refused(tmp_path: Path, label: str) -> None:
    assert classify(tmp_path, LABELLED + f"{label}\tit was good\n").startswith("data.tsv:4: ")


@pytest.mark.parametrize("label", ["true", "1.5", "[1]", "null", '{"a": 1}'])
def test_a_label_of_another_json_type_is_refused_with_its_line(tmp_path: Path, label: str) -> None:
    table = f'{{"text": "the film", "label": 1}}\n{{"text": "it was", "label": {label}}}\n'
    assert classify(tmp_path, table, "data.jsonl").startswith("data.jsonl:2: ")


def test_an_unknown_label_name_is_refused_with_the_nearest(tmp_path: Path) -> None:
    table = "label\ttext_a\npositive\tthe film was good\nnegativ\tthe film was bad\n"
    said = classify(tmp_path, table, options={"labels": ["negative", "positive"]})
    assert said == "data.tsv:3: unknown label 'negativ'; did you mean 'negative'?"


def test_an_unknown_label_name_like_no_other_is_refused_with_all_names(tmp_path: Path) -> None:
    table = "label\ttext_a\n7\tthe film was good\n"
    said = classify(tmp_path, table, options={"labels": ["negative", "positive"]})
    assert said == (
        "data.tsv:2: unknown label '7'; the labels are negative, positive; "
        "{7: NAME, ...} in data.processor.cls.labels names integers"
    )


# -- columns ---------------------------------------------------------------------------------------------------------


def test_a_table_without_a_label_column_is_refused_with_its_columns(tmp_path: Path) -> None:
    said = classify(tmp_path, "class\ttext_a\n1\tthe film\n")
    assert said == "data.tsv:2: no field 'label'; the fields are class, text_a (data.columns renames them)"


def test_a_table_without_a_text_column_is_refused_with_its_columns(tmp_path: Path) -> None:
    said = classify(tmp_path, "label\tsentence\n1\tthe film\n")
    assert said == (
        "data.tsv:2: no field 'text_a' or 'text'; the fields are label, sentence (data.columns renames them)"
    )


def test_a_column_that_the_file_lacks_is_refused_with_the_nearest(tmp_path: Path) -> None:
    said = classify(tmp_path, "label\tsentence\n1\tthe film\n", columns={"text": "sentense"})
    assert said == "data.tsv:1: there is no column 'sentense'; did you mean 'sentence'? (columns: label, sentence)"


def test_a_row_with_too_few_cells_is_refused_with_its_line(tmp_path: Path) -> None:
    said = classify(tmp_path, LABELLED + "1 the film was good\n")
    assert said == "data.tsv:4: expected 2 columns (label, text_a), found 1"


def test_a_row_with_an_empty_text_is_refused_with_its_line(tmp_path: Path) -> None:
    assert classify(tmp_path, LABELLED + "1\t  \n") == "data.tsv:4: the text is empty"


def test_a_table_without_a_header_is_refused(tmp_path: Path) -> None:
    assert "data.tsv:2: no field 'text_a' or 'text'" in classify(tmp_path, "1\tthe film\n0\tit was bad\n")


def test_json_lines_that_are_none_are_refused_with_line_and_column(tmp_path: Path) -> None:
    said = classify(tmp_path, '{"text": "the film", "label": 1}\n{"text": "it", label: 0}\n', "data.jsonl")
    assert said.startswith("data.jsonl:2: not valid JSON: ")


# -- skipping --------------------------------------------------------------------------------------------------------


def test_skipped_records_are_counted_and_named_and_the_others_train(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = LABELLED + "good\tit was good\n5\tit was bad\n1\t\nno cells\n1\tthe film\n"
    (tmp_path / "data.tsv").write_text(table)
    spec = write_spec(tmp_path, {"cls": {"num_labels": 2}}, "cls", "data.tsv", on_bad_record="skip")
    result = train(load_spec(spec), tmp_path / "run")
    assert result.step == 1
    said = capsys.readouterr().err.replace(f"{tmp_path}/", "")
    assert "4 bad records were skipped:\n" in said
    for place in (
        "  data.tsv:4: the label 'good' is no integer",
        "  data.tsv:5: the label 5 is out of range",
        "  data.tsv:6: the text is empty",
        "  data.tsv:7: expected 2 columns",
    ):
        assert place in said
    assert "prepared 3 instances" in said


def test_lines_in_a_wrong_encoding_can_be_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "corpus.txt").write_bytes(SENTENCES.encode() + "电影很好\n".encode("gbk") + b"it was good\n")
    spec = write_spec(tmp_path, ["mlm", "sp"], "bert", "corpus.txt", on_bad_record="skip")
    assert train(load_spec(spec), tmp_path / "run").step == 1
    assert "1 bad record was skipped:\n  " in capsys.readouterr().err


def test_data_of_which_every_record_is_skipped_is_refused(tmp_path: Path) -> None:
    said = classify(tmp_path, "label\ttext_a\nx\tthe film\n", on_bad_record="skip")
    assert said == "data.tsv: there is no record that the processor can use"


# -- tokenizers ------------------------------------------------------------------------------------------------------


def test_whole_words_are_refused_where_the_tokenizer_cannot_tell_them(tmp_path: Path) -> None:
    vocabulary = {token: number for number, token in enumerate([*BERT, *WORDS])}
    model = {"type": "WordLevel", "unk_token": "[UNK]", "vocab": vocabulary}
    tokenizer_json(tmp_path, model=model, decoder=None, post_processor=None)
    (tmp_path / "corpus.txt").write_text(SENTENCES)
    path = write_spec(tmp_path, "mlm", "mlm", "corpus.txt", options={"whole_word": True})
    spec = yaml.safe_load(path.read_text())
    spec["data"]["tokenizer"] = {"huggingface": {"path": "tokenizer.json"}}
    path.write_text(yaml.safe_dump(spec))
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    (problem,) = caught.value.problems
    assert problem.path == "data.processor.mlm.whole_word"
    assert problem.message == "the vocabulary of the tokenizer does not say where words begin"
