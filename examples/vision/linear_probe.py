"""Linear probe on frozen features of MAE and BEiT, compared with random weights.

    python examples/vision/linear_probe.py [--steps N]

Both models are pre-trained on the scans of digits of make_data.py, without labels. The features of a scan are one
vector (``tp embed``). A logistic regression learns the digits from the vectors of the training set. The script prints
its accuracy on the test set, for the trained models and for the same models with random initial weights. Results are
in runs/vision.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tp_core import LoadedModel, embed, load_model

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RUNS = ROOT / "runs" / "vision"

#: Minimum difference in accuracy between trained and random weights.
MARGIN = 0.1


def records(part: str) -> tuple[list[dict[str, str]], list[int]]:
    """The scans of a part of the data, and their classes. The class is the name of a scan's folder."""
    files = sorted((RUNS / "digits" / part).glob("*/*.png"))
    return [{"image": str(file)} for file in files], [int(file.parent.name) for file in files]


def accuracy(model: LoadedModel) -> float:
    """Test accuracy of a logistic regression on the model's features."""
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    scans, classes = records("train")
    probe.fit(embed(model, scans, batch_size=128), classes)
    scans, classes = records("test")
    return float(probe.score(embed(model, scans, batch_size=128), classes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, help="number of pre-training steps; default: the value in the specs")
    steps = parser.parse_args().steps
    if not (RUNS / "digits").exists():
        subprocess.run([sys.executable, str(HERE / "make_data.py")], check=True)
    failed = False
    for name in ("mae", "beit"):
        began, run = time.monotonic(), RUNS / f"{name}_probe"
        if run.exists():
            shutil.rmtree(run)  # from an earlier probe
        more = [] if steps is None else [f"train.steps={steps}"]
        command = [sys.executable, "-m", "tp_core", "train", str(HERE / f"{name}.yaml"), "--run", str(run), *more]
        subprocess.run(command, cwd=ROOT, check=True)
        model = load_model(run, "cpu")
        trained = accuracy(model)
        model.model.initialise(seed=0)
        untrained = accuracy(model)
        seconds = time.monotonic() - began
        print(f"{name}: linear probe {trained:.1%}, random weights {untrained:.1%} ({seconds:.0f} s)", flush=True)
        failed = failed or trained < untrained + MARGIN
    if failed:
        sys.exit(f"the accuracy with trained weights is less than {MARGIN:.0%} above that with random weights")


if __name__ == "__main__":
    main()
