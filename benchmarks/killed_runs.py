"""Kills training runs at random moments, resumes them, and counts those that end as if nothing had happened.

    python -m benchmarks.killed_runs --runs 100 --kills 3

Every run is killed several times with SIGKILL, and must end with the weights, the metrics and the checkpoints of a run
that nobody disturbed, bit for bit, and without temporary files.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

from tests.core import runs


def survives(home: Path, name: str, kills: int, longest: float, draw: random.Random) -> tuple[bool, int]:
    """True if a run that is killed ends like the undisturbed one; and the number of its kills.

    Args:
        longest: seconds after its start at which a process is killed at the latest.
    """
    done = 0
    for attempt in range(kills):
        run = runs.start(home, "--run", name, *(["--resume"] if attempt else []))
        time.sleep(draw.uniform(0, longest))
        run.kill()
        if run.wait() < 0:
            done += 1
        else:
            break  # it ended before
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
    parser.add_argument("--kills", type=int, default=2, help="of each run")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    draw = random.Random(given.seed)
    with tempfile.TemporaryDirectory(prefix="tp-killed-") as folder:
        home = runs.write_project(Path(folder), steps=60, checkpoint_every=5)
        runs.train(home, "--run", "calm")
        begin = time.monotonic()  # what all runs share is imported and prepared now
        runs.train(home, "--run", "again")
        whole = time.monotonic() - begin
        longest = whole * 2 / (given.kills + 1)  # the kills of a run are spread over all of it
        survived = killed = 0
        for number in range(given.runs):
            held, kills = survives(home, f"run-{number}", given.kills, longest, draw)
            survived, killed = survived + held, killed + kills
        print(f"{survived} of {given.runs} runs ended as if nothing had happened, after {killed} SIGKILLs")


if __name__ == "__main__":
    main()
