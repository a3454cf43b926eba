"""Conversion of the values that a processor puts into a column to cells."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from tp_core.data.cache.cells import KEPT, Cells, Kind, Numbers, UnusableCellError

_NUMBERS = "expected a number, bytes, or a list or an array of numbers"
_TYPES = "expected bool, integers, or floats of 16, 32 or 64 bits; convert it, as with astype()"
_INTEGERS = f"expected integers from {-(2**63)} to {2**63 - 1}, or from 0 to {2**64 - 1}"
_SHAPE = "expected a regular shape; write the numbers as one list, and the lengths in another column"

#: Preferred type for lists of integers, if it can hold all of them: most are ids.
_IDS = np.iinfo(np.int32)


def cells_of(values: Sequence[Any]) -> Cells:
    """The cells of a column's values; there must be at least one value.

    Common values are converted without running Python code for each number: bytes, arrays of one type, and lists of
    integers or floats.

    Raises:
        UnusableCellError: a value holds anything but numbers, its shape is irregular, or no type can hold all numbers.
    """
    types = set(map(type, values))
    found: Cells | None = None
    if types == {bytes}:
        found = _lists(np.frombuffer(b"".join(values), np.uint8), values, "bytes")
    elif types == {np.ndarray}:
        found = _arrays(values)
    elif types <= {list, tuple}:
        flat = _flat(values)
        found = None if flat is None else _lists(flat, values, "array")
    elif len(types) == 1:
        found = _singles(values, types.pop())
    return _one_by_one(values) if found is None else found


# -- common values -----------------------------------------------------------------------------------------------------


def _lists(flat: Numbers, values: Sequence[Any], form: Literal["bytes", "array"]) -> Cells:
    weight = 2 if len(flat) or form == "bytes" else 0
    return Cells(Kind(form, 1, flat.dtype, weight), flat, _lengths(values))


def _lengths(values: Sequence[Any]) -> NDArray[np.int64]:
    return np.fromiter(map(len, values), np.int64, len(values))[:, None]


def _flat(values: Sequence[Sequence[Any]]) -> Numbers | None:
    """The numbers of lists of Python integers or Python floats; None if the lists hold anything else."""
    first = next(chain.from_iterable(values), 0)
    if type(first) is int:
        # Signed integers of 32 bits, else signed ones of 64 bits, else unsigned ones of 64 bits.
        for code in "iqQ":
            try:
                return _filled(code, values)
            except OverflowError:
                continue
            except TypeError:
                return None
    elif type(first) is float and set(map(type, chain.from_iterable(values))) == {float}:
        return _filled("d", values)
    return None


def _filled(code: str, values: Sequence[Sequence[Any]]) -> Numbers:
    """The numbers of lists. An array of integers rejects numbers that are not integers or that are too large."""
    numbers = array(code)
    for each in values:
        numbers.fromlist(each if isinstance(each, list) else list(each))
    return np.frombuffer(numbers, np.dtype(code))


def _arrays(values: Sequence[Numbers]) -> Cells | None:
    """Cells of arrays of one type and number of dimensions."""
    dtype, axes = values[0].dtype, values[0].ndim
    if dtype not in KEPT or not all(each.dtype == dtype and each.ndim == axes for each in values):
        return None
    if axes == 1:
        flat, shapes = np.concatenate(values), _lengths(values)
    else:
        flat = np.concatenate([each.reshape(-1) for each in values])
        shapes = np.array([each.shape for each in values], np.int64).reshape(len(values), axes)
    return Cells(Kind("array", axes, dtype, 2 if len(flat) else 1), flat, shapes)


def _singles(values: Sequence[Any], given: type) -> Cells | None:
    """Cells of single numbers of one type."""
    if given not in (bool, int, float) and not issubclass(given, np.generic):
        return None
    flat = np.array(values)
    if flat.dtype not in KEPT or (given is int and flat.dtype.kind == "f"):
        return None
    return Cells(Kind("number", 0, flat.dtype), flat, np.empty((len(values), 0), np.int64))


# -- all other values --------------------------------------------------------------------------------------------------


def _one_by_one(values: Sequence[Any]) -> Cells:
    cells: list[Cells] = []
    kind: Kind | None = None
    for value in values:
        with _row(len(cells)):
            cell = _cell(value)
            kind = cell.kind if kind is None else kind.joined(cell.kind)
        cells.append(cell)
    assert kind is not None
    flat: list[Numbers] = []
    for cell in cells:
        with _row(len(flat)):
            flat.append(cell.of_kind(kind).flat)
    return Cells(kind, np.concatenate(flat), np.concatenate([cell.shapes for cell in cells]))


@contextmanager
def _row(number: int) -> Iterator[None]:
    """Add the row number to an error that is raised inside."""
    try:
        yield
    except UnusableCellError as error:
        error.row = number
        raise


def _cell(value: Any) -> Cells:
    """The cell of one value.

    Raises:
        UnusableCellError: the value is not an array of numbers of one type.
    """
    if isinstance(value, (bytes, bytearray)):
        return _lists(np.frombuffer(value, np.uint8), [value], "bytes")
    if isinstance(value, (int, float, np.generic)):
        numbers = _checked(np.asarray(value), value)
        kind = Kind("number", 0, numbers.dtype)
    else:
        listed = isinstance(value, (list, tuple))
        numbers = _listed(value) if listed else _array(value)
        says_nothing = listed and _first(value) is None
        kind = Kind("array", numbers.ndim, numbers.dtype, 2 if numbers.size else 0 if says_nothing else 1)
    return Cells(kind, numbers.reshape(-1), np.array(numbers.shape, np.int64).reshape(1, -1))


def _checked(numbers: Numbers, value: Any) -> Numbers:
    """An array in the byte order of the machine, if its type can be stored."""
    native = numbers.astype(numbers.dtype.newbyteorder("="), copy=False)
    if native.dtype in KEPT:
        return native
    if isinstance(value, int):
        raise UnusableCellError(f"is {value}", _INTEGERS)
    if isinstance(value, (np.ndarray, np.generic)):
        raise UnusableCellError(f"is of {numbers.dtype}", _TYPES)
    raise UnusableCellError(f"is {_named(value)}", _NUMBERS + _hint(value))


def _array(value: Any) -> Numbers:
    """The numbers of an array, a tensor, or another object that converts itself to an array."""
    if isinstance(value, torch.Tensor):
        if value.dtype == torch.bfloat16:
            raise UnusableCellError(
                "is of bfloat16, which NumPy does not have", "write its float(), which has the same values"
            )
        value = value.detach().cpu()
    if np.ma.is_masked(value):
        raise UnusableCellError(
            "is an array with masked values", "expected numbers; filled() writes one in their place"
        )
    try:
        return _checked(np.asarray(value), value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise UnusableCellError(f"is {_named(value)}, and no array: {error}", _NUMBERS) from None


def _listed(value: Sequence[Any]) -> Numbers:
    """The numbers of a list, nested or not."""
    first = _first(value)
    if isinstance(first, torch.Tensor):
        value = _without_tensors(value)
    try:
        numbers = np.asarray(value)
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:
        if "inhomogeneous" in str(error):
            raise UnusableCellError("is a list of lists of different lengths", _SHAPE) from None
        raise UnusableCellError(f"is a list, and no array: {error}", _NUMBERS) from None
    numbers = numbers.astype(numbers.dtype.newbyteorder("="), copy=False)
    if numbers.dtype not in KEPT or numbers.dtype == np.float64:
        numbers = _exactly(value, numbers)
    if not numbers.size and first is None:
        return numbers.astype(np.int32)
    if isinstance(first, int) and numbers.dtype.kind in "iu":
        small = _IDS.min <= int(numbers.min()) and int(numbers.max()) <= _IDS.max
        return numbers.astype(np.int32) if small else numbers
    return numbers


def _first(value: Any) -> Any:
    """The first item in nested lists that is not a list; None if there is none."""
    while isinstance(value, (list, tuple)):
        value = value[0] if value else None
    return value


def _without_tensors(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return _array(value)
    return [_without_tensors(each) for each in value] if isinstance(value, (list, tuple)) else value


def _exactly(value: Sequence[Any], numbers: Numbers) -> Numbers:
    """Check that NumPy has not rounded the numbers of a list when it converted them to ``numbers``.

    Raises:
        UnusableCellError: the list holds anything but numbers, or no type can hold all of them.
    """
    items = np.array(value, dtype=object).reshape(-1)
    types = set(map(type, items))
    if types <= {float}:
        return numbers
    for item in items:
        if isinstance(item, int) and not -(2**63) <= item < 2**64:
            raise UnusableCellError(f"holds {item}", _INTEGERS)
        if not isinstance(item, (int, float, np.generic)):
            raise UnusableCellError(f"holds {_named(item)}", _NUMBERS + _hint(item))
    if numbers.dtype not in KEPT:
        raise UnusableCellError(f"is a list of {numbers.dtype}", _TYPES)
    if all(issubclass(each, (int, np.integer)) for each in types):
        if min(items) < 0:
            raise UnusableCellError(
                f"holds {min(items)} and {max(items)}, which no type of integers holds both", _INTEGERS
            )
        return np.array([int(item) for item in items], np.uint64).reshape(numbers.shape)
    for item, kept in zip(items, numbers.reshape(-1).tolist()):
        if item != kept and item == item:
            found = f"holds {item}, which {numbers.dtype}, the type for the list, cannot hold"
            raise UnusableCellError(
                found, "expected a list of numbers that one type can hold; convert them to such a type"
            )
    return numbers


def _named(value: Any) -> str:
    """A value as text for messages."""
    if isinstance(value, str):
        return f"the text '{value if len(value) <= 40 else value[:37] + '...'}'"
    return "None" if value is None else f"a value of the type {type(value).__name__}"


def _hint(value: Any) -> str:
    if isinstance(value, str):
        return "; text.encode() makes bytes of a text"
    return "; leave the record out, or write a number that means a missing value" if value is None else ""
