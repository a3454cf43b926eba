"""Write the data of the vision examples: the scans of handwritten digits in scikit-learn.

    python examples/vision/make_data.py [OUTPUT_FOLDER]       # default: runs/vision/digits

Output files:
    train/0/0000.png ... test/9/1790.png    1,797 greyscale pictures of 8 x 8 pixels, in one folder per class; a fixed
                                            random fifth is the test set
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

HERE = Path(__file__).resolve().parent


def main(folder: Path) -> None:
    scans = load_digits()
    order = np.random.default_rng(0).permutation(len(scans.images))
    held_out = set(order[: len(order) // 5].tolist())
    for number, (image, label) in enumerate(zip(scans.images, scans.target)):
        place = folder / ("test" if number in held_out else "train") / str(label)
        place.mkdir(parents=True, exist_ok=True)
        pixels = np.round(image * (255 / 16)).astype(np.uint8)  # the scans have 17 levels of grey
        Image.fromarray(pixels).save(place / f"{number:04}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent.parent / "runs" / "vision" / "digits")
