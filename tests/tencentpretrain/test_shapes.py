"""Every shape of the original: its checkpoints become models of tp that compute the same, and go back unchanged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import tp_core
from tests.tencentpretrain import original
from tests.tencentpretrain.inputs import drawn
from tests.tencentpretrain.shapes import SHAPES, TOKENS
from tp_core.artifacts.load import load_model
from tp_core.interfaces import Sequence


def write(folder: Path, config: dict[str, Any]) -> dict[str, torch.Tensor]:
    """A checkpoint with random tensors and its config, in ``folder``."""
    tensors = original.Maker(config, TOKENS).tensors
    torch.save(tensors, folder / "model.bin")
    (folder / "config.json").write_text(json.dumps(config))
    return tensors


def convert(folder: Path, target: str = "ours", **options: Any) -> tuple[Path, list[str]]:
    said: list[str] = []
    place = tp_core.convert(
        "tencentpretrain",
        folder / "model.bin",
        "tp",
        folder / target,
        config=str(folder / "config.json"),
        say=said.append,
        **options,
    )
    return place, said


def states(folder: Path, config: dict[str, Any]) -> list[Sequence]:
    model = load_model(folder, "cpu").model.eval()
    given = drawn(config)
    with torch.no_grad():
        found = model.encode(given.ours)
    return [*found.streams.values()] if config["embedding"] == ["dual"] else [found.sequence]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_converted_model_computes_what_the_original_computes(shape: str, tmp_path: Path) -> None:
    config = SHAPES[shape]
    tensors = write(tmp_path, config)
    folder, _ = convert(tmp_path)
    given = drawn(config)
    with torch.no_grad():
        expected = original.features(tensors, config, **given.theirs)
    both = zip(expected, given.real) if config["embedding"] == ["dual"] else [(expected, given.real)]
    for found, (wanted, real) in zip(states(folder, config), both, strict=True):
        own = found.states[real]
        assert own.shape == wanted[real].shape
        assert (own - wanted[real]).abs().max() <= 1e-5 * max(1.0, wanted[real].abs().max())


@pytest.mark.parametrize("shape", SHAPES)
def test_a_converted_model_goes_back_unchanged(shape: str, tmp_path: Path) -> None:
    config = SHAPES[shape]
    tensors = write(tmp_path, config)
    folder, _ = convert(tmp_path)
    back = tp_core.convert("tp", folder, "tencentpretrain", tmp_path / "back")
    found = torch.load(back / "model.bin", weights_only=True)
    unused = {name for name in tensors if name.endswith("encoder.relative_pos_emb.relative_attention_bias.weight")}
    assert found.keys() == tensors.keys()
    for name in tensors.keys() - unused:
        if config["encoder"] != "gatedcnn" or "weight" in name:  # of two biases that are added, one becomes zero
            assert torch.allclose(found[name], tensors[name], rtol=1e-6, atol=0), name
    given = drawn(config)
    written = json.loads((back / "config.json").read_text())
    assert written.get("label_smoothing", 0) == pytest.approx(config.get("label_smoothing", 0))
    if config.get("data_processor") == "vit":  # others have no processor without a vocabulary
        assert written["data_processor"] == "vit"
    assert set(written.get("target", ())) == set(config.get("target", ()))
    with torch.no_grad():
        before = original.features(tensors, config, **given.theirs)
        after = original.features(found, written, **given.theirs)
    for one, other in zip(before, after) if isinstance(before, list) else [(before, after)]:
        assert torch.allclose(one, other, atol=1e-5)
