"""Pictures and texts, from scratch: CLIP finds the captions of unseen pictures, ViLT says whether a caption belongs.

    python examples/crossmodal/demo.py [clip] [vilt]       # both if none is given

Each step is a ``tp`` command that is printed before it runs. The data are scikit-learn's scans of digits: see
make_data.py. Each model trains for about three minutes on two cores; results are in runs/crossmodal.
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
RUN = ROOT / "runs" / "crossmodal"
TP = [sys.executable, "-m", "tp_core"]


def tp(*arguments: str) -> str:
    """Run one ``tp`` command from the repository's root; gives back its standard output."""
    print(f"\n$ tp {' '.join(arguments)}", flush=True)
    environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
    done = subprocess.run([*TP, *arguments], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout


def trained(name: str) -> str:
    """Train an example anew; the folder of its run."""
    run = RUN / name
    if run.exists():
        shutil.rmtree(run)  # of an earlier demo
    tp("train", f"examples/crossmodal/{name}.yaml", "--run", f"runs/crossmodal/{name}")
    return f"runs/crossmodal/{name}"


def clip() -> tuple[str, bool]:
    """Recall of unseen pairs."""
    found = json.loads(tp("retrieve", trained("clip"), "--data", "runs/crossmodal/held_out.parquet", "--json"))
    there, back = (found[f"{way}/recall@1"] for way in ("image_to_text", "text_to_image"))
    line = f"CLIP, 1,000 unseen pictures and 55 captions: recall@1 {there:.1%} image to text, {back:.1%} text to image"
    return line, min(there, back) > 0.9


def vilt() -> tuple[str, bool]:
    """How often it is right whether an unseen picture has its own caption."""
    found = json.loads(tp("evaluate", trained("vilt"), "--data", "runs/crossmodal/held_out.parquet", "--json"))
    accuracy = found["itm/accuracy"]
    return f"ViLT, image-text matching of unseen pictures: {accuracy:.1%}", accuracy > 0.95


def main() -> None:
    subprocess.run([sys.executable, str(HERE / "make_data.py"), str(RUN)], check=True)
    models = {"clip": clip, "vilt": vilt}
    said, good = [], True
    for name in sys.argv[1:] or models:
        began = time.monotonic()
        line, enough = models[name]()
        said.append(f"{line} ({time.monotonic() - began:.0f} s)")
        good = good and enough
    print("\n" + "\n".join(said))
    if not good:
        sys.exit("that is less than 90 % recall@1, or 95 % accuracy")


if __name__ == "__main__":
    main()
