"""The weights of a model's folder or of a checkpoint."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from tp_core.artifacts.layout import STEM, WEIGHTS
from tp_core.artifacts.shards import Planned, write_file, write_shards
from tp_core.artifacts.stored_tensors import read_tensors
from tp_core.files.tensor_paths import files_of

#: Maximum number of bytes of a file of an export; a larger model has several files and an index.
FILE_LIMIT = 5_000_000_000


def read_weights(path: Path) -> dict[str, Tensor]:
    """Whole weights on the CPU.

    Args:
        path: as returned by :func:`tp_core.files.tensor_paths.stored_at`.

    Raises:
        CheckpointError: a file is missing, truncated or no safetensors file, or cannot be read.
    """
    return read_tensors(path)


def save_weights(
    tensors: Mapping[str, Tensor], path: Path, whole: Callable[[Tensor], Tensor] = lambda tensor: tensor
) -> None:
    """Write tensors as one safetensors file. Only one of them at a time is copied to the CPU.

    Args:
        tensors: by name.
        whole: gives the whole tensor; called for one after the other, in the order of :func:`in_order`.
    """
    ordered = in_order(tensors)
    planned = [_planned(name, tensor) for name, tensor in ordered.items()]
    write_file(path, planned, lambda name: whole(ordered[name]).detach().cpu())


def in_order(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors in the order of a file, in which each begins at a multiple of its element size."""
    return dict(sorted(tensors.items(), key=lambda item: -item[1].dtype.itemsize))


def export_weights(
    tensors: Mapping[str, Tensor], folder: Path, whole: Callable[[Tensor], Tensor] = lambda tensor: tensor
) -> None:
    """Write the weights of an export: ``model.safetensors``, or several files with an index if they are large.

    Args:
        tensors: the weights, or this process's parts of them, by name.
        folder: the folder to write to.
        whole: gives the whole tensor of a part; called for one weight after the other, in the order of ``tensors``.
    """
    planned = [_planned(name, tensor) for name, tensor in tensors.items()]
    write_shards(folder, planned, lambda name: whole(tensors[name]).detach().cpu(), FILE_LIMIT, STEM)


def copy_weights(path: Path, folder: Path) -> None:
    """Copy weights into a folder, as whole tensors.

    Args:
        path: as returned by :func:`tp_core.files.tensor_paths.stored_at`.
    """
    if path.is_dir():
        save_weights(read_tensors(path), folder / WEIGHTS)
        return
    for file in {path, *files_of(path)}:
        shutil.copyfile(file, folder / file.name)


def _planned(name: str, tensor: Tensor) -> Planned:
    return Planned(name, tuple(tensor.shape), tensor.dtype)
