"""Checkpoints that the original's own code has made, with the losses that it computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import tp_core
from tp_core.artifacts.load import load_model
from tp_core.interfaces import IGNORE, Batch
from tp_core.interfaces.batch import Inputs

FOLDER = Path(__file__).with_name("oracles")
NAMES = sorted(path.stem for path in FOLDER.glob("*.bin"))


def batch_of(given: dict[str, Tensor]) -> Batch:
    """A batch with the inputs and labels of an oracle."""
    src, seg = given["src"], given["seg"]
    labels: dict[str, Inputs] = {}
    target: Inputs | None = None
    source: Inputs
    if src.dtype == torch.int64:
        source = {"input_ids": src, "attention_mask": seg > 0, "token_type_ids": (seg - 1).clamp(min=0)}
    elif src.dim() == 4:
        source = {"pixel_values": src}
    else:  # two convolutions, each of stride 2
        source = {"input_features": src, "attention_mask": torch.arange(src.shape[1]) < 4 * seg.sum(1, keepdim=True)}
    if "mlm" in given:
        labels = {"mlm": {"labels": given["mlm"].masked_fill(given["mlm"] == 0, IGNORE)}, "sp": {"labels": given["sp"]}}
    elif "tgt_in" in given:
        target = {"input_ids": given["tgt_in"], "attention_mask": given["tgt_seg"] > 0}
        labels = {"lm": {"labels": given["tgt_out"].masked_fill(given["tgt_seg"] == 0, IGNORE)}}
    elif src.dtype == torch.int64:
        labels = {"lm": {"labels": given["tgt"].masked_fill(seg == 0, IGNORE)}}
    else:
        labels = {"cls": {"labels": given["tgt"]}}
    return Batch({"": source}, len(src), target, labels)


def losses(folder: Path, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
    """The sum of the losses of each target, and the number of its labels."""
    model = load_model(folder, "cpu").model.eval()
    with torch.no_grad():
        return {name: (each.loss_sum, each.denominator) for name, each in model(batch).outputs.items()}


@pytest.mark.parametrize("name", NAMES)
def test_losses_are_those_of_the_original(name: str, tmp_path: Path) -> None:
    config = str(FOLDER / f"{name}.json")
    folder = tp_core.convert("tencentpretrain", FOLDER / f"{name}.bin", "tp", tmp_path / "ours", config=config)
    expected: dict[str, Any] = torch.load(FOLDER / f"{name}.expected.pt", weights_only=True)
    batch = batch_of(expected["inputs"])
    if name == "s2t":  # 'ignore_index' leaves out padding, but counts it
        labels = batch.labels["lm"]["labels"]
        count = (labels != IGNORE).sum()
        labels[labels == 0] = IGNORE
        found = {"lm": losses(folder, batch)["lm"][0] / count}
    else:
        found = {target: total / number for target, (total, number) in losses(folder, batch).items()}
    assert found.keys() == expected["loss"].keys()
    for target, loss in expected["loss"].items():
        assert found[target].item() == pytest.approx(loss, abs=1e-5)


def test_there_are_eight_oracles() -> None:
    assert len(NAMES) == 8
