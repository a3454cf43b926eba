"""The keys of a spec's sections. Torch-free."""

from __future__ import annotations

from tp_core.spec.schema import ModelOptions
from tp_core.spec.sections.data import DataOptions, SetOptions
from tp_core.spec.sections.inference import SECTIONS
from tp_core.spec.sections.train import TrainOptions

TOP = ("tp", "name", "extends", "model", "data", "train", "inference", "init_from", "require_init")

#: Keys of ``model:`` for its parts.
MODEL = ("embedding", "encoder", "target_embedding", "decoder", "target", "streams")

#: Keys of ``train:`` that choose a module → the default module.
SLOTS = {"optimizer": "adamw", "schedule": "linear", "strategy": "auto"}

#: Keys of ``train:`` that list modules → their kind, and the default modules.
SHELVES: dict[str, tuple[str, tuple[str, ...]]] = {"hooks": ("hooks", ()), "loggers": ("logger", ("tensorboard",))}
TRAIN = (*SLOTS, *SHELVES, *TrainOptions.model_fields)

#: Keys of ``data:`` that choose a module.
CHOSEN = ("tokenizer", "target_tokenizer", "processor")
DATA = (*CHOSEN, "sets", *DataOptions.model_fields)

#: Keys of ``data:`` that are common to all its sets.
COMMON = ("tokenizer", "target_tokenizer", "cache")
SET = ("processor", *(key for key in DataOptions.model_fields if key not in COMMON), *SetOptions.model_fields)

#: Section → its keys; sections closer to the top level come first.
KEYS = {
    "": TOP,
    "data": DATA,
    "train": TRAIN,
    "model": (*MODEL, *ModelOptions.model_fields),
    "data.sets.<name>": tuple(SetOptions.model_fields),
    "inference": tuple(SECTIONS),
}
