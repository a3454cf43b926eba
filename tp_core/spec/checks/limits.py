"""Limits of numbers and names beyond what any model, run or file system supports. Torch-free.

The range of an option in its module is what its formula allows. The limits here exceed any machine. ``tp check``
reports such values, instead of hours of building layers or a system error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

#: Default maximum of integers: 32 bits, the smallest index type of tensors.
_MOST = 2**31 - 1

#: Maximum values of options by name, in any module: about 50 times those of the largest published models.
_LARGEST: Mapping[str, int] = {
    "hidden_size": 2**20,
    "embedding_size": 2**20,
    "cell_size": 2**20,
    "projection_size": 2**20,
    "head_size": 2**16,
    "feed_forward_size": 2**22,
    "num_layers": 10_000,
    "num_heads": 2**14,
    "num_key_value_heads": 2**14,
    "vocab_size": 2**30,
    "target_vocab_size": 2**30,
    "workers": 4096,
    "prefetch": 2**16,
    "max_length": 2**27,
    "beams": 10_000,
    "steps": 2**53,
    "seed": 2**63 - 1,
}

#: Smallest values of options by name: below, numbers overflow that are divided by them.
_SMALLEST: Mapping[str, float] = {"temperature": 1e-6, "diversity_temperature": 1e-6}

#: Range of float32, in which models compute.
_FLOAT_MOST, _FLOAT_LEAST = 3.4028234663852886e38, 1.1754943508222875e-38

#: Maximum bytes of a run's name. File systems allow 255; names of files next to the folder contain it.
_NAME_BYTES = 200


class Fault(NamedTuple):
    """A value that cannot work.

    Attributes:
        place: position within the option's value.
    """

    place: tuple[str | int, ...]
    message: str


def faults(option: str, value: Any, place: tuple[str | int, ...] = ()) -> Iterator[Fault]:
    """Yield the faults of the numbers in an option's value."""
    if isinstance(value, bool):
        return
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from faults(str(key) if str(key) in _LARGEST else option, each, (*place, key))
    elif isinstance(value, (list, tuple)):
        for number, each in enumerate(value):
            yield from faults(option, each, (*place, number))
    elif isinstance(value, int):
        most = _LARGEST.get(option, _MOST)
        if abs(value) > most:
            yield Fault(place, f"must be at most {most}, got {_short(value)}" if value > 0 else f"is {_short(value)}")
    elif isinstance(value, float):
        least = _SMALLEST.get(option, _FLOAT_LEAST)
        if 0 < abs(value) < least:
            yield Fault(place, f"must be at least {least:g}, or numbers overflow; got {value:g}")
        elif abs(value) > _FLOAT_MOST:
            yield Fault(place, f"is {value:g}, and the numbers of models (float32) end at {_FLOAT_MOST:g}")


def _short(value: int) -> str:
    text = str(value) if abs(value) < 10**30 else ""
    return text or f"a number of {value.bit_length()} bits"  # printing many digits is slow or raises an error


def name_fault(name: str) -> str:
    """The reason why a run's name, which becomes a folder name, is invalid; empty if it is valid."""
    if not name.strip():
        return "is empty; expected a name, or leave it out"
    if any(sign in name for sign in "/\\\0") or name in (".", ".."):
        return "names a folder of runs/, and cannot lead out of it: expected a name without slashes"
    if not name.isprintable():
        return "has control characters"
    size = len(name.encode("utf-8", "surrogateescape"))
    if size > _NAME_BYTES:
        return f"is too long for the name of a folder: {size} bytes, expected at most {_NAME_BYTES}"
    return ""
