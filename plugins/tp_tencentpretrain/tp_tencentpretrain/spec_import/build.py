"""A spec for a config and a command line of the original."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tp_core.errors import TPError
from tp_core.interop.folders import reason
from tp_core.spec.choices.part_names import key_of
from tp_tencentpretrain.mapping.model import converted, weigh_segments
from tp_tencentpretrain.original.checkpoint import NoTensors
from tp_tencentpretrain.original.config import OriginalConfig, read_original
from tp_tencentpretrain.spec_import.command_line import read_command_line
from tp_tencentpretrain.spec_import.data import DataPart
from tp_tencentpretrain.spec_import.flags import MODEL, check_config
from tp_tencentpretrain.spec_import.given import Given
from tp_tencentpretrain.spec_import.shortest import shortest
from tp_tencentpretrain.spec_import.tasks import Task, task_of
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

    def text(self) -> str:
        """The spec in YAML."""
        return written(self.tree)


def import_spec(config: Path, arguments: Sequence[str]) -> Imported:
    """The spec for a config and a command line.

    Args:
        config: the config, a JSON file.
        arguments: the command line of one of the original's scripts, or of several (preprocess.py and pretrain.py).

    Raises:
        TPError: the config or the command line is not valid.
    """
    command, own = read_command_line(arguments), read_original(config)
    check_config(own.given, own.where)
    given = Given(own.given, command.options)
    given.use(*(name for name in MODEL if name in command.options))
    original = OriginalConfig({**own.given, **given.among(own.known())}, own.where)
    notes = [*command.notes, *own.notes()]
    fine_tuning = command.script is not None or "train_path" in given or "dataset_path_list" in given
    task = None if command.script is None else task_of(command.script, given, original)
    if task is not None and task.targets:
        original = original.with_target(None)
    original.unused_segments = task is not None and task.name == "chid"
    found = converted(original, NoTensors())
    model = found.model
    if task is not None and task.targets:
        model["target"] = task.targets
        weigh_segments(original, model)
    if task is not None and task.copies:
        model = copies(model, original["pooling"])
    try:
        tree: dict[str, Any] = shortest(model)
    except TPError as error:
        raise TPError(f"{config}: {reason(error)}") from None
    data = DataPart(given, original, task, fine_tuning)
    train = TrainPart(given, fine_tuning, task)
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
    return Imported(tree, [*notes, *without_counterpart(given.unused())])


def copies(model: dict[str, Any], pooling: str) -> dict[str, Any]:
    """The model with two streams that are copies of it."""
    inside = {key: model.pop(key) for key in ("embedding", "encoder")}
    return {**model, "streams": {"first": {**inside, "pooling": pooling}, "second": "first"}}


def _initial(given: Given, config: Path, task: Task | None) -> tuple[Any, str]:
    """``init_from`` of a spec, and the command that converts the weights."""
    path = Path(given["pretrained_model_path"])
    folder = f"models/{key_of(path.stem)}"
    flags = [f"--from tencentpretrain {path}", f"--config {config}"]
    for side, ours in (("", ""), ("tgt_", "target-")):
        for option, name in _TOKENIZER_FLAGS.items():
            flags += [f"--{ours}{name} {given[f'{side}{option}']}"] if f"{side}{option}" in given else []
        if given.get(f"{side}do_lower_case") == "false":
            flags.append(f"--{ours}cased")
    note = f"convert the weights first: tp convert {' '.join(flags)} --to tp {folder}"
    return ({"first": folder} if task is not None and task.copies else folder), note


_TOKENIZER_FLAGS = {
    "tokenizer": "tokenizer",
    "vocab_path": "vocab",
    "merges_path": "merges",
    "spm_model_path": "spm-model",
}
