"""The table of ``tp show --devices``. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tp_core.cost.devices import Cluster
    from tp_core.cost.distribution import Estimate
    from tp_core.spec.schema import Spec

_COLUMNS = ("train.strategy", "fits", "memory", "accumulate", "sent", "step")


def strategy_lines(found: Sequence[Estimate], cluster: Cluster, spec: Spec) -> Iterator[str]:
    """Lines for the user: the assumptions, a row for each strategy, and why others cannot be used."""
    device, options = cluster.device, spec.train.options
    peak = device.peak.get(options.precision) or device.peak["fp32"]
    machines = f"{cluster.machines} machine{'s' * (cluster.machines > 1)}"
    yield f"{cluster.count} × {device.name} on {machines}, {device.memory / 1e9:.0f} GB each"
    reached = f"{peak / 1e12:.4g} TFLOP/s in {options.precision}, of which {cluster.efficiency:.0%} are reached"
    links = f"{device.inside / 1e9:.4g} GB/s inside a machine, {device.between / 1e9:.4g} GB/s between machines"
    yield f"assumed: {reached}; {links}"
    yield f"a step of {options.batch_size} samples; estimates, by the model in docs/scale.md"
    yield ""
    usable = [each for each in found if not each.note]
    rows = [_COLUMNS, *(_row(each) for each in usable)]
    widths = [max(len(row[n]) for row in rows) for n in range(len(_COLUMNS))]
    for row in rows:
        cells = [
            f"{cell:<{width}}" if n < 2 else f"{cell:>{width}}" for n, (cell, width) in enumerate(zip(row, widths))
        ]
        yield "  ".join(cells).rstrip()
    for each in found:
        if each.note:
            yield f"{each.strategy}: {each.note}"


def _row(each: Estimate) -> tuple[str, ...]:
    fits = "yes" if each.fits else "no"
    memory, sent = f"{each.memory / 1e9:.1f} GB", f"{each.sent.total / 1e9:.3g} GB"
    return (each.strategy, fits, memory, str(each.accumulate), sent, _time(each.seconds))


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"
