"""The contracts of a converter, on a checkpoint that its author gives."""

from __future__ import annotations

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from tp_core.errors import TPError
from tp_core.interop.convert import convert
from tp_core.options.converter import ConverterConfig
from tp_core.testing.subject import Subject


def check(subject: Subject, *, checkpoint: str | os.PathLike[str]) -> None:
    """Check that a checkpoint comes through both ways unchanged.

    Checked are: it is converted to tp and back; the checkpoint that is written has the tensors of the first, bit for
    bit, and a config.json with its values; it makes the same model again. That a model computes what it computes in
    transformers is for a test beside this one.

    Args:
        checkpoint: a folder with config.json and weights, such as a small model with random weights that transformers
            has saved.
    """
    config = subject.config()
    assert isinstance(config, ConverterConfig)
    assert config.architectures, "architectures is empty; it names the classes of transformers that are converted"
    with TemporaryDirectory() as place:
        folder = Path(place)
        try:
            convert("huggingface", checkpoint, "tp", folder / "ours", model_type=subject.name)
            convert("tp", folder / "ours", "huggingface", folder / "back", model_type=subject.name)
            convert("huggingface", folder / "back", "tp", folder / "again", model_type=subject.name)
        except TPError as error:
            raise AssertionError(f"the checkpoint is not converted both ways: {error}") from error
        _check_tensors(_tensors(Path(checkpoint)), _tensors(folder / "back"), "the checkpoint that is written")
        _check_tensors(_tensors(folder / "ours"), _tensors(folder / "again"), "the model that it makes")
        _check_values(Path(checkpoint), folder / "back")


def _tensors(folder: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    found: dict[str, Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        found |= load_file(file)
    return found


def _check_tensors(before: dict[str, Tensor], after: dict[str, Tensor], what: str) -> None:
    missing = sorted(before.keys() - after.keys())
    assert not missing, f"{what} lacks the tensor '{missing[0]}' ({len(missing)} are missing)"
    for name, tensor in before.items():
        assert torch.equal(tensor, after[name]), f"the tensor '{name}' of {what} is another one"


def _check_values(before: Path, after: Path) -> None:
    old, new = (json.loads((each / "config.json").read_text(encoding="utf-8")) for each in (before, after))
    for key, value in new.items():
        if key == "model_type":  # of a converter that is not installed, the name of its class
            continue
        assert key not in old or old[key] == value, (
            f"config.json had {json.dumps(old[key])} as '{key}', and has {json.dumps(value)} when it is written again"
        )
