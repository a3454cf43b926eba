"""tp-core and tp-audio from wheels, with what they require, tp-text among it, and nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.audio.tones import SPECIAL, WORDS, recordings, texts
from tests.wheels import ROOT, Environment, install

SOURCES = {"tp_core": ROOT, **{name: ROOT / "plugins" / name for name in ("tp_text", "tp_audio")}}
#: Of our other distributions, and what only those and the tests need.
OTHERS = (
    *("tp_vision", "tp_crossmodal"),
    *("torchvision", "sklearn"),
)
SHORT = ["train.steps=3", "train.eval_every=3", "train.loggers=[]", "train.device=cpu", "data.cache=cache"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return install(tmp_path_factory.mktemp("wheels"), SOURCES)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The examples, with tones in place of the words that they have a synthesiser speak."""
    (tmp_path / "examples" / "audio").mkdir(parents=True)
    for name in ("s2t.yaml", "conformer-ctc.yaml"):
        shutil.copy(ROOT / "examples" / "audio" / name, tmp_path / "examples" / "audio" / name)
    data = tmp_path / "runs" / "audio"
    for number, part in enumerate(("train", "dev", "test")):
        manifest = recordings(data / part, 40 if part == "train" else 6, seed=number)
        lines = manifest.read_text().splitlines()
        (data / f"{part}.tsv").write_text("\n".join([lines[0], *(f"{part}/{line}" for line in lines[1:])]) + "\n")
    (data / "words.txt").write_text("\n".join([*SPECIAL, *WORDS]) + "\n")
    (data / "letters.txt").write_text("\n".join([*SPECIAL, " ", *sorted(set("".join(WORDS)))]) + "\n")
    return tmp_path


def test_every_module_and_preset_is_found_and_whole(installed: Environment, tmp_path: Path) -> None:
    listed = json.loads(installed.run("tp", "modules", "--json", within=tmp_path))
    assert {row["distribution"] for row in listed} == {"tp-core", "tp-text", "tp-audio"}
    assert {row["status"] for row in listed} == {"ok"}
    files = {Path(name).stem for name in installed.names("tp_audio") if name.startswith("tp_audio/presets/")}
    own = [row for row in listed if row["distribution"] == "tp-audio"]
    assert {row["name"] for row in own if row["kind"] == "presets"} == files - {"__init__"}


@pytest.mark.slow
def test_the_speech_to_text_example_trains_and_writes_texts(installed: Environment, project: Path) -> None:
    assert installed.has(*OTHERS, "torchaudio") == ["torchaudio"]
    assert (
        installed.run("tp", "train", "examples/audio/s2t.yaml", "--run", "run", *SHORT, within=project) == "run/model\n"
    )
    written = json.loads((project / "run" / "model" / "provenance.json").read_text())
    assert {each["distribution"] for each in written} == {"tp-core", "tp-text", "tp-audio"}
    search = ["--beams", "2", "--max-new-tokens", "4", "--output", "found.jsonl", "--json"]
    told = json.loads(installed.run("tp", "wer", "run", "--data", "runs/audio/test.tsv", *search, within=project))
    assert told["word_error_rate"] > 0
    rows = [json.loads(line) for line in (project / "found.jsonl").read_text().splitlines()]
    assert [row["text"] for row in rows] == texts(6, seed=2)


@pytest.mark.slow
def test_the_conformer_example_trains(installed: Environment, project: Path) -> None:
    told = installed.run("tp", "train", "examples/audio/conformer-ctc.yaml", "--run", "run", *SHORT, within=project)
    assert told == "run/model\n"
