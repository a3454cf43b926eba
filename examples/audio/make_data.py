"""Write recordings of spoken digits with noise, made with a speech synthesiser. Each voice is in one part only.

    pip install espeakng-loader          # or the system's espeak-ng
    python examples/audio/make_data.py [OUTPUT_FOLDER]       # default: runs/audio

Output files:
    train.tsv dev.tsv test.tsv      one recording per line, with the columns audio, text and voice
    train/ dev/ test/               the recordings, FLAC at 16,000 samples per second
    words.txt letters.txt           vocabularies: the ten words, and the letters of these words
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from synthesiser import Synthesiser, find_synthesiser
from torchaudio.functional import resample

HERE = Path(__file__).resolve().parent
RATE = 16000
DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
LANGUAGES = ["en-us", "en-gb-x-rp", "en-gb-scotland"]

#: For each part: the number of recordings, and the names of the voice variants.
VOICES = {
    "train": (
        3000,
        [
            *("m1", "m2", "m4", "m6", "m7", "f1", "f2", "f5", "Andy", "Annie", "Denis", "Gene", "Lee", "Michael"),
            *("Alicia", "belinda", "benjamin", "david", "ed", "grandma", "iven", "john", "linda", "max", "paul", "rob"),
        ],
    ),
    "dev": (200, ["m3", "f3", "Marco", "zac"]),
    "test": (400, ["m5", "m8", "f4", "Andrea", "Alex", "steph", "edward", "travis"]),
}


def recording(voice: Synthesiser, text: str, name: str, draw: np.random.Generator) -> NDArray[np.int16]:
    """A spoken text with random speed and pitch, silence around it, and noise that is 10 to 40 dB below it."""
    samples = voice.say(text, name, int(draw.integers(130, 220)), int(draw.integers(25, 75))).astype(np.float32)
    loud = np.flatnonzero(np.abs(samples) > 50)
    samples = resample(torch.from_numpy(samples[loud[0] : loud[-1] + 1]), voice.rate, RATE).numpy()
    before, after = draw.integers(RATE // 50, RATE // 5, 2)
    samples = np.pad(samples, (before, after))
    power = np.sqrt(np.mean(samples**2)) * 10 ** (-draw.uniform(10, 40) / 20)
    noise = draw.normal(size=len(samples))
    if draw.random() < 0.5:  # noise that is stronger at low frequencies, like room noise
        noise = np.convolve(noise, np.full(8, 8**-0.5), mode="same")
    mixed = (samples + power * noise) * draw.uniform(0.3, 1.0)
    return np.clip(np.rint(mixed), -32768, 32767).astype(np.int16)


def main(folder: Path) -> None:
    voice = find_synthesiser()
    for number, (part, (count, variants)) in enumerate(VOICES.items()):
        draw = np.random.default_rng(number)
        (folder / part).mkdir(parents=True, exist_ok=True)
        rows = ["audio\ttext\tvoice"]
        for index in range(count):
            name = f"{draw.choice(LANGUAGES)}+{draw.choice(variants)}"
            text = " ".join(draw.choice(DIGITS, draw.integers(3, 6)))
            file = f"{part}/{index:04}.flac"
            soundfile.write(folder / file, recording(voice, text, name, draw), RATE)
            rows.append(f"{file}\t{text}\t{name}")
        (folder / f"{part}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        print(f"{part}: {count} recordings of {len(variants)} voices")
    special = ["[PAD]", "[UNK]", "[EOS]"]
    letters = sorted(set("".join(DIGITS)))
    (folder / "words.txt").write_text("\n".join([*special, *DIGITS]) + "\n", encoding="utf-8")
    (folder / "letters.txt").write_text("\n".join([*special, " ", *letters]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent.parent / "runs" / "audio")
