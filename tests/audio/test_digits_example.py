"""The example that recognises spoken digits: its specs are right, and it reaches what it promises."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tp_core import load_spec
from tp_core.spec.checks.run import check_run

EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "audio"


@pytest.mark.parametrize("name", ["conformer-ctc", "s2t"])
def test_an_examples_spec_is_right_for_the_data_that_is_made_for_it(tmp_path: Path, name: str) -> None:
    data = tmp_path / "runs" / "audio"
    data.mkdir(parents=True)
    for vocabulary in ("words.txt", "letters.txt"):
        (data / vocabulary).write_text("[PAD]\n[UNK]\n[EOS]\n \na\nb\n")
    for manifest in ("train.tsv", "dev.tsv"):
        (data / manifest).write_text("audio\ttext\n0.flac\ta b\n")
    folder = tmp_path / "examples" / "audio"
    folder.mkdir(parents=True)
    shutil.copy(EXAMPLES / f"{name}.yaml", folder)
    check_run(load_spec(folder / f"{name}.yaml"))


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("espeak-ng") is None and importlib.util.find_spec("espeakng_loader") is None,
    reason="no speech synthesiser",
)
def test_digits_of_unseen_voices_are_recognised() -> None:
    done = subprocess.run([sys.executable, str(EXAMPLES / "digits.py")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
