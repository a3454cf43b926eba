"""A spec for a config and a command line of the original."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tp_core.errors import TPError
from tp_core.interop.folders import reason
from tp_core.spec.choices.part_names import key_of
from tp_tencentpretrain.mapping.model import converted, weigh_segments
from tp_tencentpretrain.original.checkpoint import NoTensors, open_checkpoint
from tp_tencentpretrain.original.config import OriginalConfig, read_original
from tp_tencentpretrain.original.flags import MODEL, TOKENIZERS, check_config
from tp_tencentpretrain.spec_import.command_line import read_command_line
from tp_tencentpretrain.spec_import.data import DataPart
from tp_tencentpretrain.spec_import.given import Given
from tp_tencentpretrain.spec_import.paths import relocated
from tp_tencentpretrain.spec_import.shortest import shortest
from tp_tencentpretrain.spec_import.task import Task
from tp_tencentpretrain.spec_import.tasks import task_of
from tp_tencentpretrain.spec_import.train import TrainPart
from tp_tencentpretrain.spec_import.without import without_counterpart
from tp_tencentpretrain.spec_import.yaml_text import written


class Imported(NamedTuple):
    """An imported spec.

    Attributes:
        tree: the spec.
        notes: sentences for the user.
    """

    tree: dict[str, Any]
    notes: list[str]

    def text(self, folder: Path | None = None) -> str:
        """The spec in YAML.

        Args:
            folder: the folder of the spec's file, to which its paths are relative; None: the current one.
        """
        return written(self.tree if folder is None else relocated(self.tree, folder))


def import_spec(config: Path, arguments: Sequence[str]) -> Imported:
    """The spec for a config and a command line.

    Args:
        config: the config, a JSON file.
        arguments: the command line of one of the original's scripts, or of several (preprocess.py and pretrain.py).

    Raises:
        TPError: the config or the command line is not valid.
    """
    command, own = read_command_line(arguments), read_original(config)
    check_config({key: value for key, value in own.given.items() if key not in command.options}, own.where)
    given = Given(own.given, command.options)
    original = OriginalConfig({**own.given, **given.among(own.known())}, own.where)
    notes = [*command.notes, *own.notes()]
    fine_tuning = command.script is not None or "train_path" in given or "dataset_path_list" in given
    task = None if command.script is None else task_of(command.script, given, original)
    headed = task is not None and bool(task.targets)
    if headed:
        original = original.with_target(None).without_decoder()
    original.unused_segments = task is not None and task.name == "chid"
    found = converted(original, NoTensors(apart=task is None))
    model = found.model
    if task is not None and headed:
        model["target"] = task.targets
        weigh_segments(original, model)
    elif not model.get("target"):
        notes.append(f"{config} has no 'target'; set model.target, or name it with --target")
    if task is not None and task.copies:
        model = copies(model, original["pooling"])
    try:
        tree: dict[str, Any] = shortest(model)
    except TPError as error:
        raise TPError(f"{config}: {reason(error)}") from None
    data = DataPart(given, original, task, fine_tuning)
    train = TrainPart(given, fine_tuning, task, _with_weights(model))
    if fine_tuning and task is None:
        notes.append(
            "the command line does not name its script; with it (-- python3 finetune/run_classifier.py ...), the spec "
            "has the target and the processor of its task"
        )
    tree |= {"data": data.tree} if data.tree else {}
    tree["train"] = train.tree
    if "pretrained_model_path" in given:
        tree["init_from"], note = _initial(given, config, task)
        notes.append(note)
    if "config_path" in given and Path(given["config_path"]).name != config.name:
        notes.append(f"--config_path names {given['config_path']}; the spec is that of {config}")
    notes += [*found.notes, *data.notes, *(task.notes if task is not None else ()), *train.notes]
    given.use(*(name for name in MODEL if name in original.read and not (headed and name in _OF_TARGETS)))
    return Imported(tree, [*notes, *without_counterpart(given.unused())])


def _with_weights(model: dict[str, Any]) -> list[str]:
    """The embedding modules with weights that adversarial training moves; none for a model of streams."""
    modules = model.get("embedding", {}).get("modules", [])
    names = [module if isinstance(module, str) else next(iter(module)) for module in modules]
    return [name for name in names if name not in ("sinusoidal", "segment_weights", "segment_prefix")]


#: Options of the config's targets and decoder, which a head of fine-tuning replaces.
_OF_TARGETS = ("target", "labels_num", "decoder", "tgt_embedding", "share_embedding")


def copies(model: dict[str, Any], pooling: str) -> dict[str, Any]:
    """The model with two streams that are copies of it."""
    inside = {key: model.pop(key) for key in ("embedding", "encoder")}
    return {**model, "streams": {"first": {**inside, "pooling": pooling}, "second": "first"}}


def _initial(given: Given, config: Path, task: Task | None) -> tuple[Any, str]:
    """``init_from`` of a spec, and the command that converts the weights."""
    path = Path(given["pretrained_model_path"])
    folder = f"models/{key_of(path.stem)}"
    # The original's siamese script reads a model of one stream, and its config is that of two.
    alone = task is not None and task.name == "siamese" and not _is_dual(path)
    own = "CONFIG_OF_THAT_MODEL" if alone else str(config)
    words = ["--from", "tencentpretrain", str(path), "--config", own]
    for side, ours in (("", ""), ("tgt_", "target-")):
        for option, name in _TOKENIZER_FLAGS.items():
            value = given.get(f"{side}{option}")
            if value is not None and (option != "tokenizer" or value in TOKENIZERS):
                words += [f"--{ours}{name}", value]
        if given.get(f"{side}do_lower_case") == "false":
            words.append(f"--{ours}cased")
    note = f"convert the weights first: tp convert {shlex.join(words)} --to tp {shlex.quote(folder)}"
    return ({"first": folder} if alone or (task is not None and task.copies) else folder), note


def _is_dual(path: Path) -> bool:
    """True if a file is a checkpoint of two streams; False if it is not, or cannot be read."""
    try:
        return any(name.startswith("embedding.dual.") for name in open_checkpoint(path).shapes)
    except TPError:
        return False


_TOKENIZER_FLAGS = {
    "tokenizer": "tokenizer",
    "vocab_path": "vocab",
    "merges_path": "merges",
    "spm_model_path": "spm-model",
}
