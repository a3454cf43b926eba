"""Paths of named tensors on the disk, in one of three forms, all of them safetensors. Torch-free.

``<stem>.safetensors``
    One file with whole tensors.
``<stem>-00001-of-00003.safetensors``, ..., ``<stem>.safetensors.index.json``
    Several files with whole tensors, and an index, as Hugging Face writes them. Exports of large models.
``<stem>.parts/``
    A folder with files of torch.distributed.checkpoint, in which processes have written their parts of the tensors.
    Checkpoints of strategies that divide tensors among processes. Any number of processes can read it.
"""

from __future__ import annotations

from pathlib import Path

from tp_core.errors import CheckpointError
from tp_core.files.bounded_reads import read_json

_SUFFIX = ".safetensors"
_INDEX = ".safetensors.index.json"

#: Ending of a folder with the parts of tensors.
PARTS = ".parts"


def stored_at(folder: Path, stem: str) -> Path:
    """The path of stored tensors: of the file, the index or the folder; of the file if there are none of these."""
    for name in (stem + _SUFFIX, stem + _INDEX, stem + PARTS):
        if (folder / name).exists():
            return folder / name
    return folder / (stem + _SUFFIX)


def is_stored(folder: Path, stem: str) -> bool:
    """True if a folder has tensors with this stem."""
    return stored_at(folder, stem).exists()


def files_of(path: Path) -> list[Path]:
    """The safetensors files of stored tensors, in a fixed order.

    Args:
        path: as returned by :func:`stored_at`.

    Raises:
        CheckpointError: the index cannot be read.
    """
    if path.is_dir():
        return sorted(path.glob("*" + _SUFFIX))
    if path.name.endswith(_INDEX):
        try:
            names = sorted({str(name) for name in read_json(path)["weight_map"].values()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{path}: this is no index of safetensors files: {error}") from None
        for name in names:
            if Path(name).name != name:
                raise CheckpointError(f"{path}: expected names of files beside the index, got '{name}'")
        return [path.with_name(name) for name in names]
    return [path]
