"""Mistakes in YAML: the same words and places whichever parser PyYAML has, and however it words them itself."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tp_core.spec.errors import SpecError
from tp_core.spec.tree import yaml_loader
from tp_core.spec.tree.yaml_loader import parse

PARSERS = {"C": getattr(yaml, "CBaseLoader", yaml.BaseLoader), "Python": yaml.BaseLoader}

NO_MORE = "this does not continue the block from line {}; is its indentation right?"
SECOND_KEY = "a second key stands on this line; a text with ': ' in it needs quotes"
NO_KEY = "a key cannot stand here; is the indentation of this line right?"
TAB = "a tab stands here; YAML is indented with spaces"
AFTER_QUOTES = "something follows the text in quotes; within single quotes, '' is an apostrophe"
BRACES = 'a path with braces needs quotes here, as in "shards/{0000..0099}.tar"'
ESCAPE = "the escape that begins here is unknown; write \\\\ for a backslash, or use single quotes"

#: A text, where it is wrong, and what is said.
MISTAKES: dict[str, tuple[str, str, str]] = {
    "a line too far right": ("m:\n  a: word\n   b: x\n", "3:5", NO_KEY),
    "a line too far left": ("m:\n    a: 1\n  b: 2\n", "3:3", NO_MORE.format(1)),
    "a key among items": ("m:\n  - a\n  b: 2\n", "3:3", NO_MORE.format(2)),
    "an item among keys": ("a: 1\n- b\n", "2:1", NO_MORE.format(1)),
    "an item beside its key": (
        "name: - a\n", "1:7", "a list cannot begin on the line of its key; begin it on the next line",
    ),
    "two keys on a line": ("name: a: b\n", "1:8", SECOND_KEY),
    "no space after the colon": ("m:\n  a: 1\n  b:2\n", "3:3", "a key needs a colon and a space after it"),
    "no colon after quotes": ('m:\n  a: 1\n  "b"\nc: 1\n', "3:3", "a key needs a colon and a space after it"),
    "a tab": ("m:\n\ta: x\n", "2:1", TAB),
    "a tab after a value": ("m:\n  a: 1\n\tb: x\n", "3:1", TAB),
    "a tab in a block of text": ("name: |\n\ta\n", "2:1", TAB),
    "a list never closed": ("m:\n  e: [a, b\n", "2:6", "this list is never closed: expected ',' or ']'"),
    "a mapping never closed": ('{"a": {"b": 1}\n', "1:1", "this mapping is never closed: expected ',' or '}'"),
    "a list that runs on": ("m:\n  e: [a\n  d: x\n", "3:4", "expected ',' or ']' in the list that begins on line 2"),
    "a list closed by a brace": ("a: [b}\n", "1:6", "expected ',' or ']' in the list that begins at column 4"),
    "no comma": ('{\n"a": []\n"b": 2\n}', "3:1", "expected ',' or '}' in the mapping that begins on line 1"),
    "a comma without a value": ("m: [, a]\n", "1:5", "a value is missing before this comma"),
    "the end after a comma": ("m: {a: 1, \n\n", "1:10", "the text ends here, before it is complete"),
    "a bracket too many": ("a: [b]]\n", "1:7", "this ']' closes nothing; a text with it needs quotes"),
    "a brace too many": ('{"a": 1}}\n', "1:9", "this '}' closes nothing; a text with it needs quotes"),
    "a single quote": ("name: 'my run\nm: {e: w}\n", "1:7", "the text that begins with ' here is never closed"),
    "a double quote": ('name: "my run\nm: {e: w}\n', "1:7", 'the text that begins with " here is never closed'),
    "an apostrophe": ("name: 'it's'\n", "1:11", AFTER_QUOTES),
    "a word after quotes": ("name: 'a' b\n", "1:11", AFTER_QUOTES),
    "a backslash": ('name: "C:\\data"\n', "1:10", ESCAPE),
    "a half escape": ('name: "\\xZZ"\n', "1:8", ESCAPE),
    "a star": ("train: *.txt\n", "1:8", 'a text that begins with * needs quotes: "*.txt"'),
    "an ampersand": ("name: & Co\n", "1:7", 'a text that begins with & needs quotes: "& Co"'),
    "a greater-than sign": ("lr: > 3\n", "1:5", 'a text that begins with > needs quotes: "> 3"'),
    "an at sign": ("name: @me\n", "1:7", 'a text that begins with @ needs quotes: "@me"'),
    "a percent sign": ("name: %x\n", "1:7", 'a text that begins with % needs quotes: "%x"'),
    "an unknown alias": (
        "m: *base\n", "1:4", "the alias '*base' is undefined: there is no '&base' before it",
    ),
    "an anchor twice": ("a: &x 1\nb: &x 2\n", "2:4", "the anchor '&x' is given twice"),
    "two documents": ("a: 1\n---\nb: 2\n", "2:1", "a second document begins here; a spec is one document"),
    "a directive": ("%YAML 3.0\n---\na: 1\n", "1:1", "a line that begins with % is a directive; a spec has none"),
    "braces of a path": ("a: {00..99}.tar\n", "1:12", BRACES),
    "braces of a path in a list": ("a: [x, s/{00,99}.tar]\n", "1:10", BRACES),
}  # fmt: skip

#: A text of so many levels, and where the level after the hundredth begins.
TOO_DEEP: dict[str, tuple[str, str]] = {
    "lists in a line": ("name: " + "[" * 3000 + "]" * 3000, "1:106"),
    "lists without end": ("name: " + "[" * 300_000, "1:106"),
    "lists in lines": ("name:\n" + " [\n" * 3000, "101:2"),
    "mappings in a line": ("name: " + "{a: " * 3000 + "1" + "}" * 3000, "1:403"),
    "JSON": ('{"name":\n' + '{"a":[' * 2000 + "]}" * 2000 + "}", "2:300"),
    "JSON in lines": ('{"a":\n' * 2000 + "1" + "}" * 2000, "101:1"),
    "tabs": ("name: {\n\ta: " + "[" * 3000, "2:103"),
    "items in items": ("name:\n  " + "- " * 50_000 + "x", "2:201"),
    "keys in keys": ("\n".join(" " * level + "a:" for level in range(1500)), "101:101"),
    "keys of keys": ("? " * 3000 + "x", "1:201"),
    "items, then lists": ("- " * 60 + "[" * 3000, "1:161"),
    "behind many others": ("a: [{b: c}]\n" * 200 + "d: " + "[" * 3000, "201:103"),
    "quoted brackets": ('"[[": ' + '["]]]", ' * 2000, "1:799"),
}


@pytest.fixture(params=PARSERS)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Read specs with one of PyYAML's two parsers."""
    monkeypatch.setattr(yaml_loader, "_Loader", PARSERS[request.param])


def _refused(text: str, source: str = "s") -> tuple[str, str]:
    with pytest.raises(SpecError) as caught:
        parse(text, source)
    (problem,) = caught.value.problems
    return problem.origin.place().removeprefix(f"{source}:"), problem.message


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_in_our_words_at_its_place(mistake: str) -> None:
    text, place, message = MISTAKES[mistake]
    assert _refused(text) == (place, f"this is not valid YAML: {message}")


@pytest.mark.usefixtures("parser")
def test_a_mistake_unlike_all_others_has_its_place_and_the_words_of_the_parser() -> None:
    place, message = _refused("a: 1\n...\nb: 2\n")
    assert place == "3:1"
    assert message.startswith("this is not valid YAML: ")
    assert "document start" in message


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("case", TOO_DEEP)
def test_nesting_is_refused_where_it_becomes_too_deep(case: str) -> None:
    text, place = TOO_DEEP[case]
    assert _refused(text) == (place, "nested more than 100 levels deep")


@pytest.mark.usefixtures("parser")
def test_nesting_in_a_json_file_is_refused_where_it_becomes_too_deep() -> None:
    text, place = TOO_DEEP["JSON in lines"]
    assert _refused(text.replace('"a"', '\t"a"'), "spec.json") == (place, "nested more than 100 levels deep")


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    "text",
    [
        "[" * 100 + "]" * 100,
        "{a: " * 100 + "x" + "}" * 100,
        "- " * 100 + "x",
        "\n".join(" " * level + "a:" for level in range(100)) + " x",
        "a: " + ", ".join(["[[x]]"] * 3).join("[]") + "\nb: '" + "[" * 5000 + "'\n# " + "[" * 5000,
        "a: |\n  " + "- " * 5000 + "\n",
        "a: [" + ", ".join(["{b: [c]}"] * 300) + "]",
    ],
)
def test_a_hundred_levels_and_brackets_that_are_text_are_read(text: str) -> None:
    assert parse(text, "s").plain() == yaml.load(text, Loader=yaml.BaseLoader)


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: &a " + "[" * 60 + "]" * 60 + "\nb: " + "[" * 60 + "*a" + "]" * 60, "1:46"),  # an alias is a level too
        ("[a: " * 60 + "x" + "]" * 60, "1:201"),  # a pair in a list is a mapping
    ],
)
def test_levels_that_only_the_composed_tree_shows_are_counted(text: str, place: str) -> None:
    assert _refused(text) == (place, "nested more than 100 levels deep")
