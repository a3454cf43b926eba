"""Small data of every form that the processors read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.core.runs import SPECIAL, WORDS, write_corpus

#: Of the tokenizer, with sentinels (T5).
VOCABULARY = [*SPECIAL, "[BOS]", "[EOS]", *WORDS, *(f"<extra_id_{number}>" for number in range(20))]

#: What a processor reads → a file of :func:`write_data`.
FILES = {
    **dict.fromkeys(("bert", "bilm", "lm", "mlm", "gsg", "t5", "bart", "skipgram", "prefixlm"), "corpus.txt"),
    **dict.fromkeys(("cls", "cls_mlm", "pair", "multi_label", "regression"), "pairs.jsonl"),
    "token_cls": "tagged.jsonl",
    "mt": "translations.jsonl",
    "sft": "chats.jsonl",
    **dict.fromkeys(("image", "image_multi_label", "plain_image", "masked_image"), "pictures"),
    **dict.fromkeys(("image_text", "image_text_pair", "image_text_lm"), "captions.jsonl"),
    **dict.fromkeys(("region_text", "region_text_pair"), "regions.jsonl"),
    **dict.fromkeys(("speech_cls", "waveform_cls", "speech_ctc", "speech_text", "waveform_ctc"), "speech.jsonl"),
    **dict.fromkeys(("speech_multi_label", "speech_regression"), "speech.jsonl"),
    **dict.fromkeys(("waveform_multi_label", "waveform_regression"), "speech.jsonl"),
    **dict.fromkeys(("wav2vec2", "units"), "speech.jsonl"),
}


def write_data(folder: Path) -> Path:
    """Write the files of :data:`FILES` into a folder."""
    rng = np.random.default_rng(0)
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in VOCABULARY))
    write_corpus(folder / "corpus.txt", 12)

    def text(least: int = 2, most: int = 7) -> str:
        return " ".join(rng.choice(WORDS, rng.integers(least, most)))

    pictures = folder / "pictures"
    for number in range(8):
        pixels = rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)
        place = pictures / f"class{number % 2}" / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place)
    import soundfile

    for number in range(8):
        samples = rng.normal(0, 0.1, 16_000 + 800 * number).astype(np.float32)
        soundfile.write(folder / f"{number}.wav", samples, 16_000)
    records: dict[str, list[dict[str, Any]]] = {
        "pairs.jsonl": [{"text_a": text(), "text_b": text(), "label": n % 2} for n in range(8)],
        "tagged.jsonl": [{"text_a": (line := text()), "label": [n % 2] * len(line.split())} for n in range(8)],
        "translations.jsonl": [{"source": text(), "target": text()} for n in range(8)],
        "chats.jsonl": [{"instruction": text(), "output": text()} for n in range(8)],
        "captions.jsonl": [
            {"image": f"pictures/class{n % 2}/{n}.png", "text": text(), "label": n % 2} for n in range(8)
        ],
        "regions.jsonl": [
            {
                "regions": rng.normal(size=(3 + n % 2, 6)).tolist(),
                "boxes": rng.random((3 + n % 2, 5)).tolist(),
                "text": text(),
                "label": n % 2,
            }
            for n in range(8)
        ],
        "speech.jsonl": [
            {
                "audio": f"{n}.wav",
                "text": text(1, 3),
                "label": n % 2,
                "units": rng.integers(0, 6, 49 + (800 * n) // 320).tolist(),
            }
            for n in range(8)
        ],
    }
    for name, rows in records.items():
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder
