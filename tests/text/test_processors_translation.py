"""Translations, from records with two sides and from parallel files."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
import yaml

import tp_core
from tests.text.corpora import CLS, EOS, FIRST, PAD, SEP, draw, numbers, processor, records, refuse, rows_of
from tests.text.vocabularies import BERT, lines
from tp_core.data.cache.prepared import prepared_rows
from tp_core.data.sources.records import read_records
from tp_core.errors import DataError, TPError
from tp_core.interfaces import IGNORE, GenerationTokens
from tp_core.interfaces.tokenizer import Tokenizer
from tp_core.options.context import BuildContext, DataContext
from tp_core.spec.load import load_spec
from tp_text.processors.translation_options import TranslationProcessorConfig
from tp_text.tokenizers.line_vocabulary_options import SpaceConfig

SIDES = {"source_extension": "en", "target_extension": "de"}


def letters(folder: Path, *special: str) -> Tokenizer:
    """The other language: ``a`` ... ``z``."""
    path = lines(folder / "target.txt", [*special, "<unk>", *"abcdefghijklmnopqrstuvwxyz"])
    return SpaceConfig(
        vocab=path, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="<pad>", cls_token="<c>"
    ).build(DataContext())


def two_tokenizers(folder: Path, **options: Any) -> Any:
    data = DataContext(target_tokenizer=letters(folder, "<pad>", "<s>", "</s>"))
    return processor(folder, "mt", data, **options)


def test_each_side_has_its_tokenizer_and_the_target_is_framed_by_its_special_tokens(tmp_path: Path) -> None:
    made = two_tokenizers(tmp_path, max_length=8, target_max_length=4)
    given = records([{"source": "w1 w2", "target": "a b"}, {"text_a": " ".join(["w3"] * 9), "text_b": "a b c d e f"}])
    rows = rows_of(tmp_path, made, given)
    batch = made.collate([draw(made, rows, n) for n in range(2)])
    assert batch.inputs["input_ids"].tolist() == [[CLS, 7, 8, SEP, *[PAD] * 4], [CLS, *[9] * 6, SEP]]
    assert batch.target["input_ids"].tolist() == [[1, 4, 5, 0], [1, 4, 5, 6]]
    assert batch.labels["lm"]["labels"].tolist() == [[4, 5, 2, IGNORE], [4, 5, 6, 2]]
    assert batch.target["attention_mask"].tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
    kept = [i for i in batch.labels["lm"]["labels"][0].tolist() if i != IGNORE]
    assert made.decode(kept) == "a b"
    assert made.generation() == GenerationTokens((1,), (2,), 0)
    described = made.describe([{"next": [{"id": 4, "probability": 0.5}]}])
    assert described == [{"next": [{"token": "a", "probability": 0.5}]}]


def test_one_tokenizer_serves_both_sides_where_there_is_one(tmp_path: Path) -> None:
    made = processor(tmp_path, "mt", max_length=8)
    rows = rows_of(tmp_path, made, records([{"source": "w1", "target": "w2"}]))
    batch = made.collate([draw(made, rows, 0)])
    assert batch.target is not None
    assert batch.target["input_ids"][0, :2].tolist() == [CLS, FIRST + 2]
    assert batch.labels["lm"]["labels"][0, :2].tolist() == [FIRST + 2, EOS]


@pytest.mark.parametrize(("start", "first"), [("pad", PAD), ("eos", EOS), ("sep", SEP), (None, CLS)])
def test_the_start_token_is_chosen_by_role(tmp_path: Path, start: Any, first: int) -> None:
    made = processor(tmp_path, "mt", max_length=8, start=start, end="sep")
    rows = rows_of(tmp_path, made, records([{"source": "w1", "target": "w2"}]))
    batch = made.collate([draw(made, rows, 0)])
    assert batch.target is not None
    assert batch.target["input_ids"][0, 0] == first
    assert batch.labels["lm"]["labels"][0, 1] == SEP


def test_a_start_token_that_the_target_vocabulary_lacks_is_named(tmp_path: Path) -> None:
    data = DataContext(target_tokenizer=letters(tmp_path, "<pad>", "</s>"))
    with pytest.raises(
        TPError, match="no token for 'start': expected bos or cls; its special tokens are pad, unk, eos"
    ):
        processor(tmp_path, "mt", data)
    facts = letters(tmp_path, "<pad>", "</s>").facts()
    (problem,) = TranslationProcessorConfig().check_target_tokenizer(facts)
    assert problem.option == "start"
    assert not list(TranslationProcessorConfig(start="pad").check_target_tokenizer(facts))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"source": "w1"}, "no field 'target' or 'text_b'; the fields are source (data.columns renames them)"),
        ({"target": "w1"}, "no field 'source' or 'text_a'; the fields are target"),
        ({"source": " ", "target": "w1"}, "the source is empty"),
        ({"source": "w1", "target": ""}, "the target is empty"),
        ("w1", "plain text has no translations; give source_extension and target_extension"),
    ],
)
def test_a_record_without_two_sides_is_reported_and_the_others_are_kept(
    tmp_path: Path, value: Any, message: str
) -> None:
    made = processor(tmp_path, "mt")
    reported: list[DataError] = []
    pair = {"source": "w1", "target": "w2"}
    (columns,) = made.prepare(iter(records([pair, value, pair, {"source": "", "target": " "}])), reported.append)
    assert len(columns["source"]) == 2
    (error,) = reported
    assert str(error).startswith(f"corpus.txt:2: {message}")


# -- parallel files ----------------------------------------------------------------------------------------------------


def write(folder: Path, name: str, texts: list[str]) -> str:
    content = "".join(f"{text}\n" for text in texts).encode()
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return str(path)


def sides(folder: Path, *paths: str, report: Any = refuse) -> list[tuple[list[int], list[int]]]:
    made = processor(folder, "mt", **SIDES)
    rows = [chunk for chunk in made.prepare(read_records(list(paths)), report) if chunk]
    return [pair for chunk in rows for pair in zip(chunk["source"], chunk["target"])]


@pytest.mark.parametrize("names", [("a.en", "a.de"), ("a.en.gz", "a.de"), ("a.en", "a.de.gz")])
def test_lines_of_the_same_number_are_pairs(tmp_path: Path, names: tuple[str, str]) -> None:
    first = write(tmp_path, names[0], ["w1 w2", "", "w3"])
    write(tmp_path, names[1], ["w4", "", "w5 w6"])
    other = write(tmp_path, "b.en", ["w7"])
    write(tmp_path, "b.de", ["w8"])
    found = sides(tmp_path, first, other)
    assert found == [
        (numbers("w1 w2"), numbers("w4")),
        (numbers("w3"), numbers("w5 w6")),
        (numbers("w7"), numbers("w8")),
    ]


def test_a_folder_may_hold_both_sides(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name, text in {"a.en.txt": "w1", "a.de.txt": "w2", "b.de.txt": "w4", "b.en.txt": "w3"}.items():
        write(tmp_path / "data", name, [text])
    made = processor(tmp_path, "mt", source_extension="en.txt", target_extension="de.txt")
    (columns,) = made.prepare(read_records([str(tmp_path / "data")]), refuse)
    assert (columns["source"], columns["target"]) == ([[7], [9]], [[8], [10]])


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (["w1"] * 5, ["w1"] * 3, "a.en:4: this line has no counterpart: {}/a.de has 3 lines"),
        (["w1"], ["w1"] * 3, "a.de:2: this line has no counterpart: {}/a.en has 1 line"),
        (["w1"], [], "a.en:1: this line has no counterpart: {}/a.de has no lines"),
        (["w1", " ", "w2"], ["w1", "w2", "w3"], "a.en:2: the source is empty"),
        (["w1", "w2", "w3"], ["w1", "w2", ""], "a.en:3: the target is empty"),
    ],
)
def test_unequal_sides_are_refused_with_the_line(
    tmp_path: Path, source: list[str], target: list[str], message: str
) -> None:
    path = write(tmp_path, "a.en", source)
    write(tmp_path, "a.de", target)
    with pytest.raises(DataError) as caught:
        sides(tmp_path, path)
    assert str(caught.value) == f"{tmp_path}/{message.format(tmp_path)}"


def test_unequal_sides_are_refused_even_where_bad_records_are_skipped(tmp_path: Path) -> None:
    path = write(tmp_path, "a.en", ["w1", "w2"])
    write(tmp_path, "a.de", ["w1", "w2", "w3"])
    other = write(tmp_path, "b.en", ["w1"])
    write(tmp_path, "b.de", ["w1"])
    with pytest.raises(DataError, match=r"a\.de:3: this line has no counterpart"):
        sides(tmp_path, path, other, report=lambda error: None)


def test_a_line_of_the_other_side_that_is_no_text_is_reported_and_the_rest_stays_in_step(tmp_path: Path) -> None:
    path = write(tmp_path, "a.en", ["w1", "w2", "w3"])
    (tmp_path / "a.de").write_bytes(b"w4\n\xff\xff\nw6\n")
    reported: list[DataError] = []
    assert sides(tmp_path, path, report=reported.append) == [([7], [10]), ([9], [12])]
    (error,) = reported
    assert "a.de:2: this line is not UTF-8" in str(error)


def test_a_missing_side_and_another_extension_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, "a.en", ["w1"])
    write(tmp_path, "aa.de", ["w1"])
    with pytest.raises(
        DataError, match=r"a\.de: there is no such file; expected the other side of .*a\.en; did you mean 'aa\.de'"
    ):
        sides(tmp_path, path)
    with pytest.raises(DataError, match=r"a\.fr: expected a name that ends in \.en, as source_extension says"):
        sides(tmp_path, write(tmp_path, "a.fr", ["w1"]))


def test_records_of_two_sides_need_no_partner_file(tmp_path: Path) -> None:
    (tmp_path / "held_out.tsv").write_text("source\ttarget\nw1\tw2\n")
    assert sides(tmp_path, str(tmp_path / "held_out.tsv")) == [([7], [8])]


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"source_extension": "en"}, "target_extension"),
        ({"target_extension": "en"}, "source_extension"),
        ({"source_extension": "en", "target_extension": "en"}, "target_extension"),
    ],
)
def test_the_two_extensions_are_given_together_and_differ(options: dict[str, str], option: str) -> None:
    (problem,) = TranslationProcessorConfig(**options).check(BuildContext())
    assert problem.option == option


def test_another_content_of_the_other_side_is_prepared_anew(tmp_path: Path) -> None:
    lines(tmp_path / "vocab.txt", [*BERT, "a", "b"])
    stack = {"transformer": {"num_layers": 1, "num_heads": 2}}
    spec = {
        "model": {
            "hidden_size": 8,
            "embedding": "word",
            "encoder": stack,
            "target_embedding": "word",
            "decoder": stack,
        },
        "data": {
            "tokenizer": {"space": {"vocab": "vocab.txt"}},
            "processor": {"mt": {"max_length": 8, **SIDES}},
            "train": "x.en",
            "cache": "cache",
        },
    }
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec))
    write(tmp_path, "x.en", ["a"])
    found = []
    for target in ("a", "b", "a"):
        write(tmp_path, "x.de", [target])
        loaded = load_spec(tmp_path / "spec.yaml")
        made = loaded.data.processor.config.build(DataContext(), tokenizer_of(loaded))
        rows = prepared_rows(loaded, made, loaded.data.options.train)
        found.append((rows.path, rows.get("target", 0).tolist()))
    assert [target for _, target in found] == [[5], [6], [5]]
    assert found[0][0] == found[2][0] != found[1][0]


def tokenizer_of(spec: Any) -> Tokenizer:
    made: Tokenizer = spec.data.tokenizer.config.build(DataContext())
    return made


def test_the_source_alone_is_read_at_inference(tmp_path: Path) -> None:
    made = two_tokenizers(tmp_path, max_length=8)
    given = [{"source": "w1", "target": "a"}, {"text_a": "w2"}, "w3", ""]
    batch = made.collate(made.encode(records(given)))
    assert batch.inputs["input_ids"][:, :3].tolist() == [[CLS, 7, SEP], [CLS, 8, SEP], [CLS, 9, SEP], [CLS, SEP, PAD]]
    assert batch.target["input_ids"].tolist() == [[1]] * 4
    with pytest.raises(DataError, match="no field 'source', 'text_a' or 'text'; the fields are target"):
        made.encode(records([{"target": "a"}]))


def test_a_model_with_two_tokenizers_is_whole_when_it_is_moved_away_from_their_files(tmp_path: Path) -> None:
    lines(tmp_path / "words.txt", [*BERT, "[EOS]", "a", "b"])
    lines(tmp_path / "letters.txt", ["<pad>", "<s>", "</s>", "<unk>", "x", "y"])
    stack = {"transformer": {"num_layers": 1, "num_heads": 2}}
    sides = {"embedding": "word", "encoder": stack, "target_embedding": "word", "decoder": stack, "target": "lm"}
    marks = {"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "cls_token": None}
    data = {
        "tokenizer": {"space": {"vocab": "words.txt", "eos_token": "[EOS]"}},
        "target_tokenizer": {"char": {"vocab": "letters.txt", **marks, "sep_token": None, "mask_token": None}},
        "processor": {"mt": {"max_length": 8}},
        "train": "pairs.tsv",
        "cache": "cache",
    }
    train = {"steps": 1, "batch_size": 2, "loggers": [], "device": "cpu"}
    (tmp_path / "spec.yaml").write_text(
        yaml.safe_dump({"model": {"hidden_size": 8, **sides}, "data": data, "train": train})
    )
    lines(tmp_path / "pairs.tsv", ["source\ttarget", "a b\txy", "b\ty"])
    model = tp_core.train(load_spec(tmp_path / "spec.yaml"), tmp_path / "run").model
    assert model is not None
    moved = model.rename(tmp_path / "moved")
    for name in ("words.txt", "letters.txt"):
        (tmp_path / name).unlink()
    (text,) = tp_core.generate(moved, ["a b"], max_new_tokens=3, device="cpu")
    assert set(text["text"].replace("<unk>", "")) <= {"x", "y"}
