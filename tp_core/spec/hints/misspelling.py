"""Detection of misspelt keys.

Keys consist of words, so a comparison by letters alone is misleading: ``opt_eps`` is not a misspelt ``steps``. Two keys
are compared word by word. A word that occurs in other keys is taken as correct, except for its plural.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable


def misspelt(key: str, candidates: Iterable[str], real: Collection[str]) -> str | None:
    """The candidate that a key misspells; None if there is none.

    Args:
        real: existing keys, whose words count as correct.
    """
    words = {word for each in real for word in _words(each)}
    best: tuple[int, str] | None = None
    for candidate in candidates:
        edits = _slips(key, candidate, words)
        if edits is not None and (best is None or edits < best[0]):
            best = edits, candidate
    return None if best is None else best[1]


def _slips(key: str, candidate: str, real: Collection[str]) -> int | None:
    """The number of typing errors between the key and the candidate; None if they differ by more than that."""
    mine, theirs = _words(key), _words(candidate)
    if len(mine) != len(theirs):  # a separator is missing or unexpected
        joined, other = "".join(mine), "".join(theirs)
        edits = distance(joined, other, 1)
        return None if edits > 1 or min(len(joined), len(other)) < 6 else edits + 1
    total = 0
    for one, other in zip(mine, theirs):
        if one == other:
            continue
        plural = one + "s" == other or other + "s" == one
        most = _most_slips(one, other)
        edits = distance(one, other, most)
        if edits > most or (one in real and not plural):
            return None
        total += edits
    return total if total <= 3 else None


def _words(key: str) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9]+", key.lower()) if word]


def _most_slips(one: str, other: str) -> int:
    """The maximum number of typing errors in a word. A short word with another letter is another word (``top_k``)."""
    longest = max(len(one), len(other))
    if longest <= 3:
        return int(sorted(one) == sorted(other))
    return 1 if longest <= 6 else 2


def distance(one: str, other: str, most: int) -> int:
    """The number of letters that are missing, added, replaced, or swapped with a neighbour; at most ``most + 1``."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        before, last, row = row, before, [i]
        for j, opposite in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != opposite))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == opposite:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
        if min(row) > most and (i == 1 or min(before) > most):
            return most + 1
    return min(row[-1], most + 1)
