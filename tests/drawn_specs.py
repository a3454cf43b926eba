"""Specs drawn at random from the installed modules and their options, and data that suits their processors."""

from __future__ import annotations

import json
import operator
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np
from annotated_types import Ge, Gt, Le, Lt
from numpy.random import Generator
from PIL import Image

from tests.core.runs import SPECIAL, WORDS, write_corpus
from tp_core.discovery import index, load

#: What a processor reads → a file of :func:`write_data`.
FILES = {
    **dict.fromkeys(("bert", "bilm", "lm", "mlm", "gsg", "t5", "bart", "skipgram", "prefixlm"), "corpus.txt"),
    **dict.fromkeys(("cls", "cls_mlm", "pair"), "pairs.jsonl"),
    "mt": "translations.jsonl",
    "sft": "chats.jsonl",
    **dict.fromkeys(("image", "plain_image", "masked_image"), "pictures"),
    **dict.fromkeys(("image_text", "image_text_pair"), "captions.jsonl"),
    **dict.fromkeys(("region_text", "region_text_pair"), "regions.jsonl"),
    **dict.fromkeys(("speech_cls", "waveform_cls", "speech_ctc", "speech_text", "waveform_ctc"), "speech.jsonl"),
    **dict.fromkeys(("wav2vec2", "units"), "speech.jsonl"),
}

#: Modules by what they read; those of any kind are tried with everything.
_TEXT = {"word", "seg", "pos", "sinusoidal"}
_EMBEDDINGS = {
    "text": _TEXT,
    "picture": {"patch", "conv_patch", "masked_patch", "patch_pos", "patch_sinusoidal", "visible", "pos"},
    "both": _TEXT | {"word_patch", "patch_word", "region"},
    "sound": {"speech", "waveform", "conv_pos", "pos", "sinusoidal"},
}
_READS = {
    **dict.fromkeys(("corpus.txt", "pairs.jsonl", "translations.jsonl", "chats.jsonl"), "text"),
    "pictures": "picture",
    "captions.jsonl": "both",
    "regions.jsonl": "both",
    "speech.jsonl": "sound",
}

#: Options that need files or models of their own, or that only make a run longer.
_LEFT_OUT = {
    *("weight", "stream", "name", "teacher", "tokenizer", "image_tokenizer", "num_units", "hidden_size"),
    *("max_seconds", "min_seconds", "sampling_rate", "crop_seconds"),
    *("embedding_size", "labels", "max_pixels", "kernels", "strides", "channels", "relative_grid"),
}


def write_data(folder: Path) -> Path:
    """Small data of every form that the processors read."""
    rng = np.random.default_rng(0)
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in [*SPECIAL, "[BOS]", "[EOS]", *WORDS]))
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


class Drawer:
    """Draws whole specs; most of them fit nowhere, which ``tp check`` says."""

    def __init__(self, seed: int) -> None:
        self.rng: Generator = np.random.default_rng(seed)

    def spec(self, folder: Path) -> dict[str, Any]:
        """A spec whose paths are those of :func:`write_data`."""
        processor = self.one(sorted(FILES))
        reads = _READS[FILES[processor]]
        options = self.options("processor", processor)
        if processor == "image":
            options["labels"] = ["class0", "class1"]
        data: dict[str, Any] = {
            "train": str(folder / FILES[processor]),
            "processor": {processor: options},
            "cache": str(folder / "cache"),
        }
        if reads != "picture" and processor not in ("speech_cls", "waveform_cls", "wav2vec2", "units"):
            special = {"bos_token": "[BOS]", "eos_token": "[EOS]"} if self.rng.random() < 0.7 else {}
            data["tokenizer"] = {"space": {"vocab": str(folder / "vocab.txt"), **special}}
        model: dict[str, Any] = {"hidden_size": self.one([16, 24])}
        if self.rng.random() < 0.25:
            model["embedding_size"] = self.one([8, 16, 24])
        if self.rng.random() < 0.15:
            model["pooling"] = self.one(["first", "last", "mean", "max"])
        if self.rng.random() < 0.1:
            model["vocab_size"] = self.one([61, 90])
        paired = processor in ("pair", "image_text_pair", "region_text_pair")
        if paired or self.rng.random() < 0.05:
            sides = ("text", "picture") if reads == "both" else (reads, reads)
            names = ("text", "image") if reads == "both" else ("one", "other")
            model["streams"] = {name: self.stream(side) for name, side in zip(names, sides)}
            if self.rng.random() < 0.15:
                model["streams"][names[1]] = names[0]
            elif self.rng.random() < 0.15:
                model["streams"][names[1]].pop("encoder")
                model["streams"][names[1]]["encoder_of"] = names[0]
            if self.rng.random() < 0.2:
                model["encoder"] = {"co_attention": self.options("encoder", "co_attention")}
        else:
            model |= self.stream(reads)
        if processor in ("mt", "gsg", "t5", "bart", "speech_text") or self.rng.random() < 0.08:
            decoder = self.one(["transformer", "lstm", "gru", "mae"])
            model["decoder"] = {decoder: self.module("decoder", decoder)}
            if decoder != "mae":
                model["target_embedding"] = self.component("text")
            if self.rng.random() < 0.2:
                model["target_vocab_size"] = self.one([50, 90])
            if self.rng.random() < 0.2:
                model["share_embeddings"] = True
        elif processor == "masked_image" and self.rng.random() < 0.5:
            model["decoder"] = {"mae": self.module("decoder", "mae")}
        targets = [name for name in index().names("target") if name not in ("distill",)]
        wanted = self._targets_of(processor)
        chosen = [self.one(wanted if self.rng.random() < 0.9 and wanted else targets)]
        chosen += [self.one(wanted or targets)] if self.rng.random() < 0.3 else []
        model["target"] = [{name: self.options("target", name)} for name in dict.fromkeys(chosen)]
        if self.rng.random() < 0.2 and "streams" in model:
            next(iter(model["target"][0].values()))["stream"] = self.one(list(model["streams"]))
        # Many CPUs have no kernel for long convolutions in bf16, and take minutes and gigabytes for a step.
        precision = self.one(["fp32", "fp32", "bf16"] if reads != "sound" else ["fp32"])
        train = {"steps": 2, "batch_size": 4, "workers": 0, "precision": precision, "device": "cpu", "log_every": 1}
        train |= {"optimizer": {self.one(["adamw", "sgd", "lion", "adafactor"]): {"lr": 1e-4}}, "loggers": []}
        if self.rng.random() < 0.2:
            train["accumulate"] = 2
        return {"tp": 1, "model": model, "data": data, "train": train}

    def _targets_of(self, processor: str) -> list[str]:
        """Targets whose labels a processor makes by default, and those that need none."""
        from tp_core.options.context import BuildContext

        found = []
        config = load(index().find("processor", processor))()
        provided = {port.name for port in config.provides(BuildContext()) if port.kind == "labels"}
        for entry in index().entries("target"):
            if entry.name == "distill":
                continue
            try:
                required = load(entry)().requires(BuildContext())
            except Exception:  # one that needs a grid
                required = {}
            labels = {port.name for port in required if port.kind == "labels"}
            if labels <= provided and (labels or provided <= {"masked"}):
                found.append(entry.name)
        return found

    def stream(self, reads: str) -> dict[str, Any]:
        """An embedding component and an encoder."""
        encoder = self.one(["transformer"] * 5 + [n for n in index().names("encoder") if n != "co_attention"])
        return {"embedding": self.component(reads), "encoder": {encoder: self.module("encoder", encoder)}}

    def component(self, reads: str) -> list[dict[str, Any]]:
        """Modules of an embedding: one that makes a sequence, and some that add to it."""
        known = [name for name in index().names("embedding") if name in _EMBEDDINGS[reads]]
        first = [name for name in known if load(index().find("embedding", name)).makes_sequence]  # type: ignore[attr-defined]
        lead = self.one([n for n in first if n != "task"])
        rest = [name for name in known if name not in first and self.rng.random() < 0.4]
        return [{name: self.module("embedding", name)} for name in [lead, *rest]]

    def module(self, kind: str, name: str) -> dict[str, Any]:
        """Options of a module, with small sizes."""
        own = self.options(kind, name)
        fields = load(index().find(kind, name)).model_fields
        small = {"num_layers": [1, 2], "num_heads": [2, 4], "feed_forward_size": [16, 32], "image_size": [16]}
        small |= {"patch_size": [4, 8], "max_length": [64, 512], "hidden_size": [16, 24], "size": [6]}
        for option, values in small.items():
            if option in fields and (option != "hidden_size" or self.rng.random() < 0.2):
                own[option] = self.one(values)
        return own

    def options(self, kind: str, name: str) -> dict[str, Any]:
        """Some of a module's options, with values that their types allow."""
        found = {}
        fields = load(index().find(kind, name)).model_fields
        for option, info in fields.items():
            if option in _LEFT_OUT or self.rng.random() > 0.1:
                continue
            values = self._values(info.annotation, info.metadata)
            if values:
                found[option] = self.one(values)
        usual = {"image_size": 16, "region_size": 6, "num_labels": 2, "max_regions": 4}
        return found | {
            k: v for k, v in usual.items() if k in fields and (k != "num_labels" or self.rng.random() < 0.8)
        }

    def _values(self, annotation: Any, metadata: Sequence[Any]) -> list[Any]:
        """Values to choose from; empty for types that are left at their default."""
        if get_origin(annotation) in (Union, types.UnionType):
            branches = [each for each in get_args(annotation) if each is not type(None)]
            return self._values(branches[0], metadata)
        if annotation is bool:
            return [True, False]
        if get_origin(annotation) is Literal:
            # In a deep stack without norms, squares of squares have no room in a float.
            return [value for value in get_args(annotation) if value != "relu_squared"]
        tries = {int: [1, 2, 3, 4, 8], float: [0.0, 0.1, 0.5, 1.0]}.get(annotation, [])
        return [value for value in tries if self._allowed(value, metadata)]

    @staticmethod
    def _allowed(value: float, metadata: Sequence[Any]) -> bool:
        limits = {Ge: operator.ge, Gt: operator.gt, Le: operator.le, Lt: operator.lt}
        return all(
            limits[type(bound)](value, getattr(bound, type(bound).__name__.lower()))
            for bound in metadata
            if type(bound) in limits
        )

    def one(self, values: Sequence[Any]) -> Any:
        """One of these, as likely as the others."""
        return values[int(self.rng.integers(len(values)))]
