"""Kills training runs at random moments, resumes them, and counts the runs with unchanged results.

    python -m benchmarks.killed_runs --runs 100 --kills 3

Each run is killed several times with SIGKILL. At its end, weights, metrics and checkpoints must equal those of an
undisturbed run bit for bit, and no temporary files may remain.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

from tests.core import runs


def survives(home: Path, name: str, kills: int, longest: float, draw: random.Random) -> tuple[bool, int]:
    """Kill and resume a run.

    Args:
        home: folder of the project.
        name: name of the run.
        kills: maximum number of kills.
        longest: maximum number of seconds between the start of a process and its kill.
        draw: random generator of the moments.

    Returns:
        True if the results equal those of the undisturbed run; and the number of kills.
    """
    done = 0
    for attempt in range(kills):
        run = runs.start(home, "--run", name, *(["--resume"] if attempt else []))
        time.sleep(draw.uniform(0, longest))
        run.kill()
        if run.wait() < 0:
            done += 1
        else:
            break  # the run ended before the kill
    runs.train(home, "--run", name, "--resume")
    try:
        runs.assert_same_run(home / name, home / "calm")
    except AssertionError:
        return False, done
    left = [path for place in (home / name, home / name / "checkpoints") for path in place.glob(".tmp-*")]
    return runs.checkpoints(home / name) == runs.checkpoints(home / "calm") and not left, done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--kills", type=int, default=2, help="kills per run")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    draw = random.Random(given.seed)
    with tempfile.TemporaryDirectory(prefix="tp-killed-") as folder:
        home = runs.write_project(Path(folder), steps=60, checkpoint_every=5)
        runs.train(home, "--run", "calm")
        begin = time.monotonic()  # the first run has prepared the data and compiled the modules that all runs share
        runs.train(home, "--run", "again")
        whole = time.monotonic() - begin
        longest = whole * 2 / (given.kills + 1)  # spreads the kills over the whole run
        survived = killed = 0
        for number in range(given.runs):
            held, kills = survives(home, f"run-{number}", given.kills, longest, draw)
            survived, killed = survived + held, killed + kills
        print(f"{survived} of {given.runs} runs ended with the results of the undisturbed run, after {killed} SIGKILLs")


if __name__ == "__main__":
    main()
