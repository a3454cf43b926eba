"""Wall time of short commands, as a ratio to importing click, pydantic and yaml.

python benchmarks/startup.py [--runs 15]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from common import median, scratch, write_spec

TP = str(Path(sys.executable).with_name("tp"))


def main(runs: int) -> None:
    spec = str(write_spec(scratch(), "tiny"))
    commands = {
        "import click, pydantic, yaml": [sys.executable, "-c", "import click, pydantic, yaml"],
        "from pydantic import BaseModel": [sys.executable, "-c", "import click, yaml; from pydantic import BaseModel"],
        "tp --help": [TP, "--help"],
        "tp modules": [TP, "modules"],
        "tp check bert-base": [TP, "check", "bert-base"],
        "tp check (vocabulary of 21,128 and data)": [TP, "check", spec],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for run in range(runs + 1):
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            if run:
                times[name].append(time.perf_counter() - start)
    base = median(next(iter(times.values())))
    print(f"medians of {runs} runs")
    for name, values in times.items():
        print(f"  {name:<42} {median(values):.3f} s   ratio {median(values) / base:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=15)
    main(parser.parse_args().runs)
