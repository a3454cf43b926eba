"""Heads of the original's fine-tuning scripts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tp_core.errors import TPError
from tp_core.interop.rules import Same, WeightRule
from tp_tencentpretrain.mapping.piece import Piece
from tp_tencentpretrain.mapping.target import Words
from tp_tencentpretrain.original.checkpoint import NoTensors
from tp_tencentpretrain.original.config import OriginalConfig

#: The first tensor of a head → the tasks whose scripts write it, the usual one first.
_FIRST = {
    "output_layer_1.weight": ("classifier", "multi_label", "regression", "ranking", "image_classifier"),
    "output_layers_1.0.weight": ("multi_task",),
    "output_layer.weight": ("ner", "cmrc", "c3", "chid"),
    "classifier.weight": ("siamese",),
}


def task_of(checkpoint: NoTensors, given: str | None) -> str | None:
    """The fine-tuning task of a checkpoint; None for a pre-trained model.

    Args:
        checkpoint: the tensors.
        given: the task that the user names, or None.

    Raises:
        TPError: the checkpoint is of another task than ``given``, or several tasks have such tensors.
    """
    for first, tasks in _FIRST.items():
        if first not in checkpoint.shapes:
            continue
        if given is not None:
            if given not in tasks:
                raise TPError(
                    f"the checkpoint has '{first}', which models of {' or '.join(tasks)} have, not of {given}"
                )
            return given
        return tasks[0] if first != "output_layer.weight" else _of_output(checkpoint)
    if given is not None:
        raise TPError(f"the checkpoint has no head of the task {given}; leave out --task for a pre-trained model")
    return None


def _of_output(checkpoint: NoTensors) -> str:
    rows = checkpoint.shapes["output_layer.weight"][0]
    if "crf.transitions" in checkpoint.shapes or rows > 2:
        return "ner"
    if rows == 2:
        return "cmrc"
    raise TPError("the checkpoint's head scores choices: say whether they are those of C3 or of ChID, with --task")


def head(config: OriginalConfig, words: Words, task: str) -> Piece:
    """The target that stands for the head of a fine-tuning script."""
    return _MADE[task](config, words)


def _pooled(config: OriginalConfig, theirs: tuple[str, str], ours: tuple[str, str], options: dict[str, Any]) -> Piece:
    """A head of two layers with tanh between them, over pooled states."""
    name, last = ours
    rules: list[WeightRule] = [
        Same(theirs[0], f"targets.{name}.dense"),
        Same(theirs[1], f"targets.{name}.{last}"),
    ]
    pooling = {} if config["pooling"] == "first" else {"pooling": config["pooling"]}
    return Piece({**pooling, "dropout": 0.0, **options}, rules)


def _rows(words: Words, name: str) -> int:
    return words.tensors.shapes[name][0]


def _classifier(config: OriginalConfig, words: Words) -> Piece:
    count = _rows(words, "output_layer_2.weight")
    piece = _pooled(config, ("output_layer_1", "output_layer_2"), ("cls", "classifier"), {"num_labels": count})
    return Piece([{"cls": piece.tree}], piece.rules, piece.notes)


def _multi_label(config: OriginalConfig, words: Words) -> Piece:
    count = _rows(words, "output_layer_2.weight")
    piece = _pooled(config, ("output_layer_1", "output_layer_2"), ("multi_label", "classifier"), {"num_labels": count})
    return Piece([{"multi_label": piece.tree}], piece.rules, piece.notes)


def _regression(config: OriginalConfig, words: Words) -> Piece:
    piece = _pooled(config, ("output_layer_1", "output_layer_2"), ("regression", "output"), {"outputs": 1})
    return Piece([{"regression": piece.tree}], piece.rules, piece.notes)


def _multi_task(config: OriginalConfig, words: Words) -> Piece:
    trees, rules, notes = [], [], []
    number = 0
    while (last := f"output_layers_2.{number}.weight") in words.tensors.shapes:
        names = words.tensors.task_names
        name = names[number] if number < len(names) else f"task_{number}"
        theirs = (f"output_layers_1.{number}", f"output_layers_2.{number}")
        piece = _pooled(config, theirs, (name, "classifier"), {"name": name, "num_labels": _rows(words, last)})
        trees.append({"cls": piece.tree})
        rules += piece.rules
        notes = piece.notes
        number += 1
    return Piece(trees, rules, notes)


def _ner(config: OriginalConfig, words: Words) -> Piece:
    crf = "crf.transitions" in words.tensors.shapes
    count = _rows(words, "output_layer.weight")
    rules: list[WeightRule] = [Same("output_layer", "targets.token_cls.classifier")]
    if crf:
        pairs = {"start_transitions": "start", "end_transitions": "end", "transitions": "transitions"}
        rules += [Same(f"crf.{theirs}", f"targets.token_cls.crf.{ours}") for theirs, ours in pairs.items()]
    return Piece([{"token_cls": {"num_labels": count, "dropout": 0.0, "crf": crf}}], rules)


def _cmrc(config: OriginalConfig, words: Words) -> Piece:
    # The original has no limit but the window.
    options = {"max_answer_length": config["max_seq_length"]}
    return Piece([{"qa": options}], [Same("output_layer", "targets.qa.output")])


def _choice(config: OriginalConfig, words: Words) -> Piece:
    options = {"pooling": "first", "hidden_layer": False, "dropout": float(config["dropout"])}
    return Piece([{"choice": options}], [Same("output_layer", "targets.choice.classifier")])


def _siamese(config: OriginalConfig, words: Words) -> Piece:
    options = {
        "num_labels": _rows(words, "classifier.weight"),
        "pooling": config["pooling"],
        "hidden_layer": False,
        "dropout": 0.0,
        "combine": ["u", "v", "abs_difference", "product"],
    }
    return Piece([{"cls": options}], [Same("classifier", "targets.cls.classifier")])


_MADE: dict[str, Callable[[OriginalConfig, Words], Piece]] = {
    "classifier": _classifier,
    "image_classifier": _classifier,
    "ranking": _classifier,
    "multi_label": _multi_label,
    "multi_task": _multi_task,
    "regression": _regression,
    "ner": _ner,
    "cmrc": _cmrc,
    "c3": _choice,
    "chid": _choice,
    "siamese": _siamese,
}
