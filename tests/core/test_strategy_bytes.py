"""The estimated bytes of each strategy are those that processes send."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.core import runs
from tp_core import load_spec
from tp_core.cost.distribution import Layout, sent
from tp_core.cost.model_parts import model_parts

#: Strategies → how they divide the work among two processes.
LAYOUTS = {
    "ddp": Layout("ddp", 2, 1),
    "fsdp": Layout("fsdp", 1, 2),
    "{fsdp: {reshard_after_forward: false}}": Layout("fsdp_kept", 1, 2),
    "{deepspeed: {stage: 1}}": Layout("zero1", 1, 2),
    "{deepspeed: {stage: 2}}": Layout("zero2", 1, 2),
    "{deepspeed: {stage: 3, config: {zero_optimization: {stage3_param_persistence_threshold: 0}}}}": Layout(
        "zero3", 1, 2
    ),
    "tensor_parallel": Layout("fsdp", 1, 1, 2),
}

#: gloo computes a reduce-scatter as a sum of all parts on every process; NCCL sends half of that.
GLOO_SCATTER = 2


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bytes")
    runs.write_project(folder, steps=6, batch_size=8, accumulate=2, checkpoint_every=None, log_every=6)
    spec = runs.read_spec(folder)
    spec["model"] |= {"hidden_size": 128, "num_layers": 3, "feed_forward_size": 512, "dropout": 0.0}
    spec["data"]["processor"] = {"bert": {"max_length": 8, "short_rate": 0.0}}
    spec["train"]["hooks"] = ["count_bytes:Config"]
    runs.write_spec(folder, spec)
    shutil.copy(Path(__file__).with_name("count_bytes.py"), folder)
    return folder


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux counts the bytes of a process")
@pytest.mark.parametrize("strategy", LAYOUTS)
def test_the_bytes_that_processes_send_are_those_of_the_model(home: Path, strategy: str) -> None:
    layout = LAYOUTS[strategy]
    name = f"run-{list(LAYOUTS).index(strategy)}"
    runs.run_group(home, "train", "spec.yaml", "--run", name, f"train.strategy={strategy}")
    spec = load_spec(home / "spec.yaml")
    parts = model_parts(spec, 8, layout.together)
    assert parts is not None
    estimate = sent(spec, layout, parts, 8 // layout.data_parallel, 2)
    expected = estimate.total + (GLOO_SCATTER - 1) * estimate.reduce_scatter
    for rank in range(2):
        found = json.loads((home / name / f"bytes-{rank}.json").read_text()) / 4
        assert found == pytest.approx(expected, rel=0.1), f"{found / expected:.3f} of the estimate"
