"""Small files of others are read whole only if they are small, and whatever they hold is an error at most."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tp_core import SpecError, TPError, convert, load_spec
from tp_core.files.bounded_reads import MOST_JSON, read_json

DEEP = "[" * 100_000 + "]" * 100_000


def test_what_is_too_deep_too_large_or_no_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "deep").write_text(DEEP)
    with open(tmp_path / "large", "wb") as file:
        file.truncate(MOST_JSON + 1)  # of zeros, and without blocks on the disk
    os.mkfifo(tmp_path / "pipe")
    for name, message in (
        ("deep", "too deep"),
        ("large", "268,435,457 bytes"),
        ("pipe", "a named pipe"),
    ):
        with pytest.raises((OSError, ValueError), match=message):
            read_json(tmp_path / name)
    for other in (tmp_path, tmp_path / "none"):
        with pytest.raises(OSError, match=str(other)):
            read_json(other)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors.index.json"])
def test_a_folder_of_hugging_face_with_a_file_that_is_nested_without_end_is_one_message(
    tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}')
    (folder / name).write_text(DEEP)
    with pytest.raises(TPError, match=f"{name}.*nested too deep"):
        convert("huggingface", folder, "tp", tmp_path / "ours")


def test_an_endless_file_is_no_spec() -> None:
    with pytest.raises(SpecError, match="has more than 16,777,216 bytes; expected a spec"):
        load_spec("/dev/zero")
