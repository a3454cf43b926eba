"""Reading records: every form, exact places of what is wrong, skipping, and the hash of contents."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.runs import run_code
from tp_core.data.fields import required_text
from tp_core.data.sources import csv_table, json_text
from tp_core.data.sources import lines as text_lines
from tp_core.data.sources.fingerprint import fingerprint
from tp_core.data.sources.huggingface import parse_hub_name
from tp_core.data.sources.records import BadRecords, read_records
from tp_core.errors import DataError, TPError


def write(folder: Path, name: str, content: str | bytes) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return str(path)


def read(*paths: str, **options: Any) -> list[tuple[dict[str, Any], int]]:
    return [(record.value, record.line) for record in read_records(list(paths), **options)]


def error_of(*paths: str, **options: Any) -> str:
    with pytest.raises(TPError) as caught:
        read(*paths, **options)
    return str(caught.value)


# Text


@pytest.mark.parametrize("name", ["a.txt", "corpus", "a.unknown", "a.txt.gz"])
def test_text_gives_a_record_per_line_blank_lines_included(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name, "first\n\n  second \n")
    assert read(path) == [({"text": "first"}, 1), ({"text": ""}, 2), ({"text": "  second "}, 3)]


def test_records_carry_their_file(tmp_path: Path) -> None:
    paths = [write(tmp_path, "a.txt", "x\n"), write(tmp_path, "b.txt", "y\n")]
    assert [record.file for record in read_records(paths)] == paths


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ("", []),
        ("a", ["a"]),
        ("a\n\n", ["a", ""]),
        ("a\r\nb\r\n", ["a", "b"]),
        ("\ufeffa\nb", ["a", "b"]),
        ("a\u2028b\x0bc\x85d\re\n", ["a\u2028b\x0bc\x85d\re"]),  # none of these ends a line
        ("汉字\n", ["汉字"]),
    ],
)
def test_lines_end_at_line_feeds_only(tmp_path: Path, content: str, lines: list[str]) -> None:
    assert [value["text"] for value, _ in read(write(tmp_path, "a.txt", content))] == lines


@settings(max_examples=40, deadline=None)
@given(lines=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n")), min_size=1))
def test_lines_come_back_whatever_the_block_size(tmp_path_factory: Any, lines: list[str]) -> None:
    if lines[0].startswith("\ufeff"):
        return
    path = write(tmp_path_factory.mktemp("blocks"), "a.txt", "".join(line + "\n" for line in lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_lines, "BLOCK", 16)
        assert read(path) == [({"text": line}, number) for number, line in enumerate(lines, 1)]


def test_the_text_column_can_be_given_another_field(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", "x\n")
    assert read(path, columns={"sentence": "text"}) == [({"sentence": "x"}, 1)]
    assert "plain text has this column only" in error_of(path, columns={"sentence": "body"})


def test_a_line_that_is_not_utf8_is_named_exactly(tmp_path: Path) -> None:
    content = "好\n".encode() * 300_000 + "中文：".encode() + b"abc\xb7def\n" + b"more\n"
    path = write(tmp_path, "a.txt", content)
    assert error_of(path) == (
        f"{path}:300001: this line is not UTF-8 (byte 0xB7 at column 7); "
        "convert the file, for example: iconv -f GBK -t UTF-8"
    )


def test_a_character_cut_off_at_the_end_of_the_file_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", b"ab\n" + "好".encode()[:2])
    assert f"{path}:2: this line is not UTF-8 (byte 0xE5 at column 1)" in error_of(path)


def test_bad_lines_are_skipped_and_counted_and_numbers_stay_right(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", b"\xff\none\ntwo\r\n\xb7\n\xb8\nsix\nnul\0\n")
    bad = BadRecords("skip")
    assert read(path, bad=bad) == [({"text": "one"}, 2), ({"text": "two"}, 3), ({"text": "six"}, 6)]
    assert bad.count == 4
    summary = bad.summary()
    assert summary is not None
    assert summary.startswith("4 bad records were skipped:")
    assert f"{path}:7: this line has a NUL byte at column 4" in summary


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0", "is a PNG image"),
        (b"\xff\xd8\xff\xe0\0\x10", "is a JPEG image"),
        (b"PK\x03\x04abc", "is a ZIP archive"),
        (b"\x1f\x8b\x08\0", "is compressed with gzip; give it a name that ends in .gz"),
        ("text".encode("utf-16"), "is UTF-16; convert it: iconv -f UTF-16 -t UTF-8"),
    ],
)
def test_a_file_of_another_kind_is_recognised_even_when_skipping(tmp_path: Path, head: bytes, message: str) -> None:
    path = write(tmp_path, "a.txt", head)
    assert message in error_of(path, bad=BadRecords("skip"))


def test_other_binary_files_are_refused_for_their_nul_bytes(tmp_path: Path) -> None:
    path = write(tmp_path, "a.bin", bytes([7, 0, 1]) * 1000)
    assert f"{path}:1: this line has a NUL byte at column 2" in error_of(path)


def test_a_damaged_gzip_file_is_one_message(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt.gz", os.urandom(5000).hex())
    whole = Path(path).read_bytes()
    Path(path).write_bytes(whole[: len(whole) // 2])
    assert f"{path}: this gzip file is damaged" in error_of(path)
    Path(path).write_bytes(b"no gzip")
    assert f"{path}: this gzip file is damaged" in error_of(path)


@pytest.mark.parametrize("size", [300_000, 500_000])  # the second ends within a block
@pytest.mark.parametrize("ending", [b"\n", b""])
def test_a_line_without_end_is_a_bad_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, ending: bytes
) -> None:
    monkeypatch.setattr(text_lines, "BLOCK", 100_000)
    monkeypatch.setattr(text_lines, "LONGEST", 200_000)
    monkeypatch.setattr(json_text, "LONGEST", 200_000)
    endless = b"x" * size + (ending and b"\n3\n")
    for name, begin, kept in (
        ("a.txt", b"1\n", [1, 3]),
        ("a.tsv", b"text\n1\n", [2, 4]),
        ("a.csv", b"text\n1\n", [2, 4]),
    ):
        path, bad = write(tmp_path, f"{name}.gz", begin + endless), BadRecords("skip")
        assert [line for _, line in read(path, bad=bad)] == kept[: 1 + bool(ending)]
        assert bad.messages == [f"{path}:{kept[0] + 1}: this line has more than 200,000 bytes"]
        assert "more than 200,000 bytes" in error_of(path)
    path = write(tmp_path, "a.json", b'[{"text": "1"}, {"text": "' + endless)
    assert "a value of more than 200,000 characters" in error_of(path, bad=BadRecords("skip"))


def test_a_row_without_end_is_a_bad_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_lines, "BLOCK", 10_000)
    monkeypatch.setattr(csv_table, "LONGEST", 200_000)
    path, bad = write(tmp_path, "a.csv", b'text\na\n"b' + b"c\n" * 150_000), BadRecords("skip")
    texts = [record["text"] for record, _ in read(path, bad=bad)]
    assert texts == ["a", *["c"] * 149_999]
    assert bad.messages == [f"{path}:3: not valid CSV: a row of more than 200,000 characters"]


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", b"0123456789" * 10 + b"\n")
    with open(path, "ab") as file:
        file.write((b"x" * 1000 + b"\n") * 20_000)
    tracemalloc.start()
    count = sum(1 for _ in read_records([path]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 20_001
    assert peak < 12e6


# JSON


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.ndjson", "a.jsonl.gz"])
def test_json_lines_give_objects_and_blank_lines_nothing(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name, '{"text": "a", "label": 1}\n\n{"text": "b"}')
    assert read(path) == [({"text": "a", "label": 1}, 1), ({"text": "b"}, 3)]


def test_a_json_list_gives_its_elements_with_their_lines(tmp_path: Path) -> None:
    path = write(tmp_path, "a.json", '\n[\n  {"a": [1, {"b": 2}]},\n\n  {"a":\n 2}, {"a": 3}]\n')
    assert read(path) == [({"a": [1, {"b": 2}]}, 3), ({"a": 2}, 5), ({"a": 3}, 6)]
    assert read(write(tmp_path, "b.json", "[]")) == []
    assert read(write(tmp_path, "c.json", " \n")) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None)
@given(values=st.lists(st.dictionaries(st.text(), JSON, max_size=3)), ascii_only=st.booleans())
def test_json_lists_are_read_whatever_the_block_size(
    tmp_path_factory: Any, values: list[dict[str, Any]], ascii_only: bool
) -> None:
    try:
        text = json.dumps(values, ensure_ascii=ascii_only, indent=1)
        path = write(tmp_path_factory.mktemp("blocks"), "a.json", text)
    except UnicodeEncodeError:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_text, "BLOCK", 1)
        assert [value for value, _ in read(path)] == values


@pytest.mark.parametrize(
    ("content", "line", "message", "column"),
    [
        ('[{"a": 1}\n {"b": 2}]', 2, "expected ',' or ']' after an element of the list", 2),
        ('[{"a": 1}', 1, "expected ',' or ']' after an element of the list", 10),
        ('[{"a": 1}]\n{}', 2, "expected nothing after the list", 1),
        ('[{"a": "x', 1, "not valid JSON: ", 8),
        ('[{"a": "x\\"]' + " " * 100, 1, "not valid JSON: ", 8),  # the quote is one of the text's
    ],
)
def test_errors_in_a_json_list_have_their_place(
    tmp_path: Path, content: str, line: int, message: str, column: int
) -> None:
    path = write(tmp_path, "a.json", content)
    said = error_of(path, bad=BadRecords("skip"))
    assert said.startswith(f"{path}:{line}: {message}")
    assert said.endswith(f" (column {column})")


ROWS = "".join(f'"row {number}",{number}\n' for number in range(25)).encode()


@pytest.mark.parametrize(
    ("begin", "kept", "line", "said"),
    [
        (b'"one\xff\ntwo",7\n', 25, 2, "this line is not UTF-8 (byte 0xFF at column 5)"),
        (b'"one\ntwo\xff",7\n', 25, 3, "this line is not UTF-8 (byte 0xFF at column 4)"),
        (b'"one\n\0",7\n', 25, 3, "this line has a NUL byte at column 1"),
        (b'"one\ntwo"x,7\n', 25, 2, "not valid CSV: "),
        (b'"one,7\n', 25, 2, "not valid CSV: "),  # not closed: the next quotes are other cells'
        (b'x,"one\n', 25, 2, "not valid CSV: "),
    ],
)
def test_a_bad_cell_takes_its_own_row_alone(tmp_path: Path, begin: bytes, kept: int, line: int, said: str) -> None:
    bad = BadRecords("skip")
    path = write(tmp_path, "a.csv", b"text,number\n" + begin + ROWS)
    found = read(path, bad=bad)
    assert [value["text"] for value, _ in found] == [f"row {number}" for number in range(kept)]
    assert [number for _, number in found] == list(range(2 + begin.count(b"\n"), 2 + begin.count(b"\n") + kept))
    assert [message[: len(path) + len(said) + 4] for message in bad.messages] == [
        f"{path}:{line}: {said}"[: len(path) + len(said) + 4]
    ]


def test_a_quote_that_is_never_closed_takes_one_row_at_the_end_of_the_file_too(tmp_path: Path) -> None:
    bad = BadRecords("skip")
    path = write(tmp_path, "a.csv", b"text,number\n" + ROWS + b'"one,7\ntwo,8\nth""ree,9\nfour,10\n')
    assert [value["text"] for value, _ in read(path, bad=bad)][25:] == ["two", "four"]
    assert [message.split(": ", 1)[0] for message in bad.messages] == [f"{path}:27", f"{path}:29"]


@settings(max_examples=60, deadline=None)
@given(cells=st.lists(st.tuples(st.text('a"\n,x'), st.text('a"\n,x')), min_size=1, max_size=6), data=st.data())
def test_csv_rows_around_a_byte_that_is_no_text_come_back(tmp_path_factory: Any, cells: Any, data: Any) -> None:
    lines = [",".join('"{}"'.format(cell.replace('"', '""')) for cell in row) + "\n" for row in cells]
    at = data.draw(st.integers(0, len(lines) - 1))
    lines[at] = lines[at].replace('"', '"\udcff', 1)
    content = ("a,b\n" + "".join(lines)).encode("utf-8", "surrogateescape")
    bad = BadRecords("skip")
    found = read(write(tmp_path_factory.mktemp("cells"), "a.csv", content), bad=bad)
    assert [(value["a"], value["b"]) for value, _ in found] == [*cells[:at], *cells[at + 1 :]]
    assert bad.count == 1


@pytest.mark.parametrize(
    "element",
    [
        b'{"a": "\xff"}',
        b'{"a": 1,}',
        b"{'a': 1}",
        b"x",
        b"",
        b'{"a": "]}\\" \0"}',
        b'{"a": [1, 2}}',
        b'\xff{"a": 1}',
        b"{" * 9999 + b"}" * 9999,
    ],
)
def test_a_bad_element_of_a_json_list_takes_no_others(tmp_path: Path, element: bytes) -> None:
    bad = BadRecords("skip")
    path = write(tmp_path, "a.json", b'[{"n": 1},\n' + element + b',\n{"n":\n2}]')
    assert read(path, bad=bad) == [({"n": 1}, 1), ({"n": 2}, 3)]
    assert [message.split(": ", 1)[0] for message in bad.messages] == [f"{path}:2"]
    assert f"{path}:2: " in error_of(path)


def test_an_error_in_a_json_list_has_its_column(tmp_path: Path) -> None:
    said = error_of(write(tmp_path, "a.json", '[{"a": 1},\n {"b" 2}]'))
    assert ":2: not valid JSON: " in said
    assert said.endswith(" (column 7)")


def test_tables_of_very_many_columns_are_read_in_time_or_refused(tmp_path: Path) -> None:
    from tp_core.data.sources.columns import MOST_COLUMNS

    names = [f"c{number}" for number in range(MOST_COLUMNS)]
    path = write(tmp_path, "a.tsv", "\t".join(names) + "\n" + "\t".join(names) + "\n" + "1\t2\n")
    bad = BadRecords("skip")
    ((value, _),) = read(path, columns={"text": "c9999"}, bad=bad)
    assert (value["text"], len(value)) == ("c9999", MOST_COLUMNS)
    assert bad.messages[0].endswith("c18, c19 and 9,980 more), found 2")
    path = write(tmp_path, "a.tsv", "\t".join(f"c{number}" for number in range(300_000)) + "\n")
    assert error_of(path) == f"{path}:1: the table has 300,000 columns; at most 10,000 are read"


def test_new_records_may_lack_optional_columns_and_have_fields_by_their_own_names() -> None:
    from tp_core.data.sources.columns import NewColumns, plan_columns

    columns = NewColumns({"text_a": "review", "text_b": "answer", "label": "stars"}, {"label"})
    assert dict(plan_columns(["review", "answer"], columns)) == {"text_a": "review", "text_b": "answer"}
    found = plan_columns(["id", "stars", "text_a", "answer"], columns)
    assert dict(found) == {"text_b": "answer", "label": "stars", "id": "id", "text_a": "text_a"}
    with pytest.raises(DataError, match=r"there is no column 'answer' \(columns: review, stars\)"):
        plan_columns(["review", "stars"], columns)


def test_a_column_is_found_as_unicode_compares_names(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", "cafe\u0301\nx\n")
    assert read(path, columns={"text": "caf\u00e9"}) == [({"text": "x"}, 2)]


def test_a_json_list_that_is_not_utf8_is_named_exactly(tmp_path: Path) -> None:
    path = write(tmp_path, "a.json", b'[{"a": 1},\n{"a": "\xb7"}]')
    assert f"{path}:2: this line is not UTF-8 (byte 0xB7 at column 8)" in error_of(path)


def test_a_long_json_list_on_one_line_is_read_in_constant_memory(tmp_path: Path) -> None:
    item = json.dumps({"text": "x" * 1000})
    path = write(tmp_path, "a.json", "[" + ", ".join([item] * 16_000) + "]")
    tracemalloc.start()
    count = sum(1 for _ in read_records([path]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 16_000
    assert peak < 12e6


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"a": 1, }', "not valid JSON: "),
        ("[1, 2]", "expected a JSON object, found a list"),
        ("null", "expected a JSON object, found null"),
        ('"text"', "expected a JSON object, found a string"),
        ("[" * 100_000, "not usable JSON: nested too deeply"),
    ],
)
def test_bad_json_lines_have_their_place_and_can_be_skipped(tmp_path: Path, line: str, message: str) -> None:
    path = write(tmp_path, "a.jsonl", '{"a": 0}\n' + line + '\n{"a": 2}\n')
    assert f"{path}:2: {message}" in error_of(path)
    bad = BadRecords("skip")
    assert read(path, bad=bad) == [({"a": 0}, 1), ({"a": 2}, 3)]
    assert bad.count == 1


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
@pytest.mark.parametrize("indent", [2, "\t"])
def test_json_that_is_written_over_lines_is_told_as_such(tmp_path: Path, name: str, indent: Any) -> None:
    one = write(tmp_path, name, json.dumps({"text": "a"}, indent=indent))
    assert error_of(one).startswith(f"{one}:1: this JSON value goes on in the next line; expected an object per line")
    several = write(tmp_path, f"list_{name}", json.dumps([{"text": "a"}, {"text": "b"}], indent=indent))
    if name == "a.json":
        assert [value["text"] for value, _ in read(several)] == ["a", "b"]
    else:
        assert "or a list of objects in a file whose name ends in .json" in error_of(several)


def test_the_column_of_a_json_error_is_given(tmp_path: Path) -> None:
    assert "(column 6)" in error_of(write(tmp_path, "a.jsonl", '{"a" 1}'))


def test_json_objects_are_renamed_and_checked_each(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"body": "x", "id": 7}\n{"bdy": "y"}\n')
    bad = BadRecords("skip")
    assert read(path, columns={"text": "body"}, bad=bad) == [({"text": "x", "id": 7}, 1)]
    assert bad.messages == [
        f"{path}:2: there is no column 'body'; did you mean 'bdy'? (columns: bdy)",
    ]


# Tables


def test_tsv_cells_are_split_at_tabs_and_quotes_mean_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", 'label\ttext_a\r\n1\t"quoted\r\n\r\n0\t\r\n')
    assert read(path) == [({"label": "1", "text_a": '"quoted'}, 2), ({"label": "0", "text_a": ""}, 4)]


def test_columns_map_fields_to_columns_and_others_keep_their_names(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", "a\tb\tc\n1\t2\t3\n")
    assert read(path, columns={"text": "b"}) == [({"text": "2", "a": "1", "c": "3"}, 2)]
    assert read(path, columns={"a": "b", "b": "a"}) == [({"a": "2", "b": "1", "c": "3"}, 2)]
    assert read(path, columns={"a": "c"}) == [({"a": "3", "b": "2"}, 2)]
    assert read(path, columns={"x": "a", "y": "a"}) == [({"x": "1", "y": "1", "b": "2", "c": "3"}, 2)]


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.tsv.gz", "a.csv.gz"])
def test_a_row_of_another_width_is_reported_with_both_counts(tmp_path: Path, name: str) -> None:
    tab = "\t" if "tsv" in name else ","
    path = write(tmp_path, name, "label\ttext\n1\ta\n2\tb\tc\n3\n4\td\n".replace("\t", tab))
    assert error_of(path) == f"{path}:3: expected 2 columns (label, text), found 3"
    bad = BadRecords("skip")
    assert [value["label"] for value, _ in read(path, bad=bad)] == ["1", "4"]
    assert bad.count == 2


@pytest.mark.parametrize("name", ["a.tsv", "a.csv"])
def test_a_missing_column_is_answered_with_the_header_and_the_nearest(tmp_path: Path, name: str) -> None:
    tab = "\t" if "tsv" in name else ","
    path = write(tmp_path, name, f"label{tab}sentence\n1{tab}a\n")
    assert error_of(path, columns={"text": "sentense"}, bad=BadRecords("skip")) == (
        f"{path}:1: there is no column 'sentense'; did you mean 'sentence'? (columns: label, sentence)"
    )


@pytest.mark.parametrize("name", ["a.tsv", "a.csv"])
@pytest.mark.parametrize("content", ["", "\n", "\n1\t2\n", "\t\n1\t2\n"])
def test_a_table_needs_a_header(tmp_path: Path, content: str, name: str) -> None:
    path = write(tmp_path, name, content if "tsv" in name else content.replace("\t", ","))
    assert f"{path}:1: the first line must name the columns" in error_of(path, bad=BadRecords("skip"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"l\xb7,text\n1,a\n", "this line is not UTF-8 (byte 0xB7 at column 2)"),
        (b"label\0,text\n1,a\n", "this line has a NUL byte at column 6"),
        (b'"label,text\n1,a\n', "a quoted cell that begins here is not closed"),
    ],
)
@pytest.mark.parametrize("policy", ["skip", "fatal"])
def test_a_header_that_cannot_be_read_is_told_whatever_is_skipped(
    tmp_path: Path, content: bytes, message: str, policy: Any
) -> None:
    path = write(tmp_path, "a.csv", content)
    bad = BadRecords(policy)
    assert f"{path}:1: {message}" in error_of(path, bad=bad)
    with pytest.raises(DataError):
        list(read_records([path], bad=bad).with_errors())
    assert bad.count == 0


@pytest.mark.parametrize("name", ["a.tsv", "a.csv"])
def test_columns_without_a_name_are_no_fields(tmp_path: Path, name: str) -> None:
    content = ",label,text,,\n0,1,a,,\n1,2,b,,x\n"
    path = write(tmp_path, name, content if "csv" in name else content.replace(",", "\t"))
    named = [{"label": "1", "text": "a"}, {"label": "2", "text": "b"}]
    assert [value for value, _ in read(path)] == named
    assert [{key: row[key] for key in ("label", "text")} for row in csv.DictReader(io.StringIO(content))] == named


def test_a_column_named_twice_is_an_error(tmp_path: Path) -> None:
    assert "two columns are named 'a'" in error_of(write(tmp_path, "a.csv", "a,b,a\n1,2,3\n"))


def test_csv_cells_may_span_lines_and_line_numbers_stay_right(tmp_path: Path) -> None:
    content = '\ufefftext,label\r\n"one, ""two""\r\nthree",1\r\n\r\nfour,2\r\n'
    path = write(tmp_path, "a.csv", content)
    assert read(path) == [
        ({"text": 'one, "two"\nthree', "label": "1"}, 2),
        ({"text": "four", "label": "2"}, 5),
    ]


def test_csv_line_numbers_stay_right_after_skipped_lines(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", b'a,b\n1,\xb7\n"2\n3",4\n"5"x,6\n7,8\n')
    bad = BadRecords("skip")
    assert read(path, bad=bad) == [({"a": "2\n3", "b": "4"}, 3), ({"a": "7", "b": "8"}, 6)]
    assert bad.count == 2
    assert f"{path}:5: not valid CSV" in bad.messages[1]


def test_a_csv_cell_that_is_never_closed_is_named_by_its_first_line(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'a,b\n1,2\n"3,4\n5,6\n')
    assert error_of(path) == f"{path}:3: a quoted cell that begins here is not closed"


def test_csv_cells_may_be_longer_than_the_csv_modules_limit(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "a\n" + "x" * 300_000 + "\n")
    assert len(read(path)[0][0]["a"]) == 300_000


# Arrow


def test_parquet_rows_are_records_with_row_numbers(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    path = str(tmp_path / "a.parquet")
    table = {"text": [f"t{i}" for i in range(700)], "ids": [[i, i + 1] for i in range(700)]}
    pyarrow.parquet.write_table(pyarrow.table(table), path)
    rows = read(path)
    assert len(rows) == 700
    assert rows[699] == ({"text": "t699", "ids": [699, 700]}, 700)
    assert read(path, columns={"a": "text"})[0] == ({"a": "t0", "ids": [0, 1]}, 1)
    assert "did you mean 'text'? (columns: text, ids)" in error_of(path, columns={"a": "txt"})


def test_a_damaged_parquet_file_is_one_message(tmp_path: Path) -> None:
    path = write(tmp_path, "a.parquet", b"PAR1 but no more")
    assert f"{path}: not a Parquet file that can be read" in error_of(path)


def test_a_saved_dataset_is_read_undecoded(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    folder = str(tmp_path / "saved")
    dataset = datasets.Dataset.from_dict({"text": ["a", "b", "c"], "label": [0, 1, 2]})
    dataset.select([2, 0]).save_to_disk(folder)
    assert read(folder) == [({"text": "c", "label": 2}, 1), ({"text": "a", "label": 0}, 2)]
    assert read(folder, columns={"x": "text"})[0] == ({"x": "c", "label": 2}, 1)
    assert fingerprint([folder]) == fingerprint([folder])

    splits = str(tmp_path / "splits")
    datasets.DatasetDict({"train": dataset, "test": dataset}).save_to_disk(splits)
    assert "several splits (test, train); name one of them" in error_of(splits)
    assert len(read(os.path.join(splits, "train"))) == 3


def test_a_missing_datasets_library_is_answered_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert "pip install tp-core[hub]" in error_of("hf://imdb")


def test_a_hub_that_cannot_be_reached_is_one_message(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    code = (
        "from tp_core.data.sources.records import read_records\n"
        "from tp_core.errors import TPError\n"
        "try:\n    list(read_records(['hf://nobody/nothing:test']))\n"
        "except TPError as error:\n    print(error)\n"
    )
    said = run_code(tmp_path, code, environment={"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)})
    assert said.startswith("hf://nobody/nothing:test: cannot be loaded from the Hugging Face hub: ")
    assert said.count("\n") == 1


def test_hub_names_have_an_optional_configuration_and_split() -> None:
    assert parse_hub_name("hf://imdb") == ([("imdb", None)], "train")
    assert parse_hub_name("hf://owner/name:test") == ([("owner/name", None), ("owner", "name")], "test")
    assert parse_hub_name("hf://nyu-mll/glue/mrpc") == ([("nyu-mll/glue", "mrpc")], "train")
    with pytest.raises(TPError, match="expected hf://name"):
        parse_hub_name("hf://a//b")


# Folders and paths


def test_a_folder_gives_its_files_of_known_forms_sorted(tmp_path: Path) -> None:
    write(tmp_path, "b.txt", "2\n")
    write(tmp_path, "a/z.txt.gz", "1\n")
    write(tmp_path, "c.jsonl", '{"text": "3"}\n')
    write(tmp_path, ".hidden.txt", "no\n")
    write(tmp_path, "_SUCCESS", "no\n")
    write(tmp_path, "readme.md", "no\n")
    assert [value["text"] for value, _ in read(str(tmp_path))] == ["1", "2", "3"]


def test_a_folder_without_data_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "readme.md", "no\n")
    assert "no file in this folder is of a known form (.txt, " in error_of(str(tmp_path))


def test_a_missing_path_is_named_at_once_with_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, "corpus.txt", "a\n")
    with pytest.raises(DataError, match=r"no such file or folder; did you mean 'corpus.txt'"):
        read_records([str(tmp_path / "corpus.text")])


# Bad records


def test_fatal_raises_the_error_itself() -> None:
    error = DataError("broken", file="a", line=3)
    bad = BadRecords()
    with pytest.raises(DataError) as caught:
        bad.report(error)
    assert caught.value is error
    assert bad.summary() is None


def test_skip_remembers_the_first_twenty() -> None:
    bad = BadRecords("skip")
    for line in range(1, 31):
        bad.report(DataError("broken", file="a", line=line))
    assert (bad.count, len(bad.messages)) == (30, 20)
    summary = bad.summary()
    assert summary is not None
    assert summary.splitlines()[0] == "30 bad records were skipped:"
    assert summary.splitlines()[1] == "  a:1: broken"
    assert summary.splitlines()[-1] == "  and 10 more"


# Fingerprint


def test_the_fingerprint_depends_on_contents_and_forms_and_order_only(tmp_path: Path) -> None:
    one, two = write(tmp_path, "a.txt", "one\n"), write(tmp_path, "b.txt", "two\n")
    first = fingerprint([one, two])
    assert len(first) == 32
    os.utime(one, (1, 1))
    assert fingerprint([one, two]) == first
    assert fingerprint([write(tmp_path, "other/x.txt", "one\n"), two]) == first
    assert fingerprint([two, one]) != first
    assert fingerprint([one, write(tmp_path, "b.jsonl", "two\n")]) != first
    assert fingerprint([write(tmp_path, "c.txt", "one\ntwo\n")]) != first
    assert fingerprint([one]) != fingerprint([write(tmp_path, "d.txt", "onf\n")])


def test_the_fingerprint_sees_every_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tp_core.data.sources.fingerprint._SEGMENT", 64)
    data = bytes(range(200)) * 2
    seen = {fingerprint([write(tmp_path, "a.txt", data)])}
    for at in (0, 63, 64, 300, 399):
        changed = bytearray(data)
        changed[at] ^= 1
        seen.add(fingerprint([write(tmp_path, "a.txt", bytes(changed))]))
    seen.add(fingerprint([write(tmp_path, "a.txt", data[:-1])]))
    assert len(seen) == 7


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"text;label\na;1\n", "the columns seem to be separated by semicolons"),
        ("a.csv", b"text\tlabel\na\t1\n", "the columns seem to be separated by tabs"),
        ("a.tsv", b"text,label\na,1\n", "the columns seem to be separated by commas"),
        ("a.csv", b"text,label\ra,1\r", r"if lines end with CR, convert the file: tr '\r' '\n'"),
    ],
)
def test_a_table_of_another_dialect_is_told_as_one(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=re.escape(message)):
        required_text(next(iter(read_records([str(tmp_path / name)]))), "text")


def test_a_name_of_json_is_no_row_of_columns(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"last, first": "a"}')
    with pytest.raises(DataError, match=r"\(data.columns renames them\)$"):
        required_text(next(iter(read_records([str(tmp_path / "a.jsonl")]))), "text")
