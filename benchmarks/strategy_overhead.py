"""The time of a step with each strategy over that of ``ddp``, on two CPU processes; all in one go, by turns.

    python benchmarks/strategy_overhead.py [--rounds 3] [--steps 12]

Each round trains all strategies, one after the other, so that the machine's changes of speed meet all of them. The
figure of a strategy is the median over the rounds of its step time, the median over the steps after the third.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.core import runs

STRATEGIES = {
    "ddp": "ddp",
    "fsdp": "fsdp",
    "fsdp, weights kept": "{fsdp: {reshard_after_forward: false}}",
    "tensor_parallel": "tensor_parallel",
    "deepspeed, stage 0": "{deepspeed: {stage: 0}}",
    "deepspeed, stage 1": "{deepspeed: {stage: 1}}",
    "deepspeed, stage 2": "{deepspeed: {stage: 2}}",
    "deepspeed, stage 3": "{deepspeed: {stage: 3}}",
}

CLOCK = """
import json, time
from tp_core import HooksConfig, hookimpl

class Clock:
    def __init__(self):
        self.at = []

    @hookimpl
    def tp_step_end(self, trainer, step):
        self.at.append(time.perf_counter())
        if step == trainer.total_steps and trainer.strategy.rank == 0:
            (trainer.run / "clock.json").write_text(json.dumps(self.at))

class Config(HooksConfig):
    def build(self):
        return Clock()
"""


def step_time(folder: Path, run: str, strategy: str) -> float:
    """Median seconds of a step."""
    command = [sys.executable, "-m", "tp_core", "train", "spec.yaml", "--nproc", "2", "--run", run]
    command.append(f"train.strategy={strategy}")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    at = json.loads((folder / run / "clock.json").read_text())
    return statistics.median(b - a for a, b in itertools.pairwise(at[2:]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=12)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs.write_project(folder, documents=400, steps=given.steps, batch_size=16, checkpoint_every=None)
        spec = runs.read_spec(folder)
        sizes = {"hidden_size": 256, "num_layers": 4, "num_heads": 4, "feed_forward_size": 1024}
        spec["model"] |= {**sizes, "embedding": ["word", {"pos": {"max_length": 128}}, "seg"]}
        spec["data"]["processor"] = {"bert": {"max_length": 128}}
        spec["train"] |= {"hooks": ["clock:Config"], "log_every": given.steps}
        (folder / "spec.yaml").write_text(yaml.safe_dump(spec))
        (folder / "clock.py").write_text(CLOCK)
        times: dict[str, list[float]] = {each: [] for each in STRATEGIES}
        for turn in range(given.rounds):
            for number, (each, strategy) in enumerate(STRATEGIES.items()):
                times[each].append(step_time(folder, f"run-{turn}-{number}", strategy))
    base = statistics.median(times["ddp"])
    print("| strategy | step | over ddp |")
    print("|---|---|---|")
    for each, found in times.items():
        middle = statistics.median(found)
        print(f"| {each} | {1000 * middle:.0f} ms | {middle / base:.2f} |")


if __name__ == "__main__":
    main()
