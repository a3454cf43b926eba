"""The contracts of a format, checked on a model from its author."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import load_file

from tp_core.artifacts.layout import WEIGHTS
from tp_core.artifacts.specs import find_spec
from tp_core.errors import TPError
from tp_core.interfaces.format import Format
from tp_core.interop.convert import convert
from tp_core.options.format import FormatConfig
from tp_core.testing.subject import Subject


def check(
    subject: Subject, *, model: str | os.PathLike[str] | None = None, read_options: Mapping[str, Any] | None = None
) -> None:
    """Check that conversion to tp and back does not change a model. Without a model, only the options are checked.

    Args:
        subject: the format.
        model: a model in the format, for example a small one with random weights.
        read_options: the options with which it is read.
    """
    config = subject.config()
    assert isinstance(config, FormatConfig)
    wrong = (config.reading | config.writing) - type(config).model_fields.keys()
    assert not wrong, f"reading and writing name '{min(wrong)}', which is no option"
    made = config.build(subject.name)
    assert isinstance(made, Format), f"the implementation is no tp_core.Format but a {type(made).__name__}"
    both = type(made).read is not Format.read and type(made).write is not Format.write
    assert type(made).read is not Format.read or type(made).write is not Format.write, "it neither reads nor writes"
    if model is None:
        return
    assert both, "a format that does not both read and write is checked without a model"
    with TemporaryDirectory() as place:
        folder, name = Path(place), subject.name
        try:
            convert(name, model, "tp", folder / "ours", **(read_options or {}))
            convert("tp", folder / "ours", name, folder / "back")
            convert(name, folder / "back", "tp", folder / "again")
        except TPError as error:
            raise AssertionError(f"the model is not converted both ways: {error}") from error
        _compare(folder / "ours", folder / "again")


def _compare(before: Path, after: Path) -> None:
    old, new = (load_file(each / WEIGHTS) for each in (before, after))
    assert old.keys() == new.keys(), f"the model that was written lacks '{min(old.keys() ^ new.keys())}'"
    for name, tensor in old.items():
        assert torch.equal(tensor, new[name]), f"the weight '{name}' of the model that was written has other values"
    specs = [find_spec(each)[0].dump()["model"] for each in (before, after)]
    assert specs[0] == specs[1], "the model that was written has another spec"
