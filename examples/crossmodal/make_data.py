"""Write the data of the cross-modal examples: pictures of two scanned digits side by side, with captions in words.

    python examples/crossmodal/make_data.py [OUTPUT_FOLDER]       # default: runs/crossmodal

The data use the 1,797 scans of 8 x 8 pixels in scikit-learn. Training pictures and held-out pictures have different
scans. Output files:
    pairs.parquet       image (PNG bytes), text: 8,000 pictures for training, captions in several wordings
    held_out.parquet    image, text: 1,000 further pictures, captions in one wording; there are 55 different captions,
                        because they always name the smaller digit first
    regions.jsonl       text, regions, boxes: 2,000 records; each scan is a region with its 64 pixels as features
    captions.txt        the captions of the training pictures, one per line
    vocab.txt           the words of the captions
    digits/             scans of single digits as PNG files, in one folder per digit; digits_held_out/: held-out scans
    sounds/             telephone key tones of the digits (ITU-T Q.23) with noise, as WAV files in one folder per digit;
                        sounds_held_out/: held-out tones
"""

from __future__ import annotations

import io
import json
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
WORDINGS = ["a scan of {} and {}", "{} {}", "the digits {} and {}", "{} beside {}", "both {} and {}"]
#: Left, top, right, bottom and area of the two scans, relative to the picture.
HALVES = [[0.0, 0.0, 0.5, 1.0, 0.5], [0.5, 0.0, 1.0, 1.0, 0.5]]
#: Samples per second, and the two frequencies of each digit's key, in Hz.
RATE = 8000
KEYS = [(941, 1336), *((low, high) for low in (697, 770, 852) for high in (1209, 1336, 1477))]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def png(picture: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="PNG")
    return stream.getvalue()


def split() -> tuple[list[list[NDArray[np.uint8]]], list[list[NDArray[np.uint8]]]]:
    """The scans of each digit: those for training, and every fourth as held-out scans."""
    data = load_digits()
    scans: list[list[NDArray[np.uint8]]] = [[] for _ in WORDS]
    for picture, digit in zip(data.images, data.target):
        scans[digit].append((picture * 255 / 16).astype(np.uint8))
    return [[s for i, s in enumerate(own) if i % 4] for own in scans], [own[::4] for own in scans]


def pairs(
    scans: list[list[NDArray[np.uint8]]], count: int, wordings: list[str], draws: np.random.Generator
) -> list[tuple[list[NDArray[np.uint8]], str]]:
    """``count`` pairs of scans with captions. Each pair of digits occurs equally often."""
    found = []
    for number in range(count):
        digits = divmod(number % 100, 10)
        both = [scans[digit][draws.integers(len(scans[digit]))] for digit in digits]
        wording = wordings[draws.integers(len(wordings))]
        found.append((both, wording.format(*(WORDS[digit] for digit in sorted(digits)))))
    return [found[i] for i in draws.permutation(count)]


def write_pictures(file: Path, made: list[tuple[list[NDArray[np.uint8]], str]]) -> None:
    table = {"image": [png(np.concatenate(both, axis=1)) for both, _ in made], "text": [text for _, text in made]}
    pq.write_table(pa.table(table), file)


def write_scans(folder: Path, scans: list[list[NDArray[np.uint8]]]) -> None:
    for digit, own in enumerate(scans):
        (folder / str(digit)).mkdir(parents=True, exist_ok=True)
        for number, scan in enumerate(own):
            (folder / str(digit) / f"{number}.png").write_bytes(png(scan))


def write_sounds(folder: Path, count: int, draws: np.random.Generator) -> None:
    """Write ``count`` tones of 0.1 to 0.2 seconds for each digit's key, in noise of about the same loudness."""
    for digit, (low, high) in enumerate(KEYS):
        (folder / str(digit)).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            time = np.arange(int(RATE * draws.uniform(0.1, 0.2))) / RATE
            tones = (np.sin(2 * np.pi * (f * time + draws.random())) for f in (low, high))
            heard = draws.uniform(0.03, 0.1) * sum(tones) + 0.08 * draws.normal(size=len(time))
            with wave.open(str(folder / str(digit) / f"{number}.wav"), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(RATE)
                file.writeframes((np.clip(heard, -1, 1) * 32767).astype("<i2").tobytes())


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    draws = np.random.default_rng(0)
    seen, unseen = split()
    training = pairs(seen, 8000, WORDINGS, draws)
    write_pictures(folder / "pairs.parquet", training)
    (folder / "captions.txt").write_text("\n".join(text for _, text in training) + "\n", encoding="utf-8")
    write_pictures(folder / "held_out.parquet", pairs(unseen, 1000, WORDINGS[:1], draws))
    with (folder / "regions.jsonl").open("w", encoding="utf-8") as file:
        for both, text in pairs(seen, 2000, WORDINGS, draws):
            regions: Any = [(scan.ravel() / 255).round(3).tolist() for scan in both]
            file.write(json.dumps({"text": text, "regions": regions, "boxes": HALVES}) + "\n")
    words = sorted({word for wording in WORDINGS for word in wording.replace("{}", "").split()})
    (folder / "vocab.txt").write_text("\n".join([*SPECIAL, *WORDS, *words]) + "\n", encoding="utf-8")
    write_scans(folder / "digits", seen)
    write_scans(folder / "digits_held_out", unseen)
    write_sounds(folder / "sounds", 80, draws)
    write_sounds(folder / "sounds_held_out", 20, draws)


if __name__ == "__main__":
    root = Path(__file__).resolve().parent.parent.parent
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else root / "runs" / "crossmodal")
