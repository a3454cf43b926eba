"""Files and pipes that ``tp predict``, ``generate``, ``embed`` and ``evaluate`` read and write."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

import tp_core
from tests.core import runs
from tp_core.cli.main import cli

LINES = ["ba be bi", "", "fa", "  ", "no na"]


def tp(*args: object) -> Result:
    return CliRunner().invoke(cli, [str(arg) for arg in args], prog_name="tp")


def done(*args: object) -> Result:
    result = tp(*args)
    assert result.exit_code == 0, result.output
    return result


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models that were trained for two steps: ``classifier``, which skips bad records, and ``writer``."""
    folder = tmp_path_factory.mktemp("home")
    runs.write_corpus(folder / "corpus.txt", 10)
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in [*runs.SPECIAL, "[EOS]", *runs.WORDS]))
    lines = [line for line in (folder / "corpus.txt").read_text().splitlines() if line]
    rows = "".join(f"{'good' if number % 3 else 'bad'}\t{line}\n" for number, line in enumerate(lines))
    (folder / "labelled.tsv").write_text(f"label\ttext\n{rows}")
    body = {"hidden_size": 16, "embedding": ["word", {"pos": {"max_length": 32}}]}
    small = {"num_layers": 1, "num_heads": 2}
    data: dict[str, Any] = {
        "tokenizer": {"space": {"vocab": "vocab.txt", "eos_token": "[EOS]"}},
        "cache": str(folder / "cache"),
        "on_bad_record": "skip",
    }
    train = {"steps": 2, "batch_size": 8, "loggers": []}
    for name, model, own in (
        (
            "classifier",
            {"encoder": {"transformer": small}, "target": {"cls": {"num_labels": 2}}},
            {"processor": {"cls": {"labels": ["bad", "good"], "max_length": 32}}, "train": "labelled.tsv"},
        ),
        (
            "writer",
            {"encoder": {"transformer": {**small, "mask": "causal"}}, "target": "lm"},
            {"processor": {"lm": {"max_length": 32}}, "train": "corpus.txt"},
        ),
    ):
        spec = folder / f"{name}.yaml"
        spec.write_text(json.dumps({"model": {**body, **model}, "data": {**data, **own}, "train": train}))
        done("train", spec, "--run", folder / name)
    (folder / "lines.txt").write_text("".join(f"{line}\n" for line in LINES))
    (folder / "rows.tsv").write_text("id\ttext\n" + "".join(f"n{i}\t{line}\n" for i, line in enumerate(LINES)))
    return folder


# -- what is read ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["predict classifier", "generate writer", "embed classifier"])
def test_each_line_of_a_plain_text_has_a_row_with_its_number_blank_or_not(home: Path, command: str) -> None:
    name, model = command.split()
    found = objects(done(name, home / model, "--input", home / "lines.txt").stdout)
    assert [row["row"] for row in found] == [1, 2, 3, 4, 5]


def test_rows_are_those_of_python_in_the_order_of_the_lines(home: Path) -> None:
    found = objects(done("predict", home / "classifier", "--input", home / "lines.txt").stdout)
    expected = list(tp_core.predict(home / "classifier", LINES))
    assert [each["label"] for each in found] == [each["label"] for each in expected]
    for one, other in zip(found, expected):
        assert one["probabilities"] == pytest.approx(other["probabilities"])


def test_several_inputs_and_patterns_are_read_one_after_the_other(home: Path, tmp_path: Path) -> None:
    for name, text in (("b.txt", "ba\nbe\n"), ("a.txt", "fa\n"), ("c.jsonl", '{"text": "no"}\n')):
        (tmp_path / name).write_text(text)
    inputs = ["--input", tmp_path / "*.txt", "--input", tmp_path / "c.jsonl"]
    found = objects(done("predict", home / "classifier", *inputs, "--keep", "text").stdout)
    assert [(row["row"], row["input_text"]) for row in found] == [(1, "fa"), (2, "ba"), (3, "be"), (4, "no")]


def test_texts_on_the_command_line_are_records(home: Path) -> None:
    found = objects(done("predict", home / "classifier", "--text", "ba be", "--text", "").stdout)
    assert [row["row"] for row in found] == [1, 2]
    for arguments, message in (
        ([], "give --input, or --text"),
        (["--text", "ba", "--input", home / "lines.txt"], "give either --input or --text"),
        (["--text", "ba", "--input-form", "tsv"], "--input-form belongs to --input"),
        (["--input", home / "line.txt"], "there is no such file; did you mean 'lines.txt'?"),
        (["--input", home / "*.nothing"], "there is no such file"),
    ):
        result = tp("predict", home / "classifier", *arguments)
        assert (result.exit_code, result.output.count("error: ")) == (2, 1)
        assert message in result.output


@contextlib.contextmanager
def standard_input(content: bytes) -> Iterator[None]:
    """A context in which the standard input is a pipe with this content."""
    reader, writer = os.pipe()
    before = os.dup(0)
    os.dup2(reader, 0)
    os.write(writer, content)
    os.close(writer)
    try:
        yield
    finally:
        os.dup2(before, 0)
        for each in (reader, before):
            os.close(each)


@pytest.mark.parametrize(
    ("form", "given"),
    [
        ("txt", "".join(f"{line}\n" for line in LINES)),
        ("jsonl", "".join(json.dumps({"text": line}) + "\n" for line in LINES)),
        ("tsv", "".join(f"{line}\n" for line in ["text\tx", *(f"{line}\t0" for line in LINES)])),
        ("csv", "text\n" + "".join(f'"{line}"\n' for line in LINES)),
    ],
)
def test_records_come_through_the_standard_input(home: Path, form: str, given: str) -> None:
    options = [] if form == "txt" else ["--input-form", form]
    with standard_input(given.encode()):
        found = objects(done("predict", home / "classifier", "--input", "-", "--keep", "text", *options).stdout)
    assert [row["row"] for row in found] == [1, 2, 3, 4, 5]
    assert [row["input_text"] for row in found] == LINES


def test_a_pipe_is_embedded_with_its_fields(home: Path, tmp_path: Path) -> None:
    table = tmp_path / "out.parquet"
    with standard_input(b"".join(f"{line}\n".encode() for line in LINES)):
        done("embed", home / "classifier", "--input", "-", "--output", table)
    assert pq.read_table(table)["text"].to_pylist() == LINES


@pytest.mark.slow
def test_a_command_stands_between_two_pipes(home: Path) -> None:
    command = [sys.executable, "-m", "tp_core", "predict", "classifier", "--input", "-"]
    given = "".join(f"{line}\n" for line in LINES)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, input=given, capture_output=True, text=True, check=False, cwd=home, env=environment)
    assert ended.returncode == 0, ended.stderr
    assert [row["row"] for row in objects(ended.stdout)] == [1, 2, 3, 4, 5]
    assert "5 predictions in standard output" in ended.stderr


def test_an_evaluation_of_several_files_is_that_of_all_their_records(home: Path, tmp_path: Path) -> None:
    head, *rows = (home / "labelled.tsv").read_text().splitlines()
    (tmp_path / "a.tsv").write_text("\n".join([head, *rows[:7]]) + "\n")
    (tmp_path / "b.tsv").write_text("\n".join([head, *rows[7:]]) + "\n")
    evaluate = ["evaluate", home / "classifier", "--json", "--data"]
    expected = json.loads(done(*evaluate, home / "labelled.tsv").stdout)
    both = json.loads(done(*evaluate, tmp_path / "a.tsv", "--data", tmp_path / "b.tsv").stdout)
    pattern = json.loads(done(*evaluate, tmp_path / "[ab].tsv").stdout)
    for found in (both, pattern):
        assert found == pytest.approx(expected, rel=1e-6)
    assert json.loads(done(*evaluate, tmp_path / "a.tsv").stdout) != pytest.approx(expected, rel=1e-6)


def test_an_evaluation_reads_a_pipe(home: Path) -> None:
    with standard_input((home / "labelled.tsv").read_bytes()):
        said = done("evaluate", home / "classifier", "--json", "--data", "-", "--input-form", "tsv").stdout
    expected = json.loads(done("evaluate", home / "classifier", "--json", "--data", home / "labelled.tsv").stdout)
    assert json.loads(said) == pytest.approx(expected, rel=1e-6)


# -- what is written ---------------------------------------------------------------------------------------------------


def read_rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix.lower() == ".parquet":
        found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return found
    text = path.read_text()
    if path.suffix == ".jsonl":
        return objects(text)
    return list(csv.DictReader(io.StringIO(text), delimiter="\t" if path.suffix == ".tsv" else ","))


@pytest.mark.parametrize("ending", [".jsonl", ".tsv", ".csv", ".parquet", ".PARQUET"])
def test_the_ending_says_the_form(home: Path, tmp_path: Path, ending: str) -> None:
    output = tmp_path / f"out{ending}"
    done("predict", home / "classifier", "--input", home / "rows.tsv", "--output", output, "--keep", "id")
    found = read_rows(output)
    assert [int(row["row"]) for row in found] == [1, 2, 3, 4, 5]
    assert [row["input_id"] for row in found] == ["n0", "n1", "n2", "n3", "n4"]
    assert {row["label"] for row in found} <= {"good", "bad"}
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.parametrize("command", ["predict classifier", "generate writer", "embed classifier"])
@pytest.mark.parametrize("name", ["out.xlsx", "out", "out.json", "out.jsonl.gz"])
def test_a_form_that_is_not_written_is_refused_before_anything_else(
    home: Path, tmp_path: Path, command: str, name: str
) -> None:
    called, model = command.split()
    result = tp(called, home / model, "--input", home / "lines.txt", "--output", tmp_path / name)
    assert result.exit_code == 2
    assert f"--output {tmp_path / name}: expected a name that ends in" in result.output
    assert not list(tmp_path.iterdir())


def test_a_form_that_a_command_does_not_write_is_none_of_its_options(home: Path) -> None:
    result = tp("predict", home / "classifier", "--text", "ba", "--output-form", "txt")
    assert result.exit_code == 2
    assert "'txt' is not one of 'jsonl', 'tsv', 'csv', 'parquet'" in result.output


def test_json_lines_have_null_where_a_number_is_not_finite(home: Path, tmp_path: Path) -> None:
    table = pa.table({"text": ["ba", "be"], "score": [float("nan"), 1.5], "parts": [[float("inf")], [2.0]]})
    pq.write_table(table, tmp_path / "in.parquet")
    keep = ["--keep", "score", "--keep", "parts"]
    result = done("predict", home / "classifier", "--input", tmp_path / "in.parquet", *keep)

    def refused(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    found = [json.loads(line, parse_constant=refused) for line in result.stdout.splitlines()]
    assert [(row["input_score"], row["input_parts"]) for row in found] == [(None, [None]), (1.5, [2.0])]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--text", "ba", "--column", "text=review"], "--column belongs to --input"),
        (["--input", "lines.txt", "--column", "=review"], "--column =review: expected FIELD=COLUMN"),
        (["--input", "lines.txt", "--column", "text="], "--column text=: expected FIELD=COLUMN"),
        (["--input", "lines.txt", "--column", "text=a", "--column", "text=b"], "from the column 'a' already"),
        (["--input", "-", "--input", "-"], "the standard input can be read once"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], said: str
) -> None:
    monkeypatch.chdir(home)
    for command in ("predict classifier", "generate writer", "embed classifier"):
        result = tp(*command.split(), *options)
        assert result.exit_code == 2
        assert said in result.output


def test_a_csv_keeps_line_ends_and_quotes_and_a_tsv_has_none(home: Path, tmp_path: Path) -> None:
    text = 'ba "be",\tbi\nno'
    (tmp_path / "in.jsonl").write_text(json.dumps({"text": text}) + "\n")
    for ending, expected in (("csv", text), ("tsv", 'ba "be", bi no')):
        output = tmp_path / f"out.{ending}"
        done("predict", home / "classifier", "--input", tmp_path / "in.jsonl", "--keep", "text", "--output", output)
        (row,) = (
            read_rows(output)
            if ending == "csv"
            else [dict(zip(*(line.split("\t") for line in output.read_text().splitlines())))]
        )
        assert row["input_text"] == expected


def test_records_that_cannot_be_read_have_rows_with_their_errors(home: Path, tmp_path: Path) -> None:
    (tmp_path / "in.tsv").write_bytes(b"text\tid\nba\t1\nbe\t2\tthree\nb\xff\t3\nbi\t4\n")
    for ending in ("jsonl", "tsv", "parquet"):
        output = tmp_path / f"out.{ending}"
        said = done("predict", home / "classifier", "--input", tmp_path / "in.tsv", "--keep", "id", "--output", output)
        assert "2 of 4 records could not be used" in said.output
        found = read_rows(output)
        assert [int(row["row"]) for row in found] == [1, 2, 3, 4]
        assert [bool(row.get("error")) for row in found] == [False, True, True, False]
        assert "in.tsv:3: expected 2 columns" in found[1]["error"]
        assert [found[0]["input_id"], found[3]["input_id"]] == ["1", "4"]


def test_a_field_to_keep_that_no_record_has_is_told_before_the_computing(home: Path, tmp_path: Path) -> None:
    arguments = ["--input", home / "rows.tsv", "--output", tmp_path / "out.jsonl", "--keep", "txt"]
    result = tp("predict", home / "classifier", *arguments)
    assert result.exit_code == 2
    assert "--keep txt: the records have no such field; did you mean 'text'?" in result.output
    assert not list(tmp_path.iterdir())


def test_a_link_is_written_through(home: Path, tmp_path: Path) -> None:
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "real.jsonl")  # which is not there yet
    done("predict", home / "classifier", "--input", home / "lines.txt", "--output", tmp_path / "link.jsonl")
    assert (tmp_path / "link.jsonl").is_symlink()
    assert len(objects((tmp_path / "real.jsonl").read_text())) == 5


@pytest.mark.parametrize("name", ["pipe", "link.tsv"])
def test_a_named_pipe_and_a_link_to_one_are_written_to(home: Path, tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link.tsv").symlink_to(tmp_path / "pipe")
    with subprocess.Popen(["cat", str(tmp_path / "pipe")], stdout=subprocess.PIPE, text=True) as reader:
        done("predict", home / "classifier", "--input", home / "lines.txt", "--output", tmp_path / name)
        said = reader.communicate(timeout=60)[0]
    assert len(said.splitlines()) == (6 if name == "link.tsv" else 5)
    assert not (tmp_path / "pipe").is_file()


def test_a_parquet_file_has_the_types_of_all_rows_and_none_when_there_are_none(home: Path, tmp_path: Path) -> None:
    """The first 4,096 rows, of which one row group is made, have whole numbers where a later one has a fraction."""
    rows = [{"text": "ba", "score": 1} for _ in range(4096)] + [{"text": "be", "score": 0.5, "extra": {"a": [1]}}]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    keep = ["--keep", "score", "--keep", "extra", "--batch-size", "512"]
    output = tmp_path / "out.parquet"
    with pytest.raises(AssertionError, match="no such field"):  # in the first thousand
        done("predict", home / "classifier", "--input", tmp_path / "in.jsonl", "--output", output, *keep)
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [{**rows[0], "extra": None}, *rows]))
    done("predict", home / "classifier", "--input", tmp_path / "in.jsonl", "--output", output, *keep)
    found = pq.read_table(output).to_pylist()
    assert [row["input_score"] for row in found] == [*[1.0] * 4097, 0.5]
    assert (found[0]["input_extra"], found[-1]["input_extra"]) == (None, {"a": [1]})
    (tmp_path / "none.tsv").write_text("text\n")
    done("predict", home / "classifier", "--input", tmp_path / "none.tsv", "--output", output, "--overwrite")
    assert pq.read_table(output).num_rows == 0


def test_texts_have_a_line_each_and_tables_a_row(home: Path, tmp_path: Path) -> None:
    write = ["generate", home / "writer", "--input", home / "lines.txt", "--max-new-tokens", "3", "--output"]
    done(*write, tmp_path / "out.txt")
    done(*write, tmp_path / "out.csv")
    lines = (tmp_path / "out.txt").read_text().split("\n")
    assert len(lines) == 6
    table = read_rows(tmp_path / "out.csv")
    assert [row["text"] for row in table] == lines[:5]
    assert {row["finished"] for row in table} <= {"true", "false"}


def test_vectors_are_the_same_in_every_form(home: Path, tmp_path: Path) -> None:
    embed = ["embed", home / "classifier", "--input", home / "lines.txt", "--output"]
    done(*embed, tmp_path / "out.npy")
    done(*embed, tmp_path / "out.parquet")
    expected = np.load(tmp_path / "out.npy")
    rows = objects(done(*embed, "-").stdout)
    assert np.array_equal(np.array([row["embedding"] for row in rows], np.float32), expected)
    assert np.array_equal(np.stack(pq.read_table(tmp_path / "out.parquet")["embedding"].to_pylist()), expected)


def test_an_output_that_cannot_be_written_is_told_before_the_model_is_loaded(home: Path, tmp_path: Path) -> None:
    for output, message in (
        (tmp_path / ("a" * 260 + ".jsonl"), "cannot be written: File name too long"),
        (tmp_path / "no" / "out.jsonl", "there is no such folder"),
        (Path("/proc/out.jsonl"), "cannot be written"),
    ):
        result = tp("predict", home / "classifier", "--input", home / "lines.txt", "--output", output)
        assert result.exit_code == 2
        assert message in result.output
        assert "Traceback" not in result.output
    name = "ä" * 120 + ".jsonl"  # of 246 bytes
    done("predict", home / "classifier", "--input", home / "lines.txt", "--output", tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]


# -- from Python -------------------------------------------------------------------------------------------------------


def test_records_are_evaluated_as_the_file_of_them_is(home: Path) -> None:
    head, *rows = (line.split("\t") for line in (home / "labelled.tsv").read_text().splitlines())
    records = [dict(zip(head, row)) for row in rows]
    expected = tp_core.evaluate(home / "classifier", str(home / "labelled.tsv"))
    assert tp_core.evaluate(home / "classifier", records) == pytest.approx(expected, rel=1e-6)
    places = [tp_core.Record(record, "mine", number) for number, record in enumerate(records, 1)]
    assert tp_core.evaluate(home / "classifier", iter(places)) == pytest.approx(expected, rel=1e-6)
    assert "loss" in tp_core.evaluate(home / "classifier", records[0])


def test_what_cannot_be_evaluated_is_named(home: Path) -> None:
    for data, message in (
        ([{"text": "ba", "label": "good"}, "be"], "input:2: expected a dictionary of fields or a record, got a text"),
        ([{"text": "ba", "label": "god"}], "no instances"),
        ([3], "expected a text, a dictionary of fields or a record, got int"),
    ):
        with pytest.raises(tp_core.TPError, match=message):
            tp_core.evaluate(home / "classifier", data)


# -- on a terminal -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_terminal_has_a_bar_that_counts_and_a_file_has_none(home: Path, tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    (tmp_path / "many.txt").write_text("ba be\n" * 3000)
    command = [
        sys.executable,
        "-m",
        "tp_core",
        "predict",
        str(home / "classifier"),
        "--input",
        str(tmp_path / "many.txt"),
    ]
    primary, secondary = pty.openpty()
    with subprocess.Popen([*command, "--output", str(tmp_path / "out.tsv")], stderr=secondary) as process:
        os.close(secondary)
        said = b""
        with contextlib.suppress(OSError):  # the terminal is gone
            while part := os.read(primary, 1 << 16):
                said += part
    os.close(primary)
    assert process.returncode == 0
    assert b"3000/?" in said
    assert said.rstrip().endswith(b"out.tsv")
    ended = subprocess.run(command, capture_output=True, check=False)
    assert ended.stderr.splitlines() == [b"3000 predictions in standard output"]


def test_a_reader_that_is_gone_is_told(home: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "many.txt").write_text("ba be\n" * 3000)
    with subprocess.Popen(["head", "-c", "1", str(tmp_path / "pipe")], stdout=subprocess.DEVNULL):
        arguments = ["--input", tmp_path / "many.txt", "--output", tmp_path / "pipe"]
        result = tp("predict", home / "classifier", *arguments)
    assert (result.exit_code, "pipe: cannot be written: Broken pipe" in result.output) == (2, True)


#: Without its types, as many call it.
api: Any = tp_core


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda home: api.train(str(home / "classifier.yaml")), "expected a spec, got str; load_spec makes one"),
        (lambda home: api.build_model({}), "expected a spec, got dict; load_spec makes one"),
        (lambda home: api.load_spec(3), "expected the file of a spec, the name of a preset or a dictionary, got int"),
        (lambda home: api.load_spec("bert-tiny", {"a": 1}), "overrides: expected texts such as 'train.steps=100'"),
        (lambda home: api.load_model(api.load_spec("bert-tiny")), "or the folder of one, got Spec"),
        (lambda home: api.load_model(home / "classifer"), "there is no such folder; did you mean"),
        (lambda home: api.load_model(home / "vocab.txt"), "this is a file; expected the folder of a run"),
        (lambda home: api.load_model(home / "classifier", device="gpu"), "device: expected auto, cpu or cuda"),
        (lambda home: list(api.predict(home / "classifier", {3: "a"})), "input:1: the names of fields are texts"),
        (lambda home: list(api.predict(home / "classifier", "a", 2.5)), "batch_size: expected an integer, got 2.5"),
        (lambda home: api.evaluate(home / "classifier", []), "no instances: there are no records"),
        (lambda home: api.evaluate(home / "classifier", 3), "expected the file of data, several, or records"),
        (lambda home: api.evaluate(home / "classifier", "x", columns=["a"]), "columns: expected columns by fields"),
        (lambda home: api.generate(home / "writer", "ba", suppress_tokens={1}), "suppress_tokens: expected"),
    ],
)
def test_an_argument_of_another_kind_is_told(home: Path, call: Any, said: str) -> None:
    with pytest.raises(tp_core.TPError) as caught:
        call(home)
    assert said in str(caught.value)


def test_numbers_of_numpy_are_numbers(home: Path) -> None:
    loaded = tp_core.load_model(home / "writer")
    plain, of_numpy = (
        list(api.generate(loaded, "ba", number(2), max_new_tokens=number(3), suppress_tokens=[number(1)]))
        for number in (int, np.int64)
    )
    assert plain == of_numpy


def test_one_override_is_one() -> None:
    assert tp_core.load_spec("bert-tiny", "train.steps=7").train.options.steps == 7
