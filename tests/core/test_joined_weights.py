"""The strategy ``fsdp`` never joins more than the weights of one unit before the first step."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.core import runs

SCRIPT = """
from torch.distributed.tensor import DTensor

from tp_core import load_spec
from tp_core.model import meta_model
from tp_core.training.strategies import fsdp_entry

spec = load_spec("spec.yaml", ["train.strategy=fsdp"])
strategy = spec.train.strategy.config.build()
strategy.setup(spec.train.options)
model = meta_model(spec)
most, plain = [0], fsdp_entry.Used.watch


def watch(self, name, weight):
    whole = [p for p in model.parameters() if p.dim() and not isinstance(p, DTensor)]
    most[0] = max(most[0], len(whole))
    plain(self, name, weight)


fsdp_entry.Used.watch = watch
strategy.place(model, 1)
layer = len(list(model.encoder.layers[0].parameters()))
root = len(list(model.parameters())) - len(list(model.encoder.layers.parameters()))
assert layer <= most[0] <= max(layer, root), (most, layer, root)
assert all(isinstance(p, DTensor) for p in model.parameters())
assert len(strategy._used.names) == len(list(model.parameters()))
strategy.processes.barrier()
strategy.teardown()
"""


@pytest.mark.slow
def test_one_unit_is_joined_at_a_time(tmp_path: Path) -> None:
    runs.write_project(tmp_path)
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    group = runs.start_group([tmp_path] * 2, script=script)
    assert [run.wait() for run in group] == [0, 0], "".join(run.said() for run in group)
