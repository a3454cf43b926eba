"""Weights as safetensors files."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tp_core.errors import CheckpointError
from tp_core.files.bounded_reads import need_readable


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file.

    Raises:
        CheckpointError: the file is missing, truncated or no safetensors file, or cannot be read.
    """
    try:
        need_readable(path)
        return load_file(str(path))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such file") from None
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path}: this is no whole safetensors file: {error}") from None
    except (OSError, RuntimeError) as error:  # torch maps the file and raises RuntimeError
        raise CheckpointError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def save_weights(tensors: dict[str, Tensor], path: Path) -> None:
    """Write weights as safetensors, with the file mode that the umask gives."""
    path.touch()
    mode = path.stat().st_mode
    save_file({n: t.detach().cpu().contiguous() for n, t in tensors.items()}, str(path), metadata={"format": "pt"})
    path.chmod(mode & 0o777)  # safetensors makes files readable by the owner only
