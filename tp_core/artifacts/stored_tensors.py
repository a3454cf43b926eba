"""Reading and writing of stored tensors (:mod:`tp_core.files.tensor_paths`)."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from tp_core.artifacts.shards import DTYPES
from tp_core.errors import CheckpointError
from tp_core.files.bounded_reads import need_readable
from tp_core.files.tensor_paths import files_of

#: The folder form's key in the metadata of a file, and the place of a part in its tensor.
_PARTS, _OFFSETS = "DCP_SHARDING_INFO", "saved_offsets"


class Form(NamedTuple):
    """Shape and dtype of a tensor."""

    shape: torch.Size
    dtype: torch.dtype


def forms_of(path: Path) -> dict[str, Form]:
    """The shapes and dtypes of stored tensors, by name.

    Raises:
        CheckpointError: a file is missing or damaged.
    """
    found: dict[str, Form] = {}
    for file in files_of(path):
        with _opened(file) as opened:
            parts = _parts(opened)
            for name in opened.keys():  # noqa: SIM118
                part = opened.get_slice(name)
                shape = part.get_shape()
                ends = [size + start for size, start in zip(shape, parts.get(name, [0] * len(shape)))]
                if name in found:  # the parts of a tensor cover it
                    ends = [max(pair) for pair in zip(ends, found[name].shape)]
                found[name] = Form(torch.Size(ends), DTYPES[part.get_dtype()])
    return found


def read_tensors(path: Path, names: Iterable[str] | None = None) -> dict[str, Tensor]:
    """Stored tensors as whole tensors on the CPU.

    Args:
        path: as returned by :func:`~tp_core.files.tensor_paths.stored_at`.
        names: names of the tensors to read; None for all.

    Raises:
        CheckpointError: a file is missing or damaged, or cannot be read.
    """
    wanted = None if names is None else set(names)
    found: dict[str, Tensor] = {}
    wholes = forms_of(path) if path.is_dir() else {}
    for file in files_of(path):
        with _opened(file) as opened:
            parts = _parts(opened)
            for name in opened.keys():  # noqa: SIM118
                if wanted is not None and name not in wanted:
                    continue
                values = opened.get_tensor(name)
                if name not in wholes or values.shape == wholes[name].shape:
                    found[name] = values
                    continue
                whole = found.setdefault(name, torch.empty(wholes[name].shape, dtype=wholes[name].dtype))
                whole[tuple(slice(a, a + n) for a, n in zip(parts[name], values.shape))] = values
    return found


def read_into(path: Path, tensors: Mapping[str, Tensor], group: Any = None) -> None:
    """Copy stored tensors into tensors of the same shapes. Of a DTensor, each process only reads its part.

    Args:
        path: as returned by :func:`~tp_core.files.tensor_paths.stored_at`, a folder of parts.
        tensors: plain tensors and DTensors.
        group: process group of all processes that call this; None for a process that reads alone.

    Raises:
        CheckpointError: a file is missing or damaged, or a tensor is not stored.
    """
    from torch.distributed.checkpoint.api import CheckpointException
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
    from torch.distributed.checkpoint.state_dict_loader import load

    try:
        reader = HuggingFaceStorageReader(str(path))
        with _quietly():
            load(dict(tensors), storage_reader=reader, process_group=group, no_dist=group is None)
    except (OSError, RuntimeError, ValueError, KeyError, SafetensorError, CheckpointException) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """A context without torch's warning that a process without others reads or writes alone."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)
        yield


def write_parts(path: Path, tensors: Mapping[str, Tensor], group: Any = None) -> None:
    """Write tensors as a folder of parts. Every process calls this and writes its parts.

    Args:
        path: the folder, which exists.
        tensors: plain tensors, which all processes hold alike, and DTensors.
        group: process group of all processes that call this; None for a process that writes alone.

    Raises:
        OSError: a process could not write; all of them raise.
    """
    from torch.distributed.checkpoint.api import CheckpointException
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    writer = HuggingFaceStorageWriter(str(path), save_distributed=True)
    try:
        with _quietly():
            save(dict(tensors), storage_writer=writer, process_group=group, no_dist=group is None)
    except CheckpointException as error:  # it is no Exception; it has those of all processes
        failures = list(error.failures.values())
        raise failures[0][0] if failures else OSError(str(error)) from error


def _parts(opened: Any) -> dict[str, list[int]]:
    """The place of each part in its tensor; empty if the file has whole tensors."""
    told = (opened.metadata() or {}).get(_PARTS)
    return {} if told is None else {name: each[_OFFSETS] for name, each in json.loads(told).items()}


def _opened(file: Path) -> Any:
    try:
        need_readable(file)
        return safe_open(str(file), framework="pt")
    except FileNotFoundError:
        raise CheckpointError(f"{file}: there is no such file") from None
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{file}: this is no whole safetensors file: {error}") from None
    except (OSError, RuntimeError) as error:  # torch maps the file and raises RuntimeError
        raise CheckpointError(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
