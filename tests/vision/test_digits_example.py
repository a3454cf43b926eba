"""The examples that recognise scans of digits: they learn, and the ViT reaches what it promises."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import tp_core
from tests.core.runs import environment, metrics
from tp_core import load_spec

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "vision"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the examples beside the data that they are trained on."""
    folder = tmp_path_factory.mktemp("digits")
    (folder / "examples" / "vision").mkdir(parents=True)
    for name in ("make_data.py", "vit.yaml", "deit.yaml"):
        (folder / "examples" / "vision" / name).write_bytes((EXAMPLES / name).read_bytes())
    script = [sys.executable, str(folder / "examples" / "vision" / "make_data.py")]
    subprocess.run(script, check=True, env=environment(), capture_output=True)
    return folder


def train(home: Path, name: str, steps: int) -> list[dict[str, Any]]:
    """The logged lines of a short training of an example, whose run is where the whole one's would be."""
    options = ["steps=" + str(steps), "log_every=5", "loggers=[]", "device=cpu", "workers=0"]
    spec = load_spec(home / "examples" / "vision" / f"{name}.yaml", [f"train.{option}" for option in options])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        tp_core.train(spec, home / "runs" / "vision" / name)
    finally:
        torch.set_num_threads(threads)
    return [line for line in metrics(home / "runs" / "vision" / name) if "loss" in line]


def test_the_split_is_fixed_and_has_every_class_on_both_sides(home: Path) -> None:
    digits = home / "runs" / "vision" / "digits"
    names = {side: sorted(path.name for path in (digits / side).rglob("*.png")) for side in ("train", "test")}
    assert (len(names["train"]), len(names["test"])) == (1438, 359)
    assert not set(names["train"]) & set(names["test"])
    assert names["test"][:3] == ["0002.png", "0012.png", "0013.png"]
    for side in names:
        assert sorted(path.name for path in (digits / side).iterdir()) == [str(digit) for digit in range(10)]


@pytest.mark.slow
def test_the_examples_learn(home: Path) -> None:
    for name in ("vit", "deit"):  # the second is taught by the first
        losses = [line["loss"] for line in train(home, name, steps=50)]
        assert statistics.mean(losses[-3:]) < 0.9 * losses[0], name


def test_the_specs_are_small() -> None:
    for name in ("vit", "deit"):
        written = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text())
        assert written["train"]["steps"] <= 3000


@pytest.mark.slow
def test_a_vit_from_scratch_tells_at_least_97_percent_of_the_digits() -> None:
    done = subprocess.run([sys.executable, str(EXAMPLES / "digits.py")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
