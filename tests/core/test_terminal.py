"""Texts from data, files' names and metadata cannot control the terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.core.runs import read_spec, write_project, write_spec
from tests.core.shelf import Shelf
from tests.core.shelf import shelf as shelf
from tp_core import load_spec, train
from tp_core.cli.main import cli
from tp_core.terminal import printable

#: Clears the screen; the same in one character; rings; turns the text around; goes back in the line.
EVIL = "\x1b[2J\x9b2J\x07\u202e\r"


def test_control_characters_are_escapes_and_all_other_text_stays() -> None:
    assert printable(EVIL) == "\\u001b[2J\\u009b2J\\u0007\\u202e\\u000d"
    text = "a\tb\nçaí 図 🙂 ‐ e\u0301 \u200d"
    assert printable(text) == text
    assert json.loads(printable(json.dumps({EVIL: EVIL}, ensure_ascii=False))) == {EVIL: EVIL}


def is_harmless(text: str) -> bool:
    return printable(text) == text


@pytest.mark.parametrize("command", ["check", "train", "show", "preprocess"])
def test_keys_and_names_of_a_spec_are_harmless(tmp_path: Path, command: str) -> None:
    project = write_project(tmp_path / f"project{EVIL[:4]}", documents=8, steps=1)
    write_spec(project, read_spec(project) | {f"key{EVIL}": 1})
    result = CliRunner().invoke(cli, [command, str(project / "spec.yaml")], prog_name="tp")
    assert result.exit_code == 2
    assert "\\u001b[2J" in result.output
    assert is_harmless(result.output)


def test_names_of_files_in_the_log_of_a_run_are_harmless(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = write_project(tmp_path / f"project{EVIL[:4]}", documents=8, steps=1)
    train(load_spec(project / "spec.yaml"), tmp_path / f"run{EVIL[:4]}")
    said = capsys.readouterr()
    assert "\\u001b[2J" in said.err
    assert is_harmless(said.out + said.err)


def test_metadata_of_packages_are_harmless(shelf: Shelf) -> None:
    shelf.encoder("acme-one", version=f"2.1{EVIL[:4]}")
    for command in (["modules"], ["modules", "--json"], ["doctor"]):
        result = CliRunner().invoke(cli, command, prog_name="tp")
        assert is_harmless(result.output), command


def test_results_on_a_terminal_are_harmless_and_in_a_pipe_they_are_as_they_are() -> None:
    code = "from tp_core.cli.output import STDOUT, whole_file\nwith whole_file(STDOUT) as file: file.write({!r})"
    command = [sys.executable, "-c", code.format(EVIL)]
    assert subprocess.run(command, capture_output=True, check=True).stdout.decode() == EVIL
    ours, theirs = pty.openpty()
    subprocess.run(command, stdout=theirs, check=True)
    os.close(theirs)
    assert os.read(ours, 1000).decode() == printable(EVIL)
    os.close(ours)
