"""Reading of a checkpoint's tensors one at a time, from safetensors or PyTorch files, whole or in shards."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from tp_core.artifacts.shards import DTYPES
from tp_core.artifacts.stored_tensors import forms_of, read_tensors
from tp_core.errors import CheckpointError
from tp_core.files.bounded_reads import need_readable, read_json
from tp_core.files.tensor_paths import files_of
from tp_core.interop.rules import Shape

#: The first bytes of a zip archive.
_ARCHIVE = b"PK\x03\x04"

_FILES = ("model.safetensors", "pytorch_model.bin")
_OTHERS = ("tf_model.h5", "flax_model.msgpack", "model.ckpt.index", "consolidated.00.pth", "consolidated.safetensors")


class Tensors:
    """Shapes and dtypes of a checkpoint's tensors; :meth:`read` returns one tensor.

    Attributes:
        shapes: name → shape.
        dtypes: name → dtype.
        files: the files with the tensors, and the index of shards.
    """

    def __init__(self) -> None:
        self.files: list[Path] = []
        self.shapes: dict[str, Shape] = {}
        self.dtypes: dict[str, torch.dtype] = {}
        self._readers: dict[str, Callable[[], Tensor]] = {}

    def read(self, name: str) -> Tensor:
        """Read one tensor from its file."""
        return self._readers[name]()

    def reader(self, name: str) -> Callable[[], Tensor]:
        """The function that reads one tensor."""
        return self._readers[name]

    def add(self, name: str, shape: Shape, dtype: torch.dtype, reader: Callable[[], Tensor]) -> None:
        self.shapes[name], self.dtypes[name], self._readers[name] = shape, dtype, reader

    def remove(self, name: str) -> None:
        """Leave out a tensor."""
        for kept in (self.shapes, self.dtypes, self._readers):
            del kept[name]

    def rename(self, new: Callable[[str], str]) -> None:
        """Rename every tensor with a function of its name."""
        for kept in (self.shapes, self.dtypes, self._readers):
            renamed: dict[str, Any] = {new(name): value for name, value in kept.items()}
            kept.clear()
            kept.update(renamed)


def _modern(name: str) -> str:
    """The current name of a tensor; old checkpoints from TensorFlow use ``gamma`` and ``beta`` for norms."""
    for old, new in ((".gamma", ".weight"), (".beta", ".bias")):
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def open_folder(folder: Path) -> Tensors:
    """The tensors of a Hugging Face model's folder.

    Raises:
        CheckpointError: there are no weights, or a file is missing, damaged or contains code.
    """
    for name in _FILES:
        index = folder / f"{name}.index.json"
        if index.is_file() or (folder / name).is_file():
            tensors = open_shards(index) if index.is_file() else open_files([folder / name])
            tensors.rename(_modern)
            return tensors
    found = [name for name in _OTHERS if (folder / name).exists()]
    hint = f"; {found[0]} is of another format, which transformers can convert" if found else ""
    raise CheckpointError(f"{folder}: there are no weights: neither {' nor '.join(_FILES)}, nor shards of one{hint}")


def open_shards(index: Path) -> Tensors:
    """The tensors of the files that an index lists.

    Raises:
        CheckpointError: the index or a file is missing, damaged or contains code.
    """
    try:
        content = read_json(index)
        weight_map: Mapping[str, str] = content["weight_map"]
        files = sorted({str(file) for file in weight_map.values()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{index}: this is no index of shards: {type(error).__name__}: {error}") from None
    gone = [file for file in files if Path(file).name != file or not (index.parent / file).is_file()]
    if gone:
        raise CheckpointError(f"{index.parent}: shards that {index.name} lists are missing: {_some(gone)}")
    tensors = open_files([index.parent / file for file in files])
    tensors.files.append(index)
    lacking = [name for name in weight_map if name not in tensors.shapes]
    if lacking:
        raise CheckpointError(f"{index}: the shards lack tensors that it lists: {_some(lacking)}")
    return tensors


def open_stored(path: Path) -> Tensors:
    """The tensors of one of our own models, in one of the forms of :mod:`tp_core.files.tensor_paths`.

    Raises:
        CheckpointError: a file is missing or damaged.
    """
    files = files_of(path)
    if not path.is_dir():
        return open_files(files)
    tensors = Tensors()
    tensors.files = files
    for name, form in forms_of(path).items():
        read = partial(_read_stored, path, name)
        tensors.add(name, tuple(form.shape), form.dtype, read)
    return tensors


def _read_stored(path: Path, name: str) -> Tensor:
    return read_tensors(path, [name])[name]


def open_files(files: list[Path]) -> Tensors:
    """The tensors of safetensors or PyTorch files.

    Raises:
        CheckpointError: a file is missing, damaged or contains code.
    """
    tensors = Tensors()
    tensors.files = list(files)
    for file in files:
        if file.suffix == ".safetensors":
            _add_safetensors(file, tensors)
        else:
            _add_pickled(file, tensors)
    return tensors


def _add_safetensors(file: Path, tensors: Tensors) -> None:
    try:
        need_readable(file)
        opened: Any = safe_open(str(file), framework="pt")
        for name in opened.keys():  # noqa: SIM118  (it is no mapping)
            part = opened.get_slice(name)
            code = part.get_dtype()
            if code not in DTYPES:
                known = ", ".join(DTYPES)
                raise CheckpointError(f"{file}: the tensor '{name}' is of type {code}; {known} can be converted")
            shape = tuple(part.get_shape())
            tensors.add(name, shape, DTYPES[code], partial(opened.get_tensor, name))
    except FileNotFoundError:
        raise CheckpointError(f"{file}: there is no such file") from None
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{file}: {_damage(file)} ({error})") from None
    except (OSError, RuntimeError) as error:  # torch, which maps the file into memory, raises RuntimeError
        raise CheckpointError(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _damage(file: Path) -> str:
    with file.open("rb") as opened:
        if opened.read(30).startswith(b"version https://git-lfs"):
            return "this is only a pointer to the file; fetch the file itself with git lfs pull"
    return "this is no whole safetensors file; it may be cut off: copy or download it again"


def _add_pickled(file: Path, tensors: Tensors) -> None:
    for name, value in _unpickle(file).items():
        if isinstance(value, Tensor) and value.layout != torch.strided:
            raise CheckpointError(f"{file}: the tensor '{name}' is sparse; only dense tensors can be converted")
        if not isinstance(value, Tensor):
            message = f"'{name}' is of type {type(value).__name__}; expected names and tensors only"
            raise CheckpointError(f"{file}: {message}")
        tensors.add(str(name), tuple(value.shape), value.dtype, value.detach)


def _unpickle(file: Path) -> dict[Any, Any]:
    """The dictionary in a PyTorch file.

    A pickle can run code, so only files with nothing but tensors are read.
    """
    mapped = False
    try:
        with file.open("rb") as opened:  # files of PyTorch before 1.6 are not archives and cannot be memory-mapped
            mapped = opened.read(len(_ARCHIVE)) == _ARCHIVE
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns about pickles before it refuses them
            content = torch.load(str(file), map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        reason = str(error).partition("WeightsUnpickler error:")[2].strip().partition("\n")[0]
        detail = f": {reason}" if reason else ""
        raise CheckpointError(
            f"{file} is refused: it holds more than tensors, and loading it would run code{detail}; ask for a "
            "safetensors file"
        ) from None
    except FileNotFoundError:
        raise CheckpointError(f"{file}: there is no such file") from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if mapped or isinstance(error, RuntimeError):
            message = "this is no whole PyTorch file; copy or download it again"
        else:
            message = f"this is no PyTorch file: {type(error).__name__}: {error}"
        raise CheckpointError(f"{file}: {message}") from None
    if isinstance(content, dict):
        return _unwrapped(content)
    raise CheckpointError(f"{file}: expected names and tensors, got an object of type {type(content).__name__}")


#: Keys under which training scripts store the tensors of a model, beside other things.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "module")


def _unwrapped(content: dict[Any, Any]) -> dict[Any, Any]:
    """The mapping with the tensors, which may be inside of another one."""
    for key in _WRAPPERS:
        inner = content.get(key)
        if isinstance(inner, dict) and any(isinstance(value, Tensor) for value in inner.values()):
            return inner
    return content


def _some(names: list[str], limit: int = 4) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
