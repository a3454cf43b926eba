"""Patterns of paths: braces as bash has them, ``**``, links that lead back, names that look like patterns."""

from __future__ import annotations

import glob
import shutil
import subprocess
from pathlib import Path

import pytest

from tp_core.spec.checks.files import MOST_PATHS, expand, unusable
from tp_core.spec.patterns import brace_count, braces

BRACES = (
    "{0000..0003}.tar {a,b}{1..2} {a} a{b,{c,d}}e {3..1} {0..10..5} {a..e..2} x{,y} {a,b {{a,b}} {01..3} {-1..1} "
    "{1..2}{3..4..0} {x{1..2}} a}{b,c} {} {a..} {1..2..3..4} {08..11} {-05..5..5} {c..a} {1,{2..4},5} {a,b}{"
)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash says what braces are")
@pytest.mark.parametrize("text", BRACES.split())
def test_braces_stand_for_what_bash_makes_of_them(text: str) -> None:
    made = subprocess.run(["bash", "-c", f"printf '%s\\n' {text}"], capture_output=True, text=True, check=True)
    assert braces(text) == made.stdout.splitlines()


def files(folder: Path, *names: str) -> str:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x\n")
    return str(folder)


@pytest.mark.parametrize("pattern", ["**/*.jpg", "a/**/*.jpg", "**/b/*.jpg", "**/**/*.jpg", "**/a/**/*.jpg", "*/*.jpg"])
def test_two_stars_are_any_folders_as_in_pythons_glob(tmp_path: Path, pattern: str) -> None:
    root = files(tmp_path, "1.jpg", "a/2.jpg", "a/b/3.jpg", "c/4.jpg", "c/5.txt", ".hidden/6.jpg", "a/.7.jpg")
    assert expand(f"{root}/{pattern}") == sorted(set(glob.glob(f"{root}/{pattern}", recursive=True)))


def test_two_stars_at_the_end_are_the_folder_once(tmp_path: Path) -> None:
    root = files(tmp_path, "1.jpg", "a/2.jpg")
    assert expand(f"{root}/**") == [root]


def test_links_that_lead_back_are_no_more_matches(tmp_path: Path) -> None:
    root = files(tmp_path, "a/1.jpg", "b/2.jpg")
    (tmp_path / "loop").symlink_to(".")
    (tmp_path / "a" / "up").symlink_to("..")
    (tmp_path / "a" / "b").symlink_to("../b")
    (tmp_path / "b" / "a").symlink_to("../a")
    assert expand(f"{root}/**/*.jpg") == [f"{root}/a/1.jpg", f"{root}/b/2.jpg"]
    assert expand(f"{root}/*") == [f"{root}/a", f"{root}/b"]


def test_braces_keep_their_order_and_every_path_that_is_missing_is_told(tmp_path: Path) -> None:
    root = files(tmp_path, "0008.tar", "0010.tar", "x.tar", "y.tar")
    found = expand([f"{root}/{{0010..0008}}.tar", f"{root}/{{z,x}}*.tar"])
    assert found == [f"{root}/{name}" for name in ("0010.tar", "0009.tar", "0008.tar", "z*.tar", "x.tar")]
    told = [message for path in found if (message := unusable(path))]
    assert told[0].startswith(f"there is no file {root}/0009.tar; did you mean '00")
    assert told[1:] == [f"no file matches {root}/z*.tar"]


def test_a_file_whose_name_looks_like_a_pattern_is_itself(tmp_path: Path) -> None:
    root = files(tmp_path, "{a,b}.txt", "a.txt", "[1].txt", "1.txt")
    assert expand([f"{root}/{{a,b}}.txt", f"{root}/[1].txt"]) == [f"{root}/{{a,b}}.txt", f"{root}/[1].txt"]


@pytest.mark.parametrize(
    ("pattern", "count"),
    [("{0..999999999999}.tar", 10**12), ("{0..9999}{0..9999}.tar", 10**8), ("{9..-9999999999999999}", 10**16 + 9)],
)
def test_braces_of_too_many_paths_are_told_and_not_made(pattern: str, count: int) -> None:
    assert expand(pattern) == [pattern]
    assert unusable(pattern) == f"the braces of {pattern} stand for {count:,} paths; at most {MOST_PATHS:,} are read"


@pytest.mark.parametrize("pattern", ["{a," * 5000 + "}" * 5000, "{a,b}" * 5000, "{" * 5000, "{1.." + "9" * 5000 + "}"])
def test_texts_that_are_hardly_patterns_end_in_a_message(pattern: str) -> None:
    assert expand(pattern) == [pattern]
    assert unusable(pattern)


@pytest.mark.parametrize("text", BRACES.split())
def test_the_number_of_paths_is_known_before_they_are_made(text: str) -> None:
    assert brace_count(text) == len(braces(text))
