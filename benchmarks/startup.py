"""Time of short commands, as a ratio to the time of importing click, pydantic and yaml.

All modules are compiled in advance, as after an installation, regardless of the environment's settings. Importing
pydantic alone loads little. The line with one pydantic class is the minimum for a command that validates data.

python benchmarks/startup.py [--runs 15]
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from common import median, scratch, write_spec

TP = str(Path(sys.executable).with_name("tp"))

CLASS = """
import click, yaml
from pydantic import BaseModel
class Options(BaseModel):
    size: int = 1
Options(size=2)
"""


def main(runs: int) -> None:
    folder = scratch()
    spec = str(write_spec(folder, "tiny"))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")
    commands = {
        "import click, pydantic, yaml": [sys.executable, "-c", "import click, pydantic, yaml"],
        "one pydantic class, used": [sys.executable, "-c", CLASS],
        "tp --help": [TP, "--help"],
        "tp modules": [TP, "modules"],
        "tp check bert-base": [TP, "check", "bert-base"],
        "tp check (vocabulary of 21,128 and data)": [TP, "check", spec],
    }
    wall: dict[str, list[float]] = {name: [] for name in commands}
    used: dict[str, list[float]] = {name: [] for name in commands}
    for run in range(runs + 1):
        for name, command in commands.items():
            start, before = time.perf_counter(), processor_time()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=environment)
            if run:
                wall[name].append(time.perf_counter() - start)
                used[name].append(processor_time() - before)
    base, base_used = (median(next(iter(times.values()))) for times in (wall, used))
    print(f"medians of {runs} runs")
    for name in commands:
        seconds, processor = median(wall[name]), median(used[name])
        print(
            f"  {name:<42} {seconds:.3f} s   ratio {seconds / base:.2f}   "
            f"processor {processor:.3f} s   ratio {processor / base_used:.2f}"
        )


def processor_time() -> float:
    """CPU seconds of all finished child processes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=15)
    main(parser.parse_args().runs)
