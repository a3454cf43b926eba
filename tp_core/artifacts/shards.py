"""Writing of safetensors files one tensor at a time, so that only one tensor is in memory."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

#: Names of dtypes in safetensors headers.
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}

_CODES = {dtype: code for code, dtype in DTYPES.items()}


@dataclass(frozen=True)
class Planned:
    """The name, shape and dtype of a tensor that will be written."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def write_file(file: Path, planned: list[Planned], read: Callable[[str], Tensor]) -> None:
    """Write one safetensors file.

    Args:
        file: path of the file.
        planned: the tensors of the file, in order.
        read: a function that returns a tensor by name; it is called once per tensor, in order.
    """
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    position = 0
    for each in planned:
        ends = [position, position + each.bytes]
        header[each.name] = {"dtype": _CODES[each.dtype], "shape": list(each.shape), "data_offsets": ends}
        position = ends[1]
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)  # the format requires aligned data
    with file.open("wb") as opened:
        opened.write(len(encoded).to_bytes(8, "little"))
        opened.write(encoded)
        for each in planned:
            tensor = read(each.name).to(each.dtype).contiguous()
            if tuple(tensor.shape) != each.shape:
                raise TypeError(f"'{each.name}' was planned with shape {each.shape} and has {tuple(tensor.shape)}")
            # Not tofile(), which does not report a full disk while it writes the last bytes.
            opened.write(tensor.reshape(-1).view(torch.uint8).numpy().data)


def write_shards(
    folder: Path, planned: Iterable[Planned], read: Callable[[str], Tensor], limit: int, stem: str = "model"
) -> Mapping[str, list[Planned]]:
    """Write tensors as one safetensors file, or as several files with an index if they exceed the limit.

    Args:
        folder: the folder to write to.
        planned: the tensors, in order.
        read: a function that returns a tensor by name.
        limit: maximum number of bytes of a file; a larger tensor gets its own file.
        stem: beginning of the file names.

    Returns:
        Name of each file → the tensors in it.
    """
    shards: list[list[Planned]] = [[]]
    size = 0
    for each in planned:
        if shards[-1] and size + each.bytes > limit:
            shards.append([])
            size = 0
        shards[-1].append(each)
        size += each.bytes
    count = len(shards)
    names = [f"{stem}-{n + 1:05d}-of-{count:05d}.safetensors" for n in range(count)]
    files = {f"{stem}.safetensors": shards[0]} if count == 1 else dict(zip(names, shards))
    for name, content in files.items():
        write_file(folder / name, content, read)
    if count > 1:
        index = {
            "metadata": {"total_size": sum(each.bytes for content in shards for each in content)},
            "weight_map": {each.name: name for name, content in files.items() for each in content},
        }
        text = json.dumps(index, indent=2) + "\n"
        (folder / f"{stem}.safetensors.index.json").write_text(text, encoding="utf-8")
    return files
