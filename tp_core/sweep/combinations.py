"""The combinations of a sweep, and the names of its runs."""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tp_core.errors import TPError
from tp_core.sweep.axes import SEED, Axis, Range, flow

#: Maximum length of the part of a name that tells a combination.
_LONGEST = 100


@dataclass(frozen=True)
class Combination:
    """Values of all axes.

    Attributes:
        number: its number in the sweep, from 0.
        name: a short name for the folders of its runs; empty if there is only one combination.
        values: key → value as the text of a setting.
    """

    number: int
    name: str
    values: dict[str, str]

    def settings(self) -> list[str]:
        return [f"{key}={value}" for key, value in self.values.items()]


@dataclass(frozen=True)
class SweepRun:
    """One training of a combination.

    Attributes:
        seed: value of ``train.seed`` as the text of a setting; None for that of the spec.
        fold: number of the held-out fold; None without folds.
        name: name of its folder.
    """

    combination: Combination
    seed: str | None = None
    fold: int | None = None

    @property
    def name(self) -> str:
        return "_".join([self.group, *([] if self.fold is None else [f"fold={self.fold}"])]).strip("_")

    @property
    def group(self) -> str:
        """The name without the fold: all runs of a cross-validation have it. It may be empty."""
        return "_".join([*filter(None, [self.combination.name]), *([] if self.seed is None else [f"seed={self.seed}"])])

    def settings(self) -> list[str]:
        """The settings of the run, without those of its fold."""
        return [*self.combination.settings(), *([] if self.seed is None else [f"{SEED}={self.seed}"])]


def runs_of(combination: Combination, seeds: Sequence[str], folds: int | None) -> list[SweepRun]:
    """The runs of a combination: each seed with each fold."""
    numbers: Sequence[int | None] = [None] if folds is None else range(folds)
    values: Sequence[str | None] = seeds or [None]
    return [SweepRun(combination, seed, fold) for seed in values for fold in numbers]


def grid(axes: Sequence[Axis]) -> list[Combination]:
    """All combinations of the listed values; the last axis varies fastest."""
    shown = short_keys([axis.key for axis in axes])
    found: list[Combination] = []
    for number, values in enumerate(itertools.product(*(axis.values for axis in axes))):
        name = "_".join(f"{key}={_in_name(value)}" for key, value in zip(shown, values))
        taken = any(each.name == name for each in found)
        if taken or len(name) > _LONGEST:
            name = f"combination={number}"
        found.append(Combination(number, name, dict(zip([axis.key for axis in axes], values))))
    return found


def trial(number: int, values: dict[str, str]) -> Combination:
    return Combination(number, f"trial={number:03d}", values)


def draws(axes: Sequence[Axis], count: int, seed: int) -> list[Combination]:
    """Different combinations that are drawn at random; the first ones do not depend on ``count``.

    Raises:
        TPError: there are not so many.
    """
    most = math.prod(_size(axis) for axis in axes)
    if count > most:
        raise TPError(f"--trials {count}: the grid has only {most:.0f} combinations; leave out --search to try all")
    found: dict[tuple[str, ...], None] = {}
    for number in itertools.count():
        found.setdefault(tuple(_drawn(axis, seed, number) for axis in axes))
        if len(found) == count:
            break
    keys = [axis.key for axis in axes]
    return [trial(number, dict(zip(keys, values))) for number, values in enumerate(found)]


def _size(axis: Axis) -> float:
    """The number of values; infinite for a range of numbers with fractions."""
    if axis.range is None:
        return len(axis.values)
    return axis.range.high - axis.range.low + 1 if axis.range.integers else math.inf


def _drawn(axis: Axis, seed: int, number: int) -> str:
    # random() of a text seed is the same in every version of Python.
    share = random.Random(f"{seed} {number} {axis.key}").random()
    if axis.range is None:
        return axis.values[int(share * len(axis.values))]
    return flow(within(axis.range, share))


def within(range_: Range, share: float) -> int | float:
    """The number at a share, from 0 to 1, of a range; numbers with fractions have four significant digits."""
    low, high = float(range_.low), float(range_.high) + range_.integers
    value = low * (high / low) ** share if range_.log else low + (high - low) * share
    if range_.integers:
        return min(int(value), int(range_.high))
    return min(max(float(f"{value:.4g}"), float(range_.low)), float(range_.high))


def short_keys(keys: Sequence[str]) -> list[str]:
    """The shortest ends of keys that tell them apart: ``lr`` for ``train.optimizer.adamw.lr``."""

    def ends(key: str) -> Iterator[str]:
        parts = key.split(".")
        return (".".join(parts[start:]) for start in range(len(parts) - 1, -1, -1))

    def alone(end: str) -> bool:
        return sum(key == end or key.endswith(f".{end}") for key in keys) == 1

    return [next((end for end in ends(key) if alone(end)), key) for key in keys]


def short_value(value: str) -> str:
    """A value for people: a number without needless digits, any other text unchanged."""
    try:
        number = float(value)
    except ValueError:
        return value
    return value if value.lstrip("-").isdigit() else f"{number:g}"


def _in_name(value: str) -> str:
    """A value as a part of a file name."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "-", short_value(value)).strip("-.") or "empty"
