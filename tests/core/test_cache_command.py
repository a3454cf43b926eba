"""Tests of the folder of prepared data, and of ``tp cache``, which lists and clears them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.core import runs
from tp_core import TPError, load_spec
from tp_core.cli.main import cli
from tp_core.data.build import build_processor, build_tokenizer
from tp_core.data.cache.files import kept, parse_age
from tp_core.data.cache.place import user_cache
from tp_core.data.cache.prepared import cache_folder, prepared_rows
from tp_core.files.sizes import parse_size, shown_size

DAY = 86400.0


def tp(*args: object) -> Result:
    return CliRunner().invoke(cli, ["cache", *(str(arg) for arg in args)], prog_name="tp")


# -- where -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"HOME": "/h"}, "/h/.cache/tp"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "/x"}, "/x/tp"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "relative"}, "/h/.cache/tp"),
        ({"HOME": "/h", "XDG_CACHE_HOME": ""}, "/h/.cache/tp"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "/x", "TP_CACHE": "/t"}, "/t"),
        ({"HOME": "/h", "TP_CACHE": "~/mine"}, "/h/mine"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/tp"),
        ({"HOME": "", "TP_CACHE": "/t"}, "/t"),
    ],
)
def test_the_variables_say_where(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str) -> None:
    for name in ("HOME", "XDG_CACHE_HOME", "TP_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert user_cache() == Path(expected)


def test_the_spec_comes_before_the_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TP_CACHE", "/t")
    spec = load_spec(runs.write_project(tmp_path, documents=2) / "spec.yaml")
    assert cache_folder(spec) == tmp_path / "cache"


@pytest.mark.parametrize("home", [None, ""])
def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch, home: str | None) -> None:
    pwd = pytest.importorskip("pwd")

    def nobody(_: int) -> None:
        raise KeyError("getpwuid(): uid not found")

    for name in ("HOME", "XDG_CACHE_HOME", "TP_CACHE"):
        monkeypatch.delenv(name, raising=False)
    if home is not None:
        monkeypatch.setenv("HOME", home)
    monkeypatch.setattr(pwd, "getpwuid", nobody)  # as in a container that runs under any user's number
    with pytest.raises(TPError, match="HOME is not set; name a folder in TP_CACHE, in XDG_CACHE_HOME or"):
        user_cache()
    assert os.environ.get("HOME") == home
    result = tp("list")
    assert (result.exit_code, "Traceback" in result.output) == (2, False)


@pytest.mark.slow
def test_a_process_of_a_user_without_a_home_ends_with_the_message(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may become another user")
    modules = "tp_core.cli.cache, tp_core.data.cache.files, tp_core.data.cache.place"  # others may not read them
    code = f"import os, sqlite3, {modules}; from tp_core.cli.main import run; os.setuid(54321); run()"
    environment = {k: v for k, v in os.environ.items() if k not in ("HOME", "XDG_CACHE_HOME", "TP_CACHE")}
    command = [sys.executable, "-c", code, "cache", "list"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd="/")
    assert (ended.returncode, ended.stderr.count("HOME is not set")) == (2, 1)


# -- list and clear ----------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three sets of rows of 1,000 bytes, used 40, 10 and 1 days ago, and files that are not ours."""
    place = tmp_path / "cache"
    place.mkdir()
    for key, days in (("a", 40), ("b", 10), ("c", 1)):
        for name, size in ((f"{key * 32}.arrow", 900), (f"{key * 32}.json", 100)):
            (place / name).write_bytes(bytes(size))
            os.utime(place / name, (time.time() - days * DAY,) * 2)
    (place / "mine.arrow").write_bytes(bytes(5000))
    (place / f"{'d' * 33}.arrow").write_bytes(bytes(5000))
    return place


def names(folder: Path) -> list[str]:
    return [each.name[0] for each in kept(folder)]


def test_a_preparation_is_listed_with_its_size(tmp_path: Path) -> None:
    spec = load_spec(runs.write_project(tmp_path, documents=3) / "spec.yaml")
    processor = build_processor(spec, build_tokenizer(spec))
    assert processor is not None
    rows = prepared_rows(spec, processor, str(tmp_path / "corpus.txt"))
    found = json.loads(tp("list", "--folder", tmp_path / "cache", "--json").stdout)
    (own,) = (each for each in found["kept"] if each["name"] == rows.path.stem)
    assert own["size"] >= rows.path.stat().st_size
    assert own["whole"]
    assert time.time() - own["used"] < 60
    assert tp("clear", "--folder", tmp_path / "cache").exit_code == 0
    assert not rows.path.exists()
    assert len(prepared_rows(spec, processor, str(tmp_path / "corpus.txt"))) == len(rows)


def test_the_list_begins_with_what_was_used_least_recently(folder: Path) -> None:
    assert names(folder) == ["a", "b", "c"]
    lines = tp("list", "--folder", folder).stdout.splitlines()
    assert lines[0].split() == ["a" * 32, "1.0", "kB", "used", "40", "days", "ago"]
    assert lines[-1] == f"{folder}: 3.0 kB in 3"


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ([], ""),
        (["--older-than", "30d"], "bc"),
        (["--older-than", "1w"], "c"),
        (["--older-than", "100d"], "abc"),
        (["--max-size", "2kB"], "bc"),
        (["--max-size", "1999"], "c"),
        (["--max-size", "0"], ""),
        (["--max-size", "1GB"], "abc"),
        (["--max-size", "2kB", "--older-than", "1w"], "c"),
        (["--dry-run"], "abc"),
    ],
)
def test_limits_of_age_and_size_decide_what_goes(folder: Path, options: list[str], left: str) -> None:
    result = tp("clear", "--folder", folder, *options)
    assert result.exit_code == 0, result.output
    assert "".join(names(folder)) == left
    assert {path.name for path in folder.iterdir()} >= {"mine.arrow", f"{'d' * 33}.arrow"}
    assert len(list(folder.iterdir())) == 2 + 2 * len(left)


def test_what_is_being_written_stays_and_what_a_kill_has_left_goes(folder: Path) -> None:
    now, old = folder / f".tmp-{'e' * 32}.arrow.17", folder / f".tmp-{'f' * 32}.arrow.18"
    for path in (now, old):
        path.write_bytes(bytes(10))
    os.utime(old, (time.time() - DAY,) * 2)
    assert "not finished" in tp("list", "--folder", folder).stdout
    assert tp("clear", "--folder", folder).exit_code == 0
    assert now.exists()
    assert not old.exists()


def test_what_cannot_be_is_one_message(tmp_path: Path) -> None:
    for arguments, message in (
        (["clear", "--max-size", "2 parsecs"], "'2 parsecs' is no size; expected a number with a unit"),
        (["clear", "--older-than", "30"], "'30' is no age; expected a number with a unit"),
        (["list", "--folder", tmp_path / "none"], "there is no such folder"),
    ):
        result = tp(*arguments)
        assert result.exit_code == 2
        assert message in result.output


def test_sizes_and_ages_have_their_usual_units() -> None:
    sizes = {"10": 10, "2kB": 2000, "2 KB": 2000, "1.5GiB": 3 * 2**29, "3T": 3 * 10**12, "7MiB": 7 * 2**20}
    assert {text: parse_size(text) for text in sizes} == sizes
    ages = {"90s": 90, "5m": 300, "12h": 12 * 3600, "30d": 30 * DAY, "2w": 14 * DAY}
    assert {text: parse_age(text) for text in ages} == ages
    assert [shown_size(size) for size in (999, 1000, 34_400_000, 2 * 10**12)] == [
        "999 B",
        "1.0 kB",
        "34.4 MB",
        "2.0 TB",
    ]
