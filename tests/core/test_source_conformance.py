"""The conformance kit passes sources that keep their contracts, ours among them, and says what is wrong with others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.core import odd_sources
from tp_core.options.source import SourceConfig
from tp_core.testing import check_module


def text(folder: Path, *lines: str) -> Path:
    path = folder / "lines"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_a_source_that_keeps_its_contracts_passes(tmp_path: Path) -> None:
    path = text(tmp_path, "one", "bad", "two")
    change = "three\nbad\ntwo\n"
    check_module(odd_sources.LinesConfig, "source", {"path": str(path)}, change=lambda: path.write_text(change), bad=1)


@pytest.mark.parametrize(
    ("name", "content", "other", "bad"),
    [
        ("text", b"a\n\xff\nb\n", b"a\n\xff\nc\n", 1),
        ("csv", b"a,b\n1,2\n3\n", b"a,b\n1,3\n3\n", 1),
        ("tsv", b"a\tb\n1\t2\n", b"a\tb\n1\t3\n", 0),
        ("jsonl", b'{"a": 1}\nno\n', b'{"a": 2}\nno\n', 1),
        ("json", b'[{"a": 1}, 7]', b'[{"a": 2}, 7]', 1),
        ("squad", b'[{"context": "a", "qas": [{"id": 1}, 7]}]', b'[{"context": "b", "qas": [{"id": 1}, 7]}]', 1),
    ],
)
def test_our_own_formats_pass(tmp_path: Path, name: str, content: bytes, other: bytes, bad: int) -> None:
    path = tmp_path / "data"
    path.write_bytes(content)
    check_module(name, "source", {"path": str(path)}, change=lambda: path.write_bytes(other), bad=bad)


@pytest.mark.parametrize(
    ("config", "bad", "message"),
    [
        (odd_sources.EndingConfig, 0, "it has endings, but only tp's own formats may have them"),
        (odd_sources.UnmarkedConfig, 0, "the option 'path' names a file but is not a PathStr"),
        (odd_sources.ShuffledConfig, 0, "two readings of the same data give different records"),
        (odd_sources.ListedConfig, 0, r"records\(\) does not give an iterator"),
        (odd_sources.NumberedConfig, 0, r"columns\(\) names \['number'\], but the record in line 1 has \['text'\]"),
        (odd_sources.SilentConfig, 1, "0 bad records are reported, but there are 1"),
        (odd_sources.StubbornConfig, 1, r"records\(\) continues when report raises"),
        (odd_sources.ForgetfulConfig, 0, "records have changed, but the fingerprint has not"),
        (odd_sources.DatedConfig, 0, "the fingerprint changes when only the times of files change"),
    ],
)
def test_a_broken_contract_is_named(tmp_path: Path, config: type[SourceConfig], bad: int, message: str) -> None:
    path = text(tmp_path, *(f"line {number}" for number in range(3)), *["bad"] * bad)

    def change() -> None:
        text(tmp_path, "another", "b", "c")

    with pytest.raises(AssertionError, match=message):
        check_module(config, "source", {"path": str(path)}, change=change, bad=bad)


def test_a_change_that_changes_nothing_is_the_authors_mistake(tmp_path: Path) -> None:
    path = text(tmp_path, "one")
    with pytest.raises(AssertionError, match=r"change\(\) changes no record"):
        check_module(odd_sources.LinesConfig, "source", {"path": str(path)}, change=lambda: None)
