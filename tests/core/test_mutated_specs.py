"""A spec that was damaged in any way is right, or ends in one message: never in another exception, never in a hang."""

from __future__ import annotations

import copy
import random
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tp_core import TPError
from tp_core.cli.check import checked
from tp_core.discovery import index

ROOT = Path(__file__).parents[2]

#: Values in the place of others: of every type, at the edges of their ranges, and texts that look like something else.
ODD: list[Any] = [None, True, False, 0, 1, -1, 2**31, 2**63, 10**9, 10**40]
ODD += [0.0, -0.5, 1e-320, 1e300, float("inf"), float("nan")]
ODD += [{}, [], [None], [[]], {"": 1}, {"x": {}}, {1: 2}, [{"word": 1}, "word"], {"word": None}, b"\x00\xff"]
TEXTS = ["", " ", "x", "x" * 5000, "null", "1e3", "0x10", "~", "../../etc/passwd", "a/b", "/", "hf://x", ":", "a:b"]
TEXTS += ["a.b:C", "@", "word@", "@tp-text", "e\u0301", "\u202e", "\x1b[2J", "\ud800", "x" * 300 + ":X"]
ODD += TEXTS

#: Pieces that the text of a YAML file may be damaged with.
PIECES = ["\t", "\n", ":", "- ", "&a ", "*a", "!!python/object:os.system ", "!x ", "<<: ", "{", "}", "[", "]", "'", '"']
PIECES += ["#", "%YAML 9\n", "---\n", "...\n", "? ", "|", ">", "\x00", "\ufeff", "\u2028", "é", "0o7", "2001-01-01", ""]


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values inside a tree."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def at(tree: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def damaged(tree: Any, rng: random.Random) -> str:
    """The text of a spec with one to three mistakes."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.choice((1, 1, 2, 3))):
        known = list(places(tree))
        if not known:
            break
        path = rng.choice(known)
        holder, key, value = at(tree, path[:-1]), path[-1], at(tree, path)
        kind = rng.randrange(8)
        if kind <= 2:
            holder[key] = copy.deepcopy(rng.choice(ODD))  # which a later damage may change
        elif kind == 3:
            del holder[key]
        elif kind == 4 and isinstance(holder, dict):
            letters = list(str(key))
            rng.shuffle(letters)
            other = rng.choice(("".join(letters), f"{key}x", str(key).upper(), rng.choice(TEXTS)))
            holder[other] = holder.pop(key)
        elif kind == 5:
            holder[key] = rng.choice(([value], {"x": value}, {str(key): value}, [value, value]))
        elif kind == 6:
            holder[key] = copy.deepcopy(at(tree, rng.choice(known)))
        elif isinstance(value, (int, float)):
            holder[key] = value * rng.choice((-1, 0, 1e9, 0.5)) if not isinstance(value, bool) else int(value)
    text = yaml.safe_dump(tree, sort_keys=False, allow_unicode=rng.random() < 0.5)
    if rng.random() < 0.3:
        place = rng.randrange(len(text))
        text = text[:place] + rng.choice(PIECES) + text[place + rng.randrange(3) :]
    return text


def specs() -> list[Any]:
    """Good specs, as trees: the examples, and presets."""
    files = sorted((ROOT / "examples").glob("*/*.yaml"))
    trees = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in files]
    return trees + [{"extends": name} for name in sorted(index().names("presets"))[::7]]


def message_of(spec: Path) -> str | None:
    """The message that a spec ends in; None for one that is right."""
    try:
        checked(str(spec))
    except TPError as error:
        return str(error)
    return None


def check_damaged(folder: Path, seeds: range) -> None:
    trees = specs()
    for seed in seeds:
        rng = random.Random(seed)
        text = damaged(rng.choice(trees), rng)
        (folder / "spec.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
        signal.alarm(20)  # a hang ends the test
        try:
            said = message_of(folder / "spec.yaml")
        except Exception as error:
            shown = re.sub(r"(x{20})x+", r"\1...", text)
            raise AssertionError(f"seed {seed}: {type(error).__name__}: {str(error)[:300]}\n{shown}") from error
        finally:
            signal.alarm(0)
        assert said is None or said.strip(), seed


def test_some_hundred(tmp_path: Path) -> None:
    check_damaged(tmp_path, range(400))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(28))
def test_eleven_thousand(tmp_path: Path, part: int) -> None:
    check_damaged(tmp_path, range(400 * (part + 1), 400 * (part + 2)))
