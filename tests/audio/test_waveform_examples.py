"""The examples of models of raw waveforms train on recordings of tones, and their losses fall."""

from __future__ import annotations

import shutil
import statistics
from pathlib import Path

import pytest
import soundfile

from tests.audio.waveforms import RATE, melodies
from tests.core import runs

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the examples beside recordings and their units."""
    folder = tmp_path_factory.mktemp("waveforms")
    shutil.copytree(ROOT / "examples" / "audio", folder / "examples" / "audio")
    made = folder / "runs" / "audio"
    (made / "train").mkdir(parents=True)
    rows = ["audio"]
    for number, (samples, _) in enumerate(melodies(40)):
        soundfile.write(made / "train" / f"{number}.wav", samples, RATE)
        rows.append(f"train/{number}.wav")
    (made / "train.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    runs.run_tp(folder, "units", "runs/audio/train.tsv", "--clusters", "50", "--output", "runs/audio/units.jsonl")
    return folder


@pytest.mark.parametrize("name", ["wav2vec2", "hubert", "wavlm"])
def test_an_example_trains_and_its_loss_falls(name: str, home: Path) -> None:
    short = ["train.steps=30", "train.log_every=3", "train.loggers=[]", "train.batch_size=4"]
    runs.train(home, "--run", f"runs/{name}", *short, spec=f"examples/audio/{name}.yaml")
    losses = [line["loss"] for line in runs.metrics(home / "runs" / name) if "loss" in line]
    assert len(losses) == 10
    assert statistics.mean(losses[-3:]) < 0.97 * statistics.mean(losses[:3])
