"""Checks of metrics: computed and declared metrics are the same, states add up, and the results are numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from tp_core.errors import TPError
from tp_core.evaluation.totals import JoinedRows, Totals, computed, divided
from tp_core.interfaces import Joined, MetricState
from tp_core.metrics.facts import MetricFacts
from tp_core.metrics.tables import TableFacts
from tp_core.processes.group import ProcessGroup


def check_declared(given: Iterable[str], declared: Iterable[str], method: str, complete: bool = True) -> None:
    """Check that the config declares the metrics that ``method`` gives.

    Args:
        given: names of the metrics that the method gives.
        declared: names of the metrics that the config declares.
        method: name of the method, for messages.
        complete: True if all declared metrics must be given. In training, some may be missing.
    """
    given, declared = list(given), list(declared)
    extra = [name for name in given if name not in declared]
    assert not extra, (
        f"{method} gives the metric '{extra[0] if extra else ''}', which measures() of the config does not declare "
        f"(it has {', '.join(declared) or 'none'}); declare there if high or low values are better"
    )
    absent = [name for name in declared if name not in given]
    assert not (absent and complete), (
        f"measures() of the config declares the metric '{absent[0] if absent else ''}', which {method} does not give; "
        "an evaluation must give all declared metrics"
    )


def check_states(states: Mapping[str, MetricState], facts: Mapping[str, MetricFacts]) -> None:
    """Check that metric states are tuples of addends, or joined columns of equal length, and give a number."""
    for name, state in states.items():
        assert isinstance(state, (tuple, Joined)), (
            f"the metric '{name}' is {type(state).__name__}; expected a tuple such as (sum, count), or tp_core.Joined"
        )
        if isinstance(state, Joined):
            rows = {len(column) for column in state.columns}
            assert len(rows) == 1, f"the columns of the metric '{name}' have {sorted(rows)} rows; expected the same"
    try:
        _numbers([states], facts)
    except TPError as error:
        raise AssertionError(str(error)) from None


def check_tables(states: Mapping[str, MetricState], facts: Mapping[str, TableFacts]) -> None:
    """Check that the tables of a target are those that its config declares, and that each row has a cell per column."""
    assert states.keys() == facts.keys(), (
        f"tables() of the target gives {', '.join(states) or 'none'}; tables() of its config declares "
        f"{', '.join(facts) or 'none'}"
    )
    totals, rows = Totals(torch.device("cpu")), JoinedRows()
    adding, joined = divided(states)
    totals.add(adding)
    rows.add(0, joined)
    for name, arrays in {**totals.read(ProcessGroup()), **rows.read(ProcessGroup())}.items():
        table = facts[name].compute(None, *arrays)
        wrong = [row for row in table.rows if len(row) != len(table.columns)]
        assert not wrong, f"the table '{name}' has {len(table.columns)} columns, but a row has {len(wrong[0])} cells"


def check_adding_up(
    whole: Mapping[str, MetricState],
    parts: Sequence[Mapping[str, MetricState]],
    facts: Mapping[str, MetricFacts],
    tolerance: float,
) -> None:
    """Check that the metric states of single samples, without padding, add up to the state of the batch."""
    for name, state in whole.items():
        for part in parts:
            assert name in part, f"the metric '{name}' is given for a batch, but not for a single sample"
        if isinstance(state, Joined):
            (one,), (other,) = (_numbers(each, facts, [name]).values() for each in ([whole], parts))
            same = (math.isnan(one) and math.isnan(other)) or abs(one - other) <= tolerance * max(1.0, abs(one))
            assert same, (
                f"the metric '{name}' is {one:g} for a batch and {other:g} for its samples joined; its rows must come "
                "from the samples, without padding"
            )
            continue
        for place, value in enumerate(state):
            what = ("sum", "count")[place] if len(state) == 2 else f"tensor {place}"
            expected = torch.as_tensor(value).double()
            added = torch.stack([torch.as_tensor(part[name][place]).double() for part in parts]).sum(dim=0)  # type: ignore[index]
            assert bool(((added - expected).abs() <= tolerance * added.abs().clamp(min=1.0)).all()), (
                f"the metric '{name}' of single samples has {what}s that add up to {_shown(added)}, that of the batch "
                f"is {_shown(expected)}; metrics must be sums and counts without padding"
            )


def _numbers(
    batches: Sequence[Mapping[str, MetricState]], facts: Mapping[str, MetricFacts], names: Sequence[str] | None = None
) -> dict[str, float]:
    """The numbers that the metrics of several batches come to."""
    alone = ProcessGroup()
    totals, rows = Totals(torch.device("cpu")), JoinedRows()
    for number, states in enumerate(batches):
        adding, joined = divided({name: states[name] for name in (states if names is None else names)})
        totals.add(adding)
        rows.add(number, joined)
    return computed({**totals.read(alone), **rows.read(alone)}, facts)


def _shown(value: Tensor) -> str:
    return f"{value.item():g}" if value.dim() == 0 else str(value.tolist())
