"""tp-core, tp-text and tp-tencentpretrain from wheels, with what they require and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tencentpretrain.shapes import SHAPES, TOKENS
from tests.tencentpretrain.test_shapes import write
from tests.wheels import ROOT, Environment, install, outcome

SOURCES = {"tp_core": ROOT, **{name: ROOT / "plugins" / name for name in ("tp_text", "tp_tencentpretrain")}}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return install(tmp_path_factory.mktemp("wheels"), SOURCES)


def test_a_checkpoint_is_converted_checked_and_goes_back(installed: Environment, tmp_path: Path) -> None:
    assert installed.has("tp_vision", "tp_audio", "tp_crossmodal", "torchvision") == []
    write(tmp_path, SHAPES["bert"])
    (tmp_path / "vocab.txt").write_text(
        "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *map(str, range(TOKENS - 5))])
    )
    to = ["--to", "tp", "ours", "--vocab", "vocab.txt"]
    installed.run("tp", "convert", "--from", "tencentpretrain", "model.bin", *to, within=tmp_path)
    told = installed.run("tp", "check", "ours", within=tmp_path)
    assert told.startswith("ours: ok, checked as a model")
    installed.run("tp", "convert", "--from", "tp", "ours", "--to", "tencentpretrain", "back", within=tmp_path)
    assert {path.name for path in (tmp_path / "back").iterdir()} >= {"model.bin", "config.json", "vocab.txt"}
    flags = ["--corpus_path", "corpus.txt", "--vocab_path", "vocab.txt", "--data_processor", "mlm"]
    written = installed.run("tp", "import-spec", "config.json", "--", *flags, within=tmp_path)
    assert "mlm" in written


def test_a_model_of_a_package_that_is_not_there_names_the_package(installed: Environment, tmp_path: Path) -> None:
    write(tmp_path, SHAPES["vit"])
    command = [str(installed.folder / "bin" / "tp"), "convert", "--from", "tencentpretrain", "model.bin"]
    done = outcome([*command, "--to", "tp", "ours"], tmp_path)
    assert done.returncode == 2
    assert "tp-vision" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "ours").exists()


def test_all_modules_of_the_wheels_are_whole(installed: Environment, tmp_path: Path) -> None:
    listed = json.loads(installed.run("tp", "modules", "--json", within=tmp_path))
    assert {row["distribution"] for row in listed} == {"tp-core", "tp-text", "tp-tencentpretrain"}
    assert {row["status"] for row in listed} == {"ok"}
