"""Train ViT from scratch on scans of handwritten digits: data, training, test accuracy, predictions.

    python examples/vision/digits.py

Each step is a ``tp`` command. It is printed before it runs, so that you can copy and change it. The example takes about
two minutes on two cores. Results are in runs/vision.
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
RUN = ROOT / "runs" / "vision"
TP = [sys.executable, "-m", "tp_core"]

#: Minimum accuracy that the example must reach.
GOAL = 0.97


def tp(*arguments: str) -> str:
    """Run a ``tp`` command from the root of the repository. Returns its standard output."""
    print(f"\n$ tp {' '.join(arguments)}", flush=True)
    # One thread is enough: with such small matrices, more threads only wait for each other.
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    done = subprocess.run([*TP, *arguments], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def main() -> None:
    began = time.monotonic()
    run, test = RUN / "vit", RUN / "digits" / "test"
    for folder in (run, RUN / "digits"):
        if folder.exists():
            shutil.rmtree(folder)  # from an earlier run of the example
    subprocess.run([sys.executable, str(HERE / "make_data.py"), str(RUN / "digits")], check=True)
    print(f"1,797 scans of handwritten digits in {shown(RUN / 'digits')}")
    tp("train", shown(HERE / "vit.yaml"), "--run", shown(run))
    found = json.loads(tp("evaluate", shown(run), "--data", shown(test), "--json"))
    predictions = RUN / "predictions.tsv"
    tp("predict", shown(run), "--input", shown(test), "--output", shown(predictions), "--overwrite")
    print(f"""
accuracy on {sum(1 for _ in test.rglob("*.png"))} held-out scans  {found["cls/accuracy"]:.1%}

model         {shown(run / "model")}
metrics       {shown(run / "metrics.jsonl")}   (tensorboard --logdir {shown(RUN)})
predictions   {shown(predictions)}
took          {time.monotonic() - began:.0f} s""")
    if found["cls/accuracy"] < GOAL:
        sys.exit(f"the accuracy is below {GOAL:.0%}")


if __name__ == "__main__":
    main()
