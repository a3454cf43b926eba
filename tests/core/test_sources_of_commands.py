"""Commands on trained models read sources that their options name, as training does."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.core import runs
from tests.core.test_named_sources import acme, database
from tp_core import evaluate, load_spec, train
from tp_core.cli.main import cli
from tp_core.discovery import index, load

__all__ = ["acme"]

LINES = ["ba be bi", "da de", "", "ba bo da du", "be bi"]
SOURCE = "{acme.sqlite: {path: shop.db, table: lines}}"


@pytest.fixture
def home(acme: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A project with a trained model, and the same lines as a text and as a table."""
    home = runs.write_project(tmp_path / "project", steps=2)
    monkeypatch.chdir(home)
    train(load_spec(home / "spec.yaml"), home / "run")
    database(home / "shop.db", LINES)
    (home / "lines.txt").write_text("".join(f"{line}\n" for line in LINES))
    capsys.readouterr()
    return home


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, [*arguments])
    return result.exit_code, result.output


def test_a_table_is_evaluated_as_the_same_lines_of_a_text_are(home: Path) -> None:
    status, table = run("evaluate", "run", "--data", SOURCE, "--column", "text=body", "--json")
    assert status == 0, table
    status, text = run("evaluate", "run", "--data", "lines.txt", "--json")
    assert (status, text.splitlines()[-1]) == (0, table.splitlines()[-1])
    config = load(index().find("source", "acme.sqlite"))(path=str(home / "shop.db"), table="lines")
    in_python = evaluate("run", config, columns={"text": "body"})
    assert in_python == evaluate("run", "lines.txt")


def test_a_table_is_embedded_as_the_same_lines_of_a_text_are(home: Path) -> None:
    for name, given in (
        ("table.npy", ("--input", SOURCE, "--column", "text=body")),
        ("text.npy", ("--input", "lines.txt")),
    ):
        status, said = run("embed", "run", *given, "--output", name)
        assert status == 0, said
    assert Path("table.npy").read_bytes() == Path("text.npy").read_bytes()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{acme.sqlit: {path: shop.db}}", "unknown source 'acme.sqlit'; did you mean 'acme.sqlite'?"),
        ("{acme.sqlite: {path: shpo.db, table: lines}}", "--data:1:22: acme.sqlite.path: there is no file"),
        ("{acme.sqlite: {path: shop.db, tabel: lines}}", "unknown option 'tabel'; did you mean 'table'?"),
        ("{acme.sqlite: {path: shop.db, table: line}}", "there is no table 'line'; did you mean 'lines'?"),
        ("{acme.sqlite: {path: shop.db", "this is not valid YAML"),
        ("{a: {}, b: {}}", "expected one module"),
        ('{"acme.sqlite":{"path":"shop.db"}}', "acme.sqlite.table: is required"),
        ("{more,lines}.txt", "--data more.txt: there is no such file"),
        ("nothing.txt", "--data nothing.txt: there is no such file"),
    ],
)
def test_what_is_wrong_with_a_named_source_is_one_message(home: Path, source: str, message: str) -> None:
    status, said = run("evaluate", "run", "--data", source)
    assert status == 2, said
    assert message in said
    assert said.count("error:") <= 1
    assert "Traceback" not in said
