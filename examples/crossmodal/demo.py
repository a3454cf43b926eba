"""Train models of pictures and texts from scratch.

CLIP retrieves the captions of unseen pictures. ViLT decides if a picture and a caption match. ERNIE-ViLG writes
captions of unseen pictures and draws pictures for captions. PolyViT classifies pictures and sounds with one encoder.

    python examples/crossmodal/demo.py [clip] [vilt] [ernie-vilg] [polyvit]       # default: clip vilt

Each step is a ``tp`` command that is printed before it runs. The data are scikit-learn's scans of digits: see
make_data.py. Each model trains for about three minutes on two cores. Results are in runs/crossmodal.
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
    """Run a ``tp`` command from the root of the repository. Returns its standard output."""
    print(f"\n$ tp {' '.join(arguments)}", flush=True)
    environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
    done = subprocess.run([*TP, *arguments], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout


def trained(name: str) -> str:
    """Train an example from scratch. Returns the folder of its run."""
    run = RUN / name
    if run.exists():
        shutil.rmtree(run)  # from an earlier demo
    tp("train", f"examples/crossmodal/{name}.yaml", "--run", f"runs/crossmodal/{name}")
    return f"runs/crossmodal/{name}"


def clip() -> tuple[str, bool]:
    """Recall of CLIP on unseen pairs."""
    found = json.loads(tp("retrieve", trained("clip"), "--data", "runs/crossmodal/held_out.parquet", "--json"))
    there, back = (found[f"{way}/recall@1"] for way in ("image_to_text", "text_to_image"))
    line = f"CLIP, 1,000 unseen pictures and 55 captions: recall@1 {there:.1%} image to text, {back:.1%} text to image"
    return line, min(there, back) > 0.9


def vilt() -> tuple[str, bool]:
    """Accuracy of ViLT in image-text matching of unseen pictures."""
    found = json.loads(tp("evaluate", trained("vilt"), "--data", "runs/crossmodal/held_out.parquet", "--json"))
    accuracy = found["itm/accuracy"]
    return f"ViLT, image-text matching of unseen pictures: {accuracy:.1%}", accuracy > 0.95


def ernie_vilg() -> tuple[str, bool]:
    """Shares of ERNIE-ViLG's captions of unseen pictures, and of its drawings, with both digits right."""
    import numpy as np
    import pyarrow.parquet as pq
    from make_data import WORDS, split
    from PIL import Image

    trained("vqvae")
    run, folder = trained("ernie-vilg"), RUN / "ernie-vilg"
    tp("generate", run, "--input", "runs/crossmodal/held_out.parquet", "--output", f"{run}/captions.txt")
    texts = pq.read_table(RUN / "held_out.parquet").column("text").to_pylist()
    (folder / "wanted.txt").write_text("\n".join(texts[:300]) + "\n", encoding="utf-8")
    tp("draw", run, "--input", f"{run}/wanted.txt", "--output", f"{run}/drawings")

    def named(text: str) -> list[int]:
        return sorted(WORDS.index(word) for word in text.split() if word in WORDS)

    scans = [(scan.ravel().astype(float), digit) for digit, own in enumerate(split()[0]) for scan in own]
    known = np.stack([scan for scan, _ in scans])

    def shown(half: np.ndarray) -> int:
        """The digit of the nearest scan."""
        return scans[int(((known - half.ravel()) ** 2).sum(axis=1).argmin())][1]

    written = (folder / "captions.txt").read_text(encoding="utf-8").splitlines()
    right = np.mean([named(own) == named(text) for own, text in zip(written, texts)])
    drawings = [np.asarray(Image.open(folder / "drawings" / f"{n}.png"), float) for n in range(1, 301)]
    good = np.mean([sorted((shown(d[:, :8]), shown(d[:, 8:]))) == named(t) for d, t in zip(drawings, texts)])
    line = f"ERNIE-ViLG, both digits right: {right:.1%} of captions of unseen pictures, {good:.1%} of drawings"
    return line, min(right, good) > 0.6


def polyvit() -> tuple[str, bool]:
    """Accuracy of PolyViT on unseen pictures and on unseen sounds."""
    run = trained("polyvit")
    right = []
    for name, target in (("digits", "scans"), ("sounds", "sounds")):
        data = f"runs/crossmodal/{name}_held_out"
        found = json.loads(tp("evaluate", run, "--data-set", name, "--data", data, "--json"))
        right.append(found[f"{target}/accuracy"])
    line = f"PolyViT, digits of unseen scans: {right[0]:.1%}, of unseen sounds: {right[1]:.1%}"
    return line, min(right) > 0.9


def main() -> None:
    subprocess.run([sys.executable, str(HERE / "make_data.py"), str(RUN)], check=True)
    models = {"clip": clip, "vilt": vilt, "ernie-vilg": ernie_vilg, "polyvit": polyvit}
    said, good = [], True
    for name in sys.argv[1:] or ("clip", "vilt"):
        began = time.monotonic()
        line, enough = models[name]()
        said.append(f"{line} ({time.monotonic() - began:.0f} s)")
        good = good and enough
    print("\n" + "\n".join(said))
    if not good:
        sys.exit(
            "a result is too low; expected at least 90 % recall@1 (CLIP), 95 % accuracy (ViLT), 60 % of captions and "
            "drawings (ERNIE-ViLG), 90 % accuracy (PolyViT)"
        )


if __name__ == "__main__":
    main()
