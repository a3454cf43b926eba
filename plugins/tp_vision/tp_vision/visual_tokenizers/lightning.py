"""Reading of tensors from PyTorch Lightning checkpoints, which also contain objects of other libraries."""

from __future__ import annotations

import pickle
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tp_core.errors import CheckpointError
from tp_core.interop.tensors import open_files


class Inert:
    """Placeholder for objects of other libraries in a pickle; it stores nothing and does nothing."""

    def __new__(cls, *arguments: Any, **named: Any) -> Inert:
        return super().__new__(cls)

    def __init__(self, *arguments: Any, **named: Any) -> None: ...

    def __setstate__(self, state: Any) -> None: ...


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Read the tensors of a safetensors file or a checkpoint; those under ``state_dict`` if it has that key.

    A pickle can run code. Therefore, checkpoints are read with ``weights_only=True``, which only builds tensors. Other
    names in a pickle, such as ``pytorch_lightning.callbacks.ModelCheckpoint``, are replaced by :class:`Inert`. They are
    neither imported nor called.

    Raises:
        CheckpointError: the file is missing, damaged or refused.
    """
    if file.suffix == ".safetensors":
        opened = open_files([file])
        return {name: opened.read(name) for name in opened.shapes}
    content = _unpickled(file)
    state = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping):
        raise CheckpointError(f"{file}: expected names and tensors, or state_dict with them")
    return {str(name): value for name, value in state.items() if isinstance(value, Tensor)}


def _unpickled(file: Path) -> Any:
    try:
        with file.open("rb") as opened:
            beginning = opened.read(4)
        if beginning != b"PK\x03\x04":  # signature of zip archives, which PyTorch writes since 1.6
            raise CheckpointError(
                f"{file}: this is neither a checkpoint of PyTorch 1.6 or later nor a safetensors file"
            )
        # A pickle fills dictionaries entry by entry, which torch allows for an OrderedDict, but not for Inert.
        names = torch.serialization.get_unsafe_globals_in_checkpoint(str(file))
        known: list[Any] = [(OrderedDict if name.endswith("Dict") else Inert, name) for name in names]
        with torch.serialization.safe_globals(known), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns about pickles before it refuses them
            return torch.load(str(file), map_location="cpu", weights_only=True, mmap=True)
    except FileNotFoundError:
        raise CheckpointError(f"{file}: there is no such file") from None
    except pickle.UnpicklingError as error:
        told = str(error).rpartition("WeightsUnpickler error:")[2]  # the text before it advises to disable weights_only
        reason = next((line for line in told.strip().splitlines() if line and "weights_only" not in line), "")
        message = "it contains objects that cannot be read safely"
        raise CheckpointError(f"{file} is refused: {message} ({reason.strip()}); ask for a safetensors file") from None
    except RuntimeError:
        raise CheckpointError(f"{file}: the checkpoint is incomplete; download it again") from None
    except (EOFError, OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, AssertionError) as error:
        raise CheckpointError(f"{file}: this is not a checkpoint of PyTorch: {type(error).__name__}: {error}") from None
