"""The commands call nothing that is deprecated: with ``PYTHONWARNINGS=error`` they do as without."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.core import runs
from tests.core.runs import write_project

#: Commands in the order in which each has what it needs.
COMMANDS = [
    ["modules"],
    ["schema", "--output", "schema.json"],
    ["doctor"],
    ["check", "spec.yaml"],
    ["show", "spec.yaml"],
    ["show", "spec.yaml", "--image", "model.svg"],
    ["preprocess", "spec.yaml"],
    ["cache", "list"],
    ["train", "spec.yaml", "--run", "run"],
    ["evaluate", "run", "--data", "corpus.txt"],
    ["predict", "run", "--text", "one [MASK] two"],
    ["embed", "run", "--input", "corpus.txt", "--output", "vectors.npy"],
    ["convert", "--from", "tp", "run", "--to", "huggingface", "theirs"],
    ["train", "lm.yaml", "--run", "lm"],
    ["generate", "lm", "--text", "one two", "--max-new-tokens", "2"],
    ["cache", "clear"],
]

LM = """\
extends: spec.yaml
model: {embedding: [word, pos], encoder: {transformer: {mask: causal}}, target: lm}
data: {processor: {lm: {max_length: 32}}, tokenizer: {space: {eos_token: "[SEP]"}}}
"""


@pytest.mark.slow
def test_no_command_warns(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", steps=1)
    (project / "lm.yaml").write_text(LM)
    own = runs.environment() | {"PYTHONWARNINGS": "error", "TP_CACHE": str(tmp_path / "cache")}
    for command in COMMANDS:
        done = subprocess.run(
            [sys.executable, "-m", "tp_core", *command],
            cwd=project,
            env=own,
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert (done.returncode, "Warning" in done.stderr) == (0, False), (command, done.stderr[-3000:])
