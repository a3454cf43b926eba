"""Time that 200 installed dummy plugin distributions add to discovery.

python benchmarks/discovery.py [--distributions 200] [--runs 15]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from common import median, scratch

CODE = """
import sys, time
from tp_core import discovery
start = time.perf_counter()
index = discovery.index()
count = sum(1 for _ in index.entries())
print(time.perf_counter() - start, count)
"""


def write_distributions(folder: Path, number: int) -> None:
    """Write metadata folders of installed distributions. Each distribution offers one encoder and one target."""
    for i in range(number):
        info = folder / f"dummy_{i:03d}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: dummy-{i:03d}\nVersion: 1.0\n")
        lines = [f"[tp.v1.{k}]\n{'dummy' + str(i)}.{k} = dummy_{i:03d}.config:Config\n" for k in ("encoder", "target")]
        (info / "entry_points.txt").write_text("\n".join(lines))


def main(number: int, runs: int) -> None:
    folder = scratch()
    write_distributions(folder, number)
    sides = {"none": "", f"{number}": str(folder)}
    times: dict[str, list[float]] = {name: [] for name in sides}
    for run in range(runs + 1):
        for name, path in sides.items():
            environment = {**os.environ, "PYTHONPATH": path}
            done = subprocess.run(
                [sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True
            )
            seconds, found = done.stdout.split()
            if run:
                times[name].append(float(seconds))
            if run == runs:
                print(f"  {name:>4} dummies: {median(times[name]) * 1000:6.1f} ms, {found} entries")
    none, some = (median(values) for values in times.values())
    print(f"  added: {(some - none) * 1000:.1f} ms   ratio {some / none:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--distributions", type=int, default=200)
    parser.add_argument("--runs", type=int, default=15)
    options = parser.parse_args()
    main(options.distributions, options.runs)
