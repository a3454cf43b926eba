"""Kinds of layers in transformers' ``layer_types``, and the slices that select them in a spec."""

from collections.abc import Sequence
from itertools import groupby

from tp_core.errors import TPError

#: Attention to the whole text, and attention within a window.
FULL, SLIDING = "full_attention", "sliding_attention"


def layer_types(given: Sequence[str], count: int) -> list[str]:
    """The kind of each layer of a config.json.

    Raises:
        TPError: a kind is unknown, or the number of kinds differs from ``count``.
    """
    for kind in given:
        if kind not in (FULL, SLIDING):
            raise TPError(f"config.json: 'layer_types' has '{kind}'; specs know {FULL} and {SLIDING}")
    if len(given) != count:
        raise TPError(f"config.json: 'layer_types' has {len(given)} layers, but 'num_hidden_layers' is {count}")
    return list(given)


def slices(kinds: Sequence[str], kind: str) -> list[str]:
    """Slices of a stack that select the layers of one kind.

    A single slice is enough if the layers have equal distances up to the end of the stack.
    """
    numbers, count = [number for number, each in enumerate(kinds) if each == kind], len(kinds)
    for step in range(1, count):
        if len(numbers) > 1 and numbers == list(range(numbers[0], count, step)):
            return [f"{numbers[0] or ''}::{step}" if step > 1 else f"{numbers[0]}:"]
    runs = [[number for _, number in run] for _, run in groupby(enumerate(numbers), lambda each: each[1] - each[0])]
    return [f"{run[0]}:{run[-1] + 1}" if len(run) > 1 else str(run[0]) for run in runs]
