"""Every example of examples/text trains on real text, and its loss falls."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from tests.core import runs
from tp_core import load_spec
from tp_core.discovery import index

ROOT = Path(__file__).parents[2]
SPECS = sorted((ROOT / "examples" / "text").glob("*.yaml"))

#: One of each kind is trained in the default suite, the others in the slow one.
_OFTEN = {"bert", "gpt2", "t5", "word2vec"}
TRAINED = [pytest.param(spec, marks=() if spec.stem in _OFTEN else pytest.mark.slow) for spec in SPECS]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the examples' folder beside the data that they are trained on."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(ROOT / "examples", folder / "examples")
    made = folder / "runs" / "text"
    script = folder / "examples" / "text" / "make_data.py"
    subprocess.run([sys.executable, str(script), str(made)], check=True, env=runs.environment(), capture_output=True)
    return folder


@pytest.fixture(scope="module")
def teacher(home: Path) -> None:
    """The trained BERT that distilbert.yaml learns from."""
    runs.train(home, "train.steps=20", "train.loggers=[]", spec="examples/text/bert.yaml")


@pytest.mark.parametrize("spec", TRAINED, ids=lambda value: value.stem)
def test_an_example_trains_on_real_text_and_its_loss_falls(
    spec: Path, home: Path, request: pytest.FixtureRequest
) -> None:
    if spec.stem == "distilbert":
        request.getfixturevalue("teacher")
    short = ["train.steps=40", "train.log_every=4", "train.loggers=[]", f"data.cache={home / 'cache'}"]
    runs.train(home, "--run", f"runs/check-{spec.stem}", *short, spec=f"examples/text/{spec.name}")
    losses = [line["loss"] for line in runs.metrics(home / "runs" / f"check-{spec.stem}") if "loss" in line]
    assert len(losses) == 10
    assert statistics.mean(losses[-4:]) < 0.98 * statistics.mean(losses[:4])


def test_every_family_of_presets_has_an_example() -> None:
    used = {preset_of(spec) for spec in SPECS}
    # A family's larger sizes extend its example's preset, or have their example in another size.
    families = {name.split("-")[0] for name in used}
    declared = {e.name for e in index().entries("presets") if e.distribution == "tp-text"}
    assert {name.split("-")[0] for name in declared} == families


def preset_of(spec: Path) -> str:
    (line,) = [line for line in spec.read_text().splitlines() if line.startswith("extends: ")]
    return line.removeprefix("extends: ")


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_an_example_is_small(spec: Path, home: Path, request: pytest.FixtureRequest) -> None:
    if spec.stem == "distilbert":
        request.getfixturevalue("teacher")
    loaded = load_spec(home / "examples" / "text" / spec.name)
    assert loaded.name == spec.stem
    assert loaded.train.options.steps is not None
    assert loaded.train.options.steps * loaded.train.options.batch_size <= 10_000
