"""The fine-tuning scripts that put a head of their own onto a model."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tp_core.errors import TPError
from tp_tencentpretrain.mapping.head import head
from tp_tencentpretrain.mapping.target import Words
from tp_tencentpretrain.original.checkpoint import NoTensors
from tp_tencentpretrain.original.config import OriginalConfig
from tp_tencentpretrain.processors import task_processor
from tp_tencentpretrain.spec_import.given import Given
from tp_tencentpretrain.spec_import.tables import Table, read_table
from tp_tencentpretrain.spec_import.task import Task, files, length, train_path

#: Makes the fine-tuning of a script for its options and a config.
Maker = Callable[[Given, OriginalConfig], Task]


def _headed(
    name: str, config: OriginalConfig, shapes: dict[str, tuple[int, ...]]
) -> tuple[list[Any], str, dict[str, Any]]:
    """The target of a head, and the name and the options of its processor."""
    words = Words(None, NoTensors(shapes=shapes))
    ((processor, options),) = task_processor(name, None).items()
    return head(config, words, name).tree, processor, dict(options)


def _classes(config: OriginalConfig, count: int) -> dict[str, tuple[int, ...]]:
    """The shape of the last layer of a head."""
    shape = (count, config["hidden_size"] or 1)
    return {"output_layer_2.weight": shape, "classifier.weight": shape}


def classifier(given: Given, config: OriginalConfig) -> Task:
    rows = read_table(train_path(given), "label", "text_a")
    found, processor, options = _headed("classifier", config, _classes(config, rows.classes()))
    options |= length(given)
    notes = []
    if given.get("soft_targets"):
        options |= {"logits": "logits", "soft_weight": given.get("soft_alpha", 0.5)}
        notes.append(
            "--soft_targets: the loss is the cross-entropy with the teacher's probabilities; that of the original is "
            "the squared error of logits"
        )
    data = {"processor": {processor: options}, **files(given)}
    return Task(found, data, "cls/accuracy", len(rows.rows), "classifier", notes=notes)


def of_table(name: str, metric: str, *columns: str, classes: Callable[[Table], int] = lambda _: 2) -> Maker:
    """A task whose training data are a table.

    Args:
        name: the task of :mod:`tp_tencentpretrain.mapping.head`.
        metric: the metric whose best evaluation the script keeps.
        columns: columns that the table must have.
        classes: the number of classes; by default two, which a head of one size ignores.
    """

    def made(given: Given, config: OriginalConfig) -> Task:
        rows = read_table(train_path(given), *columns)
        found, processor, options = _headed(name, config, _classes(config, classes(rows)))
        data = {"processor": {processor: options | length(given)}, **files(given)}
        return Task(found, data, metric, len(rows.rows), name)

    return made


def several(given: Given, config: OriginalConfig) -> Task:
    """A target and a data set for each folder. The original's batches are those of all sets, in random order."""
    folders = [Path(folder) for folder in given.get("dataset_path_list", ())]
    if not folders:
        raise TPError("the command line has no --dataset_path_list, the folders with train.tsv and dev.tsv")
    names = [_task_name(folder.name) for folder in folders]
    if len({*names}) < len(names):
        raise TPError(f"--dataset_path_list: two folders have the same name, {', '.join(names)}; rename one")
    made, sets, count = [], {}, 0
    for name, folder in zip(names, folders):
        rows = read_table(str(folder / "train.tsv"), "label", "text_a")
        found, processor, options = _headed("classifier", config, _classes(config, rows.classes()))
        made.append({"cls": {"name": name, **found[0]["cls"]}})
        count += len(rows.rows)
        evaluated = {"eval": str(folder / "dev.tsv")} if (folder / "dev.tsv").is_file() else {}
        sets[name] = {
            "processor": {processor: options | length(given)},
            "train": rows.path,
            **evaluated,
            "targets": [name],
            "share": len(rows.rows),
        }
    return Task(made, {"sets": sets}, "", count, "multi_task")


def _task_name(folder: str) -> str:
    """A name for a target: the folder's, with a letter first and without other signs than letters and digits."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", folder)
    return name if name[:1].isalpha() else f"task_{name}"


def ner(given: Given, config: OriginalConfig) -> Task:
    tree = task_processor("ner", given.get("label2id_path"), "--label2id_path")
    ((processor, options),) = tree.items()
    shapes: dict[str, tuple[int, ...]] = {"output_layer.weight": (len(options["labels"]), config["hidden_size"] or 1)}
    if given.get("crf_target"):
        shapes["crf.transitions"] = (1, 1)
    found = head(config, Words(None, NoTensors(shapes=shapes)), "ner").tree
    data = {"processor": {processor: options | length(given)}, **files(given)}
    train = Path(train_path(given))
    rows = len(read_table(str(train), "text_a", "label").rows) if train.is_file() else None
    return Task(found, data, "f1", rows, "ner")


def cmrc(given: Given, config: OriginalConfig) -> Task:
    found, processor, options = _headed("cmrc", config, {})
    options |= length(given)
    options |= {"step": given.get("doc_stride", 128), "question_max_length": max(1, options["max_length"] - 4)}
    return Task(found, {"processor": {processor: options}, **files(given, "squad")}, "f1", name="cmrc")


def c3(given: Given, config: OriginalConfig) -> Task:
    found, processor, options = _headed("c3", config, {})
    data = {"processor": {processor: options | length(given)}, **files(given, "c3")}
    return Task(found, data, "choice/accuracy", name="c3")


def chid(given: Given, config: OriginalConfig) -> Task:
    found, processor, options = _headed("chid", config, {})
    data: dict[str, Any] = {"processor": {processor: options | length(given)}}
    for side, path in files(given, "chid").items():
        answers = f"{'dev' if side == 'eval' else 'train'}_answer_path"
        data[side] = [{"chid": {**path[0]["chid"], **({"answers": given[answers]} if answers in given else {})}}]
    return Task(found, data, "choice/accuracy", name="chid")


def pictures(given: Given, config: OriginalConfig) -> Task:
    rows = read_table(train_path(given), "label", "path")
    found, processor, options = _headed("image_classifier", config, _classes(config, rows.classes()))
    data = {"processor": {processor: options}, "columns": {"image": "path"}, **files(given)}
    return Task(found, data, "cls/accuracy", len(rows.rows), "image_classifier")
