"""tp-core and tp-vision alone, from wheels, with what these two require and nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.wheels import ROOT, Environment, install

SOURCES = {"tp_core": ROOT, "tp_vision": ROOT / "plugins" / "tp_vision"}
#: Of our other distributions, and what only those and the tests need.
OTHERS = (
    *("tp_text", "tp_audio", "tp_crossmodal"),
    *("tokenizers", "sentencepiece", "transformers", "torchaudio", "soundfile", "jiwer", "datasets", "sklearn"),
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return install(tmp_path_factory.mktemp("wheels"), SOURCES)


def test_every_module_and_preset_of_the_two_is_found_and_whole(installed: Environment, tmp_path: Path) -> None:
    listed = json.loads(installed.run("tp", "modules", "--json", within=tmp_path))
    assert {row["distribution"] for row in listed} == {"tp-core", "tp-vision"}
    assert {row["status"] for row in listed} == {"ok"}
    files = {Path(name).stem for name in installed.names("tp_vision") if name.startswith("tp_vision/presets/")}
    assert {row["name"] for row in listed if row["kind"] == "presets"} == files - {"__init__"}


@pytest.mark.slow
def test_the_vit_example_trains(installed: Environment, tmp_path: Path) -> None:
    assert installed.has(*OTHERS, "torchvision") == ["torchvision"]
    example = tmp_path / "examples" / "vision"
    example.mkdir(parents=True)
    for name in ("vit.yaml", "make_data.py"):
        shutil.copy(ROOT / "examples" / "vision" / name, example / name)
    # The scans come with scikit-learn, which the environment lacks.
    subprocess.run([sys.executable, example / "make_data.py"], check=True, capture_output=True)
    short = ["train.steps=4", "train.log_every=2", "train.loggers=[]", "train.device=cpu", "data.cache=cache"]
    told = installed.run("tp", "train", "examples/vision/vit.yaml", "--run", "run", *short, within=tmp_path)
    assert told == "run/model\n"
    written = json.loads((tmp_path / "run" / "model" / "provenance.json").read_text())
    assert {each["distribution"] for each in written} == {"tp-core", "tp-vision"}
    digits = "runs/vision/digits/test/3"
    installed.run("tp", "predict", "run", "--input", digits, "--output", "found.jsonl", within=tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    assert len(rows) == len(list((tmp_path / digits).iterdir()))
