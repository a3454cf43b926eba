"""The original's fine-tuning scripts: the targets, processors and sources that stand for them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tp_core.errors import TPError
from tp_tencentpretrain.mapping.head import head
from tp_tencentpretrain.mapping.target import Words
from tp_tencentpretrain.original.checkpoint import NoTensors
from tp_tencentpretrain.original.config import OriginalConfig
from tp_tencentpretrain.processors import task_processor

#: Names of scripts → tasks of :mod:`tp_tencentpretrain.mapping.head`; None: the config's own targets.
SCRIPTS: Mapping[str, str | None] = {
    "run_classifier": "classifier",
    "run_classifier_cv": "classifier",
    "run_classifier_grid": "classifier",
    "run_classifier_deepspeed": "classifier",
    "run_classifier_multi_label": "multi_label",
    "run_regression": "regression",
    "run_dbqa": "ranking",
    "run_ner": "ner",
    "run_cmrc": "cmrc",
    "run_c3": "c3",
    "run_chid": "chid",
    "run_classifier_siamese": "siamese",
    "run_image_classifier": "image_classifier",
    "run_text2text": None,
    "run_speech2text": None,
}

#: The original's default of --seq_length.
LENGTH = 128

#: Tasks whose scripts have one tokenizer, whatever --tokenizer says.
TOKENIZERS = {"ner": "space", "cmrc": "char", "chid": "char"}


class Task(NamedTuple):
    """A fine-tuning.

    Attributes:
        targets: the ``target:`` part of a spec; empty for the targets of the config.
        processor: the processor, as in a spec.
        train: the training data, as in a spec.
        evaluated: the evaluation data; None if there are none.
        columns: ``data.columns``; empty for the usual names.
    """

    targets: list[Any]
    processor: dict[str, Any]
    train: Any
    evaluated: Any
    columns: dict[str, str]


def script_of(arguments: Sequence[str]) -> str | None:
    """The name of the fine-tuning script in a command line, without its folder and ending; None if there is none.

    Raises:
        TPError: it is a script of fine-tuning without a counterpart here.
    """
    for text in arguments:
        if text.startswith("--"):
            return None
        name = Path(text).stem
        if name in SCRIPTS:
            return name
        if name.startswith("run_") and text.endswith(".py"):
            raise TPError(
                f"a spec for '{text}' is written by hand: docs/from_tencentpretrain.md names the page of its task"
            )
    return None


def task_of(script: str, given: Mapping[str, Any], config: OriginalConfig) -> Task:
    """The fine-tuning of a script.

    Raises:
        TPError: an option is missing, or the training data cannot be read.
    """
    name = SCRIPTS[script]
    train, evaluated = _sources(script, given)
    if name is None:
        if script == "run_speech2text":
            return Task([], {"speech_text": {}}, train, evaluated, {"audio": "wav_path"})
        options = {"target_max_length": given["tgt_seq_length"]} if "tgt_seq_length" in given else {}
        columns = {"source": "text_a", "target": "label"}
        return Task([], {"mt": {**_length(given), **options}}, train, evaluated, columns)
    words = Words(None, NoTensors())
    words.tensors.shapes = _shapes(name, given, config)
    processor = task_processor(name, given.get("label2id_path"))
    ((ours, options),) = processor.items()
    if name == "image_classifier":
        return Task(head(config, words, name).tree, processor, train, evaluated, {"image": "path"})
    options = {**options, **_length(given)}
    if name == "cmrc" and "doc_stride" in given:
        options["stride"] = max(0, options["max_length"] - given["doc_stride"])
    return Task(head(config, words, name).tree, {ours: options}, train, evaluated, {})


def _length(given: Mapping[str, Any]) -> dict[str, Any]:
    return {"max_length": given.get("seq_length", LENGTH)}


def _sources(script: str, given: Mapping[str, Any]) -> tuple[Any, Any]:
    """The training and the evaluation data, as in a spec."""
    found: list[Any] = []
    for side in ("train", "dev"):
        path = given.get(f"{side}_path")
        if path is None:
            found.append(None)
        elif script == "run_chid":
            found.append([{"chid": {"path": path, "answers": given.get(f"{side}_answer_path")}}])
        elif script in ("run_c3", "run_cmrc"):
            found.append([{"c3" if script == "run_c3" else "squad": {"path": path}}])
        else:
            found.append(path)
    if found[0] is None:
        raise TPError(f"{script}.py needs --train_path")
    return found[0], found[1]


def _shapes(name: str, given: Mapping[str, Any], config: OriginalConfig) -> dict[str, tuple[int, ...]]:
    """The shapes of those tensors of a head that show how many classes there are."""
    hidden = config["hidden_size"] or 1
    if name in ("classifier", "siamese", "image_classifier"):
        count = max(2, len({row["label"] for row in _rows(given["train_path"])}))
        return {"output_layer_2.weight": (count, hidden), "classifier.weight": (count, hidden)}
    if name == "multi_label":
        labels = {label for row in _rows(given["train_path"]) for label in row["label"].split(",")}
        return {"output_layer_2.weight": (len(labels), hidden)}
    if name == "ranking":
        return {"output_layer_2.weight": (2, hidden)}
    if name == "ner":
        ((_, options),) = task_processor(name, given.get("label2id_path")).items()
        shapes: dict[str, tuple[int, ...]] = {"output_layer.weight": (len(options["labels"]), hidden)}
        return {**shapes, "crf.transitions": (1, 1)} if given.get("crf_target") else shapes
    return {}


def _rows(path: str) -> list[dict[str, str]]:
    """The rows of a TSV file with a column ``label``.

    Raises:
        TPError: it cannot be read, or has no such column.
    """
    try:
        with Path(path).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    except (OSError, UnicodeDecodeError) as error:
        raise TPError(
            f"{path}: the number of classes is that of the labels in this file, which cannot be read: {error}"
        ) from None
    if not rows or "label" not in rows[0]:
        raise TPError(f"{path}:1: expected a table with the column 'label', whose different values are the classes")
    return rows
