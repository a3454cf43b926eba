"""The tables of an evaluation: figures per class, confusion matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tp_core.evaluation.totals import Arrays
from tp_core.metrics.tables import Table, TableFacts


class Tables:
    """Computes tables from the complete states of an evaluation.

    Args:
        facts: the declared tables by name, each with the names of its classes, or None
            (:func:`tp_core.spec.metrics.set_tables`).

    Attributes:
        found: the tables by name, in the order of their declaration; empty on all processes but the first.
    """

    def __init__(self, facts: Mapping[str, tuple[TableFacts, Sequence[str] | None]]) -> None:
        self.facts = facts
        self.found: dict[str, Table] = {}

    def take(self, states: dict[str, Arrays], first: bool) -> dict[str, Arrays]:
        """Compute the tables, and return the states that are not only those of tables.

        Args:
            first: True on the process that computes.
        """
        for name, (facts, names) in self.facts.items() if first else ():
            state = states.get(name if facts.metric is None else facts.metric)
            if state is not None:
                self.found[name] = facts.compute(names, *state)
        own = {name for name, (facts, _) in self.facts.items() if facts.metric is None}
        return {name: state for name, state in states.items() if name not in own}
