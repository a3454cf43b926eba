"""The division of records into folds, by class and by group. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tp_core.data.sampling.order import FOLD, generator
from tp_core.suggest import did_you_mean

Numbers = NDArray[np.int64]

#: The class of a record without one.
NO_CLASS = -1


def divide(classes: Numbers, folds: int, seed: int, groups: Numbers | None = None) -> Numbers:
    """The fold of each record, (records,), as a pure function of the arguments.

    Without groups, the sizes of two folds differ by at most one record, in total and within each class. With groups,
    the largest groups are divided first; each group goes to the fold that has the smallest share of the group's classes
    so far, then to the fold with the fewest records.

    Args:
        classes: class of each record (records,), numbered from 0; :data:`NO_CLASS` for none.
        groups: group of each record (records,), numbered from 0; None if every record is a group of its own.
    """
    rank = generator(seed, FOLD, 0, len(classes)).permutation(len(classes))
    if groups is None:
        found = np.empty(len(classes), np.int64)
        found[np.lexsort((rank, classes))] = np.arange(len(classes)) % folds
        return found
    return _of_groups(classes - classes.min(initial=0), folds, groups, rank)[groups]


def _of_groups(classes: Numbers, folds: int, groups: Numbers, rank: Numbers) -> Numbers:
    """The fold of each group, (groups,)."""
    count, total = int(groups.max()) + 1, np.bincount(classes)
    sizes, first = np.bincount(groups, minlength=count), np.full(count, len(rank))
    np.minimum.at(first, groups, rank)
    order = np.argsort(groups, kind="stable")
    members = np.split(classes[order], np.cumsum(sizes)[:-1])
    held = np.zeros((folds, len(total)))  # records of each class in each fold
    found = np.empty(count, np.int64)
    for group in np.lexsort((first, -sizes)):
        own, counts = np.unique(members[group], return_counts=True)
        # The sum of the squared shares grows by this and by a part that is the same for all folds.
        growth = held[:, own] @ (counts / total[own] ** 2)
        found[group] = np.lexsort((held.sum(axis=1), growth))[0]
        held[found[group], own] += counts
    return found


class Fault(NamedTuple):
    """The reason why records cannot be divided, and the class that is the reason, if its name seems misspelt."""

    message: str
    name: str | None = None


def fault(classes: Numbers, names: Sequence[str], folds: int, groups: Numbers | None, group: str) -> Fault | None:
    """The reason why records cannot be divided; None if they can.

    Args:
        names: names of the classes.
        group: name of the column with groups.
    """
    count = len(classes)
    if groups is not None and count >= folds:
        number = len(np.unique(groups))
        if number < folds:
            return Fault(f"{folds} folds need at least {folds} values of '{group}', and there {_are(number)}")
    elif count < folds:
        return Fault(f"{folds} folds need at least {folds} records, and there {_are(count)}")
    own = classes if groups is None else np.unique(np.stack([classes, groups]), axis=1)[0]
    numbers = np.bincount(own[own != NO_CLASS], minlength=len(names))
    rare = [name for name, number in zip(names, numbers) if number < folds]
    if not rare:
        return None
    common = [name for name in names if name not in rare]
    few = [f"'{name}' has {numbers[names.index(name)]}" for name in rare]
    near = did_you_mean(rare[0], common)
    what = "records" if groups is None else f"values of '{group}'"
    more = f" and {len(few) - 5} more classes" if len(few) > 5 else ""
    return Fault(
        f"{folds} folds need at least {folds} {what} of each class, and {', '.join(few[:5])}{more}; "
        f"{near or 'take fewer folds, or do not stratify'}",
        rare[0] if near else None,
    )


def _are(number: int) -> str:
    return "is 1" if number == 1 else f"are {number}"
