"""The documentation says what the code does."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import click
import pytest

from tests.core.runs import SPECIAL, WORDS
from tp_core import load_spec
from tp_core.cli.main import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "docs/modules/*.md", "docs/tasks/*.md", "plugins/*/*.md", "examples/*/*.md")
    for path in ROOT.glob(pattern)
)
SPEC = re.compile(r"```yaml\n(.*?)```", re.DOTALL)
COMMAND = re.compile(r"^    (tp .*)$", re.MULTILINE)


def relative(page: Path) -> str:
    return str(page.relative_to(ROOT))


def test_the_reference_is_what_its_script_writes() -> None:
    found = importlib.util.spec_from_file_location("generate_reference", ROOT / "docs" / "generate_reference.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    expected = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert module.reference() == expected, "run: python docs/generate_reference.py"


def test_the_table_of_models_is_what_its_script_writes() -> None:
    found = importlib.util.spec_from_file_location("generate_models", ROOT / "docs" / "generate_models.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    written = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    assert written == module.HEAD + module.table(), "run: python docs/generate_models.py"


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_the_specs_of_a_page_are_right(page: Path, tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("".join(f"{token}\n" for token in [*SPECIAL, *WORDS]))
    specs = [
        text for text in SPEC.findall(page.read_text(encoding="utf-8")) if re.search("^(model|extends):", text, re.M)
    ]
    for number, text in enumerate(specs):
        # The first spec of a page is what later ones may extend.
        file = tmp_path / ("my_bert.yaml" if number == 0 else "other.yaml")
        file.write_text(text, encoding="utf-8")
        load_spec(file)


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_the_commands_of_a_page_have_the_options_that_it_shows(page: Path) -> None:
    for line in COMMAND.findall(page.read_text(encoding="utf-8")):
        arguments = shlex.split(line, comments=True)[1:]
        command: click.Command = cli
        context = click.Context(cli)
        while isinstance(command, click.Group) and arguments:
            _name, found, arguments = command.resolve_command(context, arguments)
            assert found is not None, line
            command = found
        if "COMMAND" not in line:
            command.make_context("tp", list(arguments))


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
