"""Training speed for pictures and sound on this machine's CPU: a tp training step and a plain transformers loop.

Both sides train the same model on batches of the same sizes; tp's model is converted to Hugging Face. The transformers
side is a typical user's loop (SDPA if the class supports it, AdamW, clipping). Its batches are prepared in advance and
not timed. The tp side is the trainer's whole step: reading and decoding pictures or computing filter banks, collating,
forward, backward, clipping, update, metrics. The sides alternate in blocks.

    python benchmarks/media_speed.py [--models vit mae clip s2t] [--blocks 5] [--steps 6]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
import transformers
import yaml
from PIL import Image

from common import alternating, scratch
from pretraining_speed import tp_trainer
from tp_core import convert, load_spec
from tp_core.artifacts.export import export_model
from tp_core.interfaces import Batch

BATCH = 32
IMAGE = {"image_size": 112, "patch_size": 16}
LAYERS = {"num_layers": 6, "num_heads": 3}
TEXT = {"num_layers": 4, "num_heads": 3}
SPEECH = {"num_layers": 4, "num_heads": 4, "feed_forward_size": 768}

#: Model → its spec, the class in transformers, and a function from a batch of tp to the arguments of this class.
CASES: dict[str, tuple[dict[str, Any], str, Callable[[Batch], dict[str, Any]]]] = {
    "vit": (
        {
            "extends": "vit-tiny",
            "model": {
                **IMAGE,
                "encoder": {"transformer": LAYERS},
                "target": [{"cls": {"num_labels": 10, "pooling": "first"}}],
            },
            "data": {"processor": {"image": {}}, "train": "pictures"},
        },
        "ViTForImageClassification",
        lambda batch: {"pixel_values": batch.inputs["pixel_values"], "labels": batch.labels["cls"]["labels"]},
    ),
    "mae": (
        {
            "extends": "mae-base",
            "model": {
                **IMAGE,
                "hidden_size": 192,
                "encoder": {"transformer": LAYERS},
                "decoder": {"mae": {"hidden_size": 96, "num_layers": 2, "num_heads": 3}},
            },
            "data": {"processor": {"masked_image": {}}, "train": "pictures"},
        },
        "ViTMAEForPreTraining",
        lambda batch: {"pixel_values": batch.inputs["pixel_values"]},
    ),
    "clip": (
        {
            "extends": "clip-vit-base-patch16",
            "model": {
                "vocab_size": None,
                "streams": {
                    "text": {
                        "hidden_size": 192,
                        "embedding": ["word", {"pos": {"max_length": 32}}],
                        "encoder": {"transformer": TEXT},
                    },
                    "image": {"hidden_size": 192, "image_size": 112, "encoder": {"transformer": LAYERS}},
                },
                "target": [{"clr": {"projection_size": 128}}],
            },
            "data": {
                "tokenizer": {"space": {"vocab": "vocab.txt"}},
                "processor": {"image_text_pair": {"max_length": 32}},
                "train": "captions.tsv",
            },
        },
        "CLIPModel",
        lambda batch: {
            **batch.source["text"],
            "pixel_values": batch.source["image"]["pixel_values"],
            "return_loss": True,
        },
    ),
    "s2t": (
        {
            "extends": "s2t-small",
            "model": {
                "hidden_size": 192,
                "mask_padding": False,  # as in transformers
                "encoder": {"transformer": SPEECH},
                "decoder": {"transformer": {**SPEECH, "num_layers": 2}},
            },
            "data": {
                "tokenizer": {"space": {"vocab": "vocab.txt", "eos_token": "[SEP]"}},
                "processor": {"speech_text": {"target_max_length": 32}},
                "train": "speech.tsv",
            },
        },
        "Speech2TextForConditionalGeneration",
        lambda batch: {
            **batch.inputs,
            "decoder_input_ids": (batch.target or {})["input_ids"],
            "labels": batch.labels["lm"]["labels"],
        },
    ),
}


def write_data(folder: Path, count: int = 256) -> None:
    """Write pictures of ten classes, their captions, and recordings of three seconds with texts."""
    draws = np.random.default_rng(0)
    words = [f"w{number}" for number in range(500)]
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]) + "\n")
    captions, speech = ["image\ttext"], ["audio\ttext"]
    for number in range(count):
        picture = folder / "pictures" / str(number % 10) / f"{number}.jpg"
        picture.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(draws.integers(0, 256, (14, 14, 3), dtype=np.uint8))
        coarse.resize((128, 112), Image.Resampling.BICUBIC).save(picture)
        text = " ".join(draws.choice(words, 12))
        captions.append(f"{picture.relative_to(folder)}\t{text}")
        soundfile.write(folder / f"{number}.wav", 0.1 * draws.normal(size=48000), 16000)
        speech.append(f"{number}.wav\t{text}")
    (folder / "captions.tsv").write_text("\n".join(captions) + "\n")
    (folder / "speech.tsv").write_text("\n".join(speech) + "\n")


def write_spec(folder: Path, name: str, parts: dict[str, Any], precision: str) -> Path:
    train = {"steps": 1000, "batch_size": BATCH, "precision": precision, "loggers": [], "clip_norm": 1.0}
    spec = {**parts, "data": {**parts["data"], "cache": str(folder / "cache")}, "train": train}
    path = folder / f"{name}_{precision}.yaml"
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    return path


def plain_step(model: torch.nn.Module) -> Callable[[dict[str, Any]], None]:
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step(arguments: dict[str, Any]) -> None:
        model(**arguments).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def measure(folder: Path, name: str, blocks: int, steps: int) -> None:
    parts, theirs, arguments = CASES[name]
    sides: dict[str, Callable[[], None]] = {}
    for precision in ("bf16", "fp32"):
        spec = load_spec(write_spec(folder, name, parts, precision))
        trainer = tp_trainer(spec, folder)
        batches = trainer.batches()

        def run(trainer: Any = trainer, batches: Any = batches) -> None:
            for _ in range(steps):
                trainer.train_step(next(batches))

        sides[f"tp {precision}"] = run
    export_model(spec, dict(trainer.model.weights()), {}, folder / f"{name}_tp")
    convert("tp", folder / f"{name}_tp", "huggingface", folder / f"{name}_hf")
    model = getattr(transformers, theirs).from_pretrained(folder / f"{name}_hf")  # uses SDPA if the class supports it
    step, ready = plain_step(model), [arguments(next(batches)[0]) for _ in range(steps)]

    def plain() -> None:
        for each in ready:
            step(each)

    sides["transformers fp32"] = plain
    times = alternating(sides, blocks)
    base = times["transformers fp32"]
    size = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    print(
        f"{name} ({theirs}, {size:.1f} M), {torch.get_num_threads()} threads, "
        f"medians of {blocks} blocks of {steps} steps"
    )
    for side, seconds in reversed(times.items()):
        print(f"  {side:<18} {steps * BATCH / seconds:>8,.1f} samples/s   {base / seconds:5.2f} x transformers")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--steps", type=int, default=6)
    options = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    data = scratch()
    write_data(data)
    for case in options.models:
        measure(data, case, options.blocks, options.steps)
