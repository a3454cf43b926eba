"""The costs of samples together, padded, and one by one without padding."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import torch

from tp_core import Model
from tp_core.data.routing import Route
from tp_core.interfaces import Batch, Processor, Sample, TargetOutput
from tp_core.spec.context import context_of
from tp_core.testing.metrics import check_adding_up


def outputs(model: Model, batches: Iterable[Batch]) -> dict[str, list[TargetOutput]]:
    """The outputs of each target, one for each of the batches."""
    with torch.no_grad():
        each = [model(batch).outputs for batch in batches]
    return {name: [output[name] for output in each] for name in each[0]}


def assert_padding_is_free(model: Model, samples: list[Sample], plain: Processor, *others: Processor) -> None:
    """Losses, their denominators and metrics of samples together are those of each alone, without padding.

    Args:
        plain: pads to the longest sample of a batch.
        others: pad more.
    """
    asked = {each.instance_name: each.config.requires(context_of(model.spec)) for each in model.spec.model.targets}
    route = Route({name: tuple(p.name for p in ports if p.kind == "labels") for name, ports in asked.items()})
    alone = outputs(model, (route(plain.collate([sample])) for sample in samples))
    padded = [route(made.collate(samples)) for made in (plain, *others)]
    lonely = [route(other.collate([samples[-1]])) for other in others]
    for chosen in model.spec.model.targets:
        name = chosen.instance_name
        facts = chosen.config.measures(context_of(model.spec, chosen.config.stream or "", side="target"))
        for batch, parts in [*((b, alone[name]) for b in padded), *((b, alone[name][-1:]) for b in lonely)]:
            (found,) = outputs(model, [batch])[name]
            loss, count = (sum(getattr(p, what).item() for p in parts) for what in ("loss_sum", "denominator"))
            assert found.denominator.item() == count
            assert found.loss_sum.item() == pytest.approx(loss, rel=1e-5, abs=1e-4)
            check_adding_up(found.metrics, [part.metrics for part in parts], facts, 1e-4)
        assert sum(part.denominator.item() for part in alone[name]) > 0
