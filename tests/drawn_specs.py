"""Specs drawn at random from the installed modules and their options, with small data for their processors."""

from __future__ import annotations

import operator
import types
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np
from annotated_types import Ge, Gt, Le, Lt
from numpy.random import Generator

from tests.drawn_data import FILES, VOCABULARY
from tp_core.discovery import index, load
from tp_core.options.choice import slots_of
from tp_core.options.context import BuildContext

#: Modules by what they read; those of any kind are tried with everything.
_TEXT = {"word", "seg", "pos", "sinusoidal"}
_EMBEDDINGS = {
    "text": _TEXT,
    "picture": {"patch", "conv_patch", "masked_patch", "patch_pos", "patch_sinusoidal", "visible", "pos"},
    "both": _TEXT | {"word_patch", "patch_word"},
    "regions": _TEXT | {"region"},
    "region": {"region"},
    "sound": {"speech", "waveform", "conv_pos", "pos", "sinusoidal"},
}
_READS = {
    **dict.fromkeys(("corpus.txt", "pairs.jsonl", "tagged.jsonl", "translations.jsonl", "chats.jsonl"), "text"),
    "pictures": "picture",
    "captions.jsonl": "both",
    "regions.jsonl": "regions",
    "speech.jsonl": "sound",
}

#: Processors by the parts of a model that they are made for.
_RECORDED = ("speech", "waveform")
_PAIRED = ("pair", "image_text_pair", "region_text_pair")
_DECODED = ("mt", "gsg", "t5", "bart", "speech_text")
_WITHOUT_TOKENIZER = ("wav2vec2", "units")
_WITHOUT_TOKENIZER += tuple(f"{kind}_{task}" for kind in _RECORDED for task in ("cls", "multi_label", "regression"))

#: Options that need files or models of their own, or that only make a run longer.
_LEFT_OUT = {
    *("weight", "stream", "name", "teacher", "tokenizer", "num_units", "hidden_size"),
    *("max_seconds", "min_seconds", "sampling_rate", "crop_seconds"),
    *("embedding_size", "labels", "max_pixels", "outputs", "kernels", "strides", "channels"),
}

#: Modules that learn from a trained model, or from pictures of another.
_UNTRAINED = {"visual_tokenizer": ["random_projection"]}


class Drawer:
    """Draws whole specs; most of them fit nowhere, which ``tp check`` says."""

    def __init__(self, seed: int) -> None:
        self.rng: Generator = np.random.default_rng(seed)

    def spec(self, folder: Path) -> dict[str, Any]:
        """A spec whose paths are those of :func:`tests.drawn_data.write_data`."""
        processor = self.one(sorted(FILES))
        reads = _READS[FILES[processor]]
        data = self.data(processor, reads, folder)
        model = self.model(processor, reads)
        model["target"] = self.targets(processor, list(model.get("streams", {})))
        if self.chance(0.1):
            self.mix(data, model, folder)
        return {"tp": 1, "model": model, "data": data, "train": self.train(reads, "eval" in data)}

    def data(self, processor: str, reads: str, folder: Path) -> dict[str, Any]:
        """A processor, with what it reads."""
        data = {"train": str(folder / FILES[processor]), "processor": {processor: self.module("processor", processor)}}
        data["cache"] = str(folder / "cache")
        if reads != "picture" and processor not in _WITHOUT_TOKENIZER:
            special = {"bos_token": "[BOS]", "eos_token": "[EOS]"} if self.chance(0.7) else {}
            data["tokenizer"] = {"space": {"vocab": str(folder / "vocab.txt"), **special}}
        if self.chance(0.2):
            data["eval"] = data["train"]
        return data

    def mix(self, data: dict[str, Any], model: dict[str, Any], folder: Path) -> None:
        """Make two data sets of one, which are trained in turn, and tell the model which is which."""
        own = {key: data.pop(key) for key in ("train", "eval", "processor") if key in data}
        other = self.one([name for name in sorted(FILES) if FILES[name] == Path(own["train"]).name])
        second = {"train": own["train"], "processor": {other: self.module("processor", other)}}
        data["sets"] = {"first": own, "second": self.one([own | {"share": 2.0}, second])}
        if "embedding" in model and self.chance(0.5):
            model["embedding"].append({"task": {}})

    def model(self, processor: str, reads: str) -> dict[str, Any]:
        """The parts of a model but for its targets."""
        model: dict[str, Any] = {"hidden_size": self.one([16, 24])}
        for chance, option, values in (
            (0.25, "embedding_size", [8, 16, 24]),
            (0.15, "pooling", ["first", "last", "mean", "max"]),
            (0.1, "vocab_size", [len(VOCABULARY) - 2, len(VOCABULARY) + 10]),
        ):
            if self.chance(chance):
                model[option] = self.one(values)
        if processor in _PAIRED or self.chance(0.05):
            model |= self.streams(reads)
        else:
            model |= self.stream(reads)
        if processor in _DECODED or self.chance(0.08):
            model |= self.decoder(self.one(["transformer", "lstm", "gru", "mae"]))
        elif processor == "masked_image" and self.chance(0.5):
            model["decoder"] = {"mae": self.module("decoder", "mae")}
        return model

    def streams(self, reads: str) -> dict[str, Any]:
        """Two streams, which may share their parts, and sometimes an encoder behind both."""
        names = ("text", "image") if reads in ("both", "regions") else ("one", "other")
        sides = {"both": ("text", "picture"), "regions": ("text", "region")}.get(reads, (reads, reads))
        model: dict[str, Any] = {"streams": {name: self.stream(side) for name, side in zip(names, sides)}}
        if self.chance(0.15):
            model["streams"][names[1]] = names[0]
        elif self.chance(0.15):
            del model["streams"][names[1]]["encoder"]
            model["streams"][names[1]]["encoder_of"] = names[0]
        if self.chance(0.2):
            model["encoder"] = {"co_attention": self.module("encoder", "co_attention")}
        return model

    def stream(self, reads: str) -> dict[str, Any]:
        """An embedding component and an encoder."""
        encoder = self.one(["transformer"] * 5 + [n for n in index().names("encoder") if n != "co_attention"])
        return {"embedding": self.component(reads), "encoder": {encoder: self.module("encoder", encoder)}}

    def component(self, reads: str) -> list[dict[str, Any]]:
        """Modules of an embedding: one that makes a sequence, and some that add to it."""
        known = [name for name in index().names("embedding") if name in _EMBEDDINGS[reads]]
        first = [name for name in known if load(index().find("embedding", name)).makes_sequence]  # type: ignore[attr-defined]
        rest = [name for name in known if name not in first and self.chance(0.4)]
        return [{name: self.module("embedding", name)} for name in [self.one(first), *rest]]

    def decoder(self, name: str) -> dict[str, Any]:
        """A decoder, with the embedding that it needs."""
        model: dict[str, Any] = {"decoder": {name: self.module("decoder", name)}}
        if name != "mae":
            model["target_embedding"] = self.component("text")
        if self.chance(0.2):
            model["target_vocab_size"] = self.one([len(VOCABULARY) - 2, len(VOCABULARY) + 10])
        if self.chance(0.2):
            model["share_embeddings"] = True
        return model

    def targets(self, processor: str, streams: list[str]) -> list[dict[str, Any]]:
        """One target, mostly one that the processor has labels for, and sometimes a second or the same once more."""
        every = [name for name in index().names("target") if name != "distill"]
        wanted = [name for name in every if name in _targets_of(processor)]
        chosen = [self.one(wanted if wanted and self.chance(0.9) else every)]
        chosen += [self.one(wanted or every)] if self.chance(0.3) else []
        found: list[dict[str, Any]] = [{name: self.module("target", name)} for name in chosen]
        if len(set(chosen)) < len(chosen):
            found[1][chosen[1]]["name"] = "second"
        if streams and self.chance(0.2):
            found[0][chosen[0]]["stream"] = self.one(streams)
        return found

    def train(self, reads: str, evaluated: bool) -> dict[str, Any]:
        """Two steps with some optimizer, schedule and hooks."""
        # Many CPUs have no kernel for long convolutions in bf16, and take minutes and gigabytes for a step.
        precision = self.one(["fp32", "fp32", "bf16"] if reads != "sound" else ["fp32"])
        optimizer, schedule = (self.one(index().names(kind)) for kind in ("optimizer", "schedule"))
        train = {"steps": 2, "batch_size": 4, "workers": 0, "precision": precision, "device": "cpu", "log_every": 1}
        train |= {"optimizer": {optimizer: self.module("optimizer", optimizer) | {"lr": 1e-4}}, "loggers": []}
        train["schedule"] = {schedule: self.module("schedule", schedule)}
        if self.chance(0.2):
            train["accumulate"] = 2
        if self.chance(0.1):
            train["activation_checkpointing"] = True
        if evaluated:
            train["eval_every"] = 1
        if evaluated and self.chance(0.5):
            train["hooks"] = [self.one(index().names("hooks"))]
            train["loggers"] = ["tensorboard"]
        return train

    def module(self, kind: str, name: str) -> dict[str, Any]:
        """Some of a module's options, with values that their types allow; sizes are small."""
        cls = load(index().find(kind, name))
        slots = slots_of(cls)
        small: dict[str, list[Any]] = {"num_layers": [1, 2], "num_heads": [2, 4], "feed_forward_size": [16, 32]}
        small |= {"patch_size": [4, 8], "hidden_size": [16, 24], "size": [6, 6, 6, 5], "image_size": [16]}
        small |= {"num_segments": [2, 3]}
        small |= {"region_size": [6], "max_regions": [4], "num_labels": [2], "target_max_length": [32]}
        small |= {"max_length": [64, 512] if kind == "embedding" else [32, 64]}
        rare = {"hidden_size": 0.2, "num_labels": 0.8}
        rare |= {"max_length": 0.2, "target_max_length": 0.1} if kind == "processor" else {}
        found: dict[str, Any] = {}
        for option, info in cls.model_fields.items():
            if option in slots:
                if self.chance(0.5):
                    found[option] = self.choices(slots[option].kind, slots[option].many)
            elif option in small:
                if self.chance(rare.get(option, 1.0)):
                    found[option] = self.one(small[option])
            elif option not in _LEFT_OUT and self.chance(0.1):
                values = _values(info.annotation, info.metadata)
                found |= {option: self.one(values)} if values else {}
        if cls.sliced and self.chance(0.2):
            option = self.one([option for option in slots if option in cls.of_slices])
            found[cls.sliced] = {self.one(["::2", "-1", ":1"]): {option: self.choices(slots[option].kind, False)}}
        return found | ({"labels": ["class0", "class1"]} if name in ("image", "image_multi_label") else {})

    def choices(self, kind: str, many: bool) -> Any:
        """A module that an option chooses, or a list of some."""
        name = self.one(_UNTRAINED.get(kind) or index().names(kind))
        one = {name: self.module(kind, name)}
        return [one] if many else one

    def chance(self, share: float) -> bool:
        """True in this share of all draws."""
        return bool(self.rng.random() < share)

    def one(self, values: Sequence[Any]) -> Any:
        """One of these, as likely as the others."""
        return values[int(self.rng.integers(len(values)))]


@cache
def _targets_of(processor: str) -> frozenset[str]:
    """Targets whose labels a processor makes by default, and those that need none."""
    found = set()
    config = load(index().find("processor", processor))()
    provided = {port.name for port in config.provides(BuildContext()) if port.kind == "labels"}
    for entry in index().entries("target"):
        try:
            required = load(entry)().requires(BuildContext())
        except Exception:  # one that needs a grid
            required = {}
        labels = {port.name for port in required if port.kind == "labels"}
        if labels <= provided and (labels or provided <= {"masked"}):
            found.add(entry.name)
    return frozenset(found)


def _values(annotation: Any, metadata: Sequence[Any]) -> list[Any]:
    """Values to choose from; empty for types that are left at their default."""
    if get_origin(annotation) in (Union, types.UnionType):
        branches = [each for each in get_args(annotation) if each is not type(None)]
        return _values(branches[0], metadata)
    if annotation is bool:
        return [True, False]
    if get_origin(annotation) is Literal:
        # In a deep stack without norms, squares of squares have no room in a float.
        return [value for value in get_args(annotation) if value != "relu_squared"]
    tries = {int: [1, 2, 3, 4, 8], float: [0.0, 0.1, 0.5, 1.0]}.get(annotation, [])
    return [value for value in tries if _allowed(value, metadata)]


def _allowed(value: float, metadata: Sequence[Any]) -> bool:
    limits = {Ge: operator.ge, Gt: operator.gt, Le: operator.le, Lt: operator.lt}
    return all(
        limits[type(bound)](value, getattr(bound, type(bound).__name__.lower()))
        for bound in metadata
        if type(bound) in limits
    )
