"""Recognise spoken digits of unseen voices: synthesise data, train models, and compute the word error rate.

    pip install espeakng-loader                   # or the system's espeak-ng
    python examples/audio/digits.py               # a conformer with CTC, and a model with an attention decoder
    python examples/audio/digits.py s2t           # only one model: conformer-ctc or s2t

Data and runs are in runs/audio. On two cores, the data takes about one minute, and each model 2 to 3.5 minutes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DATA = ROOT / "runs" / "audio"
TP = [sys.executable, "-m", "tp_core"]
MODELS = ["conformer-ctc", "s2t"]

#: Maximum word error rate on unseen voices. A higher one means that something is wrong.
LIMIT = 0.10


def tp(*arguments: str) -> str:
    """Run a ``tp`` command from the root of the repository. Returns its standard output."""
    print(f"\n$ tp {' '.join(arguments)}", flush=True)
    # On a machine that does other work too, spinning threads would take CPU time from each other.
    environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
    done = subprocess.run([*TP, *arguments], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def main(models: list[str]) -> None:
    if not (DATA / "letters.txt").exists():  # written last
        subprocess.run([sys.executable, str(HERE / "make_data.py"), str(DATA)], check=True)
    lines = []
    for model in models:
        began = time.monotonic()
        run = DATA / "run" / model
        shutil.rmtree(run, ignore_errors=True)
        tp("train", shown(HERE / f"{model}.yaml"), "--run", shown(run))
        took = time.monotonic() - began
        # For a model with a decoder, test greedy search and four beams.
        for beams in (1, 4) if model == "s2t" else (1,):
            options = ["--beams", str(beams), "--max-new-tokens", "8"] if model == "s2t" else []
            options += ["--output", shown(run / f"test-{beams}.jsonl"), "--json"]
            rate = json.loads(tp("wer", shown(run), "--data", shown(DATA / "test.tsv"), *options))["word_error_rate"]
            name = f"{model}, {beams} beams" if beams > 1 else f"{model}, greedy"
            lines.append((rate, f"{name:<24} {rate:6.1%} word error rate, trained in {took:.0f} s: {options[-2]}"))
    print("\non eight voices that are not in the training data:")
    for _, line in lines:
        print(line)
    if max(rate for rate, _ in lines) > LIMIT:
        sys.exit(f"a word error rate is above {LIMIT:.0%}")


if __name__ == "__main__":
    chosen = sys.argv[1:] or MODELS
    unknown = [name for name in chosen if name not in MODELS]
    if unknown:
        sys.exit(f"no model '{unknown[0]}'; there are {', '.join(MODELS)}")
    main(chosen)
