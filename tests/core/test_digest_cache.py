"""Tests of the cache of files' digests: the same key, noticed changes, damage, several processes at once."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tp_core import load_spec
from tp_core.data.build import build_processor, build_tokenizer
from tp_core.data.cache import digest_cache, file_digests
from tp_core.data.cache.digest_cache import MEMO, DigestCache
from tp_core.data.cache.prepared import prepared_rows
from tp_core.data.sources.fingerprint import fingerprint
from tp_core.data.sources.named import named_files
from tp_core.errors import DataError

#: An hour before now: settled.
HOUR = 3600


@pytest.fixture(autouse=True)
def old_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the files of the test had been there for long."""
    monkeypatch.setattr(digest_cache, "_SETTLED", -HOUR)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files whose contents are read, in any order."""
    found: list[str] = []
    hashed = file_digests._hashed

    def noted(task: Any) -> Any:
        found.append(Path(task[0]).name)
        return hashed(task)

    monkeypatch.setattr(file_digests, "_hashed", noted)
    return found


def data(folder: Path) -> list[str]:
    """Text of several segments, an empty file, pictures, one that is not there, and a table that names others."""
    (folder / "own" / "cat").mkdir(parents=True)
    (folder / "a.txt").write_bytes(bytes(range(256)) * 8)
    (folder / "empty.txt").touch()
    for number in range(20):
        (folder / "own" / "cat" / f"{number}.png").write_bytes(b"picture" * number)
    (folder / "own" / "gone.png").symlink_to(folder / "nowhere.png")
    (folder / "named").mkdir()
    for number in range(5):
        (folder / "named" / f"{number}.wav").write_bytes(b"recording" * number)
    names = [*(f"named/{number}.wav" for number in range(5)), "missing.wav", "no\0name.wav"]
    (folder / "table.jsonl").write_text("".join(json.dumps({"audio": name}) + "\n" for name in names))
    return [str(folder / name) for name in ("a.txt", "empty.txt", "own", "table.jsonl")]


def keys(paths: list[str], digests: DigestCache | None = None) -> tuple[str, str | None]:
    return fingerprint(paths, digests), named_files(paths, {}, {"audio"}, digests).fingerprint


def test_the_key_is_that_of_the_contents_and_unchanged_files_are_not_read(
    tmp_path: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tp_core.data.sources.fingerprint._SEGMENT", 500)
    paths = data(tmp_path)
    expected = keys(paths)
    everything = sorted(read)
    assert everything.count("a.txt") == 5
    for _ in range(2):
        read.clear()
        with DigestCache(tmp_path / "cache") as digests:
            assert keys(paths, digests) == expected
        assert sorted(read) == (everything if _ == 0 else [])
    monkeypatch.setattr("tp_core.data.sources.fingerprint._SEGMENT", 700)  # a digest of segments of another length
    with DigestCache(tmp_path / "cache") as digests:
        assert keys(paths, digests) == keys(paths) != expected


@pytest.mark.parametrize("how", ["written", "written and set back", "replaced"])
def test_a_changed_file_of_the_same_size_is_noticed(tmp_path: Path, read: list[str], how: str) -> None:
    paths = data(tmp_path)
    with DigestCache(tmp_path / "cache") as digests:
        before = keys(paths, digests)
    picture = tmp_path / "own" / "cat" / "7.png"
    was = picture.stat()
    content = picture.read_bytes()[:-1] + b"!"
    if how == "replaced":
        (tmp_path / "new").write_bytes(content)
        os.utime(tmp_path / "new", ns=(was.st_atime_ns, was.st_mtime_ns))
        os.replace(tmp_path / "new", picture)
    else:
        while picture.stat().st_mtime_ns == was.st_mtime_ns:  # the clock of the file system ticks
            picture.write_bytes(content)
        if how == "written and set back":
            os.utime(picture, ns=(was.st_atime_ns, was.st_mtime_ns))
    read.clear()
    with DigestCache(tmp_path / "cache") as digests:
        after = keys(paths, digests)
    assert read == ["7.png"]
    assert after == keys(paths)
    assert after[0] != before[0]
    assert after[1] == before[1]


def test_a_file_that_is_copied_to_another_place_has_the_same_key(tmp_path: Path) -> None:
    paths = data(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two", symlinks=True)
    with DigestCache(tmp_path / "cache") as digests:
        assert keys(paths, digests) == keys([path.replace("/one/", "/two/") for path in paths], digests)


def test_young_files_are_not_remembered(tmp_path: Path, read: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest_cache, "_SETTLED", HOUR)
    paths = data(tmp_path)
    for seconds in (0, 2 * HOUR):  # its time may be set back; when that was done is young
        os.utime(tmp_path / "a.txt", ((tmp_path / "a.txt").stat().st_ctime - seconds,) * 2)
        read.clear()
        with DigestCache(tmp_path / "cache") as digests:
            keys(paths, digests)
        assert "a.txt" in read
    assert not (tmp_path / "cache").exists()


def test_a_file_is_remembered_once_it_has_not_changed_for_two_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digest_cache, "_SETTLED", 2.0)
    (tmp_path / "a.txt").touch()
    state = (tmp_path / "a.txt").stat()
    with DigestCache(tmp_path / "cache") as digests:
        for after, kept in ((0.0, False), (1.9, False), (2.1, True)):
            digests.keep("a.txt", state, state.st_ctime + after, "scheme", b"digest")
            assert bool(digests._new) == kept


def test_what_was_hashed_before_an_error_is_kept(tmp_path: Path, read: list[str]) -> None:
    paths = data(tmp_path)

    def interrupted() -> None:
        with DigestCache(tmp_path / "cache") as digests:
            keys(paths[:2], digests)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    read.clear()
    with DigestCache(tmp_path / "cache") as digests:
        keys(paths, digests)
    assert not {"a.txt", "empty.txt"} & set(read)


def test_a_damaged_memo_is_told_of_once_and_not_used(tmp_path: Path, read: list[str]) -> None:
    paths = data(tmp_path)
    expected = keys(paths)
    with DigestCache(tmp_path / "cache") as digests:
        keys(paths, digests)
    whole = (tmp_path / "cache" / MEMO).read_bytes()
    pages = b"\xaa" * (len(whole) - 4096)
    for content, told in ((b"no database" * 999, 1), (whole[:4096] + pages, 1), (whole[:5000], 1), (b"", 0)):
        (tmp_path / "cache" / MEMO).write_bytes(content)
        said: list[str] = []
        with DigestCache(tmp_path / "cache", said.append) as digests:
            assert keys(paths, digests) == expected
        assert len(said) == told
        assert all(MEMO in line and "damaged" in line for line in said)
    read.clear()
    with DigestCache(tmp_path / "cache") as digests:  # the empty one was filled
        assert keys(paths, digests) == expected
    assert not read


@pytest.mark.parametrize("digest", [b"", b"short", "text of as many bytes..........."])
def test_an_entry_that_is_no_digest_is_not_used(tmp_path: Path, digest: object) -> None:
    paths = data(tmp_path)
    with DigestCache(tmp_path / "cache") as digests:
        expected = keys(paths, digests)
    with sqlite3.connect(tmp_path / "cache" / MEMO) as connection:
        connection.execute("update digests_1 set digest = ?", (digest,))
    connection.close()
    with DigestCache(tmp_path / "cache") as digests:
        assert keys(paths, digests) == expected


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anything")
def test_a_memo_that_cannot_be_written_is_read(tmp_path: Path, read: list[str]) -> None:
    paths = data(tmp_path)
    with DigestCache(tmp_path / "cache") as digests:
        expected = keys(paths, digests)
    (tmp_path / "cache" / MEMO).chmod(0o444)
    (tmp_path / "cache").chmod(0o555)
    (tmp_path / "a.txt").write_bytes(b"changed")
    read.clear()
    with DigestCache(tmp_path / "cache", pytest.fail) as digests:
        assert keys(paths, digests) == keys(paths) != expected
    (tmp_path / "cache").chmod(0o755)


def test_a_memo_that_cannot_be_made_or_is_locked_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digest_cache, "_PATIENCE", 0.05)
    paths = data(tmp_path)
    expected = keys(paths)
    (tmp_path / "file").touch()
    (tmp_path / "full" / MEMO).mkdir(parents=True)
    for folder in (tmp_path / "file", tmp_path / "full"):
        with DigestCache(folder, pytest.fail) as digests:
            assert keys(paths, digests) == expected
    with DigestCache(tmp_path / "cache") as digests:
        keys(paths[:1], digests)
    other = sqlite3.connect(tmp_path / "cache" / MEMO, isolation_level=None)
    other.execute("begin exclusive")
    with DigestCache(tmp_path / "cache", pytest.fail) as digests:
        assert keys(paths, digests) == expected
    other.close()


def test_a_python_without_sqlite_does_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = data(tmp_path)
    with DigestCache(tmp_path / "cache") as digests:
        expected = keys(paths, digests)
    monkeypatch.setitem(sys.modules, "sqlite3", None)
    with DigestCache(tmp_path / "cache", pytest.fail) as digests:
        assert keys(paths, digests) == expected


def test_several_processes_use_it_at_once(tmp_path: Path, read: list[str]) -> None:
    paths = data(tmp_path)
    program = (
        "import sys; from pathlib import Path; from tp_core.data.cache import digest_cache\n"
        "digest_cache._SETTLED = -3600\n"
        "digest_cache._MANY = 3\n"  # many small transactions
        "from tp_core.data.sources.fingerprint import fingerprint\n"
        "for number in range(8):\n"
        "    with digest_cache.DigestCache(Path(sys.argv[1]), sys.exit) as d: key = fingerprint(sys.argv[2:], d)\n"
        "print(key)\n"
    )
    orders = (paths, paths[::-1], paths)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "cache"), *order], stdout=subprocess.PIPE, text=True
        )
        for order in orders
    ]
    found = [process.communicate(timeout=60)[0].strip() for process in running]
    assert found == [fingerprint(order) for order in orders]
    assert [process.returncode for process in running] == [0, 0, 0]
    read.clear()
    with DigestCache(tmp_path / "cache") as digests:
        assert fingerprint(paths, digests) == found[0]
    assert not read


def test_a_second_start_of_a_run_reads_no_data(tmp_path: Path, read: list[str]) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abc"]) + "\n")
    (tmp_path / "corpus.txt").write_text("a b c\nb c\nc a\n\n" * 20)
    (tmp_path / "spec.yaml").write_text(
        "extends: bert-tiny\ndata:\n  tokenizer: {wordpiece: {vocab: vocab.txt}}\n"
        "  processor: {bert: {max_length: 16}}\n  train: corpus.txt\n  cache: cache\n"
    )
    spec = load_spec(tmp_path / "spec.yaml")
    processor = build_processor(spec, build_tokenizer(spec))
    assert processor is not None
    assert spec.data.options.train is not None
    first = prepared_rows(spec, processor, spec.data.options.train)
    assert {"vocab.txt", "corpus.txt"} <= set(read)
    read.clear()
    assert prepared_rows(spec, processor, spec.data.options.train).path == first.path
    assert set(read) <= {first.path.name}  # which are verified once


def test_text_that_cannot_be_read_is_an_error_with_and_without_a_memo(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    with DigestCache(tmp_path / "cache") as digests:
        for each in (None, digests):
            with pytest.raises(DataError, match="no such file"):
                fingerprint([str(tmp_path / "b.txt")], each)
            (tmp_path / "saved").mkdir(exist_ok=True)
            for name in ("dataset_info.json", "state.json"):
                (tmp_path / "saved" / name).touch()
            assert fingerprint([str(tmp_path / "saved"), str(tmp_path / "a.txt")], each)
