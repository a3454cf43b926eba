"""A run knows on what each of its steps was computed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.core.runs import write_project
from tp_core import load_spec, train


def test_other_threads_are_noted_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project, threads = write_project(tmp_path / "project", documents=8, steps=2), torch.get_num_threads()
    try:
        for number, (count, steps) in enumerate(((1, 2), (1, 4), (2, 6))):
            torch.set_num_threads(count)
            spec = load_spec(project / "spec.yaml", [f"train.steps={steps}"])
            capsys.readouterr()
            train(spec, tmp_path / "run", resume=number > 0, allow_change="steps" if number else ())
            told = "the machine or software has changed, so results may differ in the last bits: threads (was 1, is 2)"
            assert (told in capsys.readouterr().err) == (count == 2)
    finally:
        torch.set_num_threads(threads)
    lines = [json.loads(line) for line in (tmp_path / "run" / "starts.jsonl").read_text().splitlines()]
    assert [(line["step"], line["threads"]) for line in lines] == [(0, 1), (2, 1), (4, 2)]
    assert {(line["processes"], line["torch"]) for line in lines} == {(1, torch.__version__)}


def test_the_steps_that_are_made_again_are_noted_anew(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", documents=8, steps=4)
    train(load_spec(project / "spec.yaml", ["train.checkpoint_every=2"]), tmp_path / "run")
    (tmp_path / "run" / "starts.jsonl").write_text('{"step": 0, "threads": 7}\n{"step": 4, "threads": 8}\nnot whole')
    train(load_spec(project / "spec.yaml"), tmp_path / "run", resume=True)
    lines = [json.loads(line) for line in (tmp_path / "run" / "starts.jsonl").read_text().splitlines()]
    assert [(line["step"], line["threads"]) for line in lines] == [(0, 7), (4, torch.get_num_threads())]
