"""The contracts of a converter, checked on a checkpoint from its author."""

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
    """Check that conversion to tp and back does not change a checkpoint.

    The written checkpoint must have the same tensors as the first one, bit for bit, and the same values in config.json.
    Converting it again must give the same model. A separate test must compare the model's outputs with those in
    transformers.

    Args:
        subject: the converter.
        checkpoint: a folder with config.json and weights, for example a small model with random weights that was saved
            by transformers.
    """
    config = subject.config()
    assert isinstance(config, ConverterConfig)
    assert config.architectures, "architectures is empty; it must name the transformers classes to convert"
    with TemporaryDirectory() as place:
        folder = Path(place)
        try:
            convert("huggingface", checkpoint, "tp", folder / "ours", model_type=subject.name)
            convert("tp", folder / "ours", "huggingface", folder / "back", model_type=subject.name)
            convert("huggingface", folder / "back", "tp", folder / "again", model_type=subject.name)
        except TPError as error:
            raise AssertionError(f"the checkpoint is not converted both ways: {error}") from error
        _check_tensors(_tensors(Path(checkpoint)), _tensors(folder / "back"), "the written checkpoint")
        _check_tensors(_tensors(folder / "ours"), _tensors(folder / "again"), "the model from the written checkpoint")
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
        assert torch.equal(tensor, after[name]), f"the tensor '{name}' of {what} has other values"


def _check_values(before: Path, after: Path) -> None:
    old, new = (json.loads((each / "config.json").read_text(encoding="utf-8")) for each in (before, after))
    for key, value in new.items():
        if key == "model_type":  # a converter that is not installed writes the name of its class here
            continue
        assert key not in old or old[key] == value, (
            f"'{key}' in config.json is {json.dumps(old[key])}, but {json.dumps(value)} in the written checkpoint"
        )
