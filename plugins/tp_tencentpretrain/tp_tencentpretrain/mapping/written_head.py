"""The original's fine-tuning task for the targets of a model of tp."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tp_core.errors import TPError
from tp_tencentpretrain.original.checkpoint import NoTensors

#: Our target → the tasks that have its tensors, the usual one first.
_TASKS = {
    "multi_label": ("multi_label",),
    "regression": ("regression",),
    "token_cls": ("ner",),
    "qa": ("cmrc",),
}
_CLASSIFIERS = ("classifier", "ranking", "image_classifier")


def task_and_facts(
    model: Mapping[str, Any], given: str | None, say: Callable[[str], None]
) -> tuple[str | None, NoTensors]:
    """The task of a fine-tuned model, and the shapes of its head.

    A single classifier may be that of pretrain.py or that of a fine-tuning script. It is the former unless the user
    names a task.

    Args:
        model: the ``model:`` part of a resolved spec.
        given: the task that the user names, or None.
        say: is called with a sentence for the user.

    Returns:
        The task, or None for a model with targets of pretrain.py.

    Raises:
        TPError: the model has no head of the task that the user names.
    """
    targets = [item for each in model.get("target", []) for item in each.items()]
    possible = _possible(model, [name for name, _ in targets])
    if given is not None and given not in possible:
        known = f"; it may be {' or '.join(possible)}" if possible else "; leave out --task"
        raise TPError(f"the model has no head of the task {given}{known}")
    if given is None and possible == _CLASSIFIERS:
        say("the classifier has the names of pretrain.py; --task classifier writes those of run_classifier.py")
        return None, NoTensors()
    task = given or (possible[0] if possible else None)
    if task is None:
        return None, NoTensors()
    counts = [options.get("num_labels", options.get("outputs", 1)) for _, options in targets]
    names = [options["name"] or name for name, options in targets] if task == "multi_task" else ()
    return task, NoTensors(shapes=_shapes(task, counts, targets[0][1]), task_names=names)


def _possible(model: Mapping[str, Any], names: list[str]) -> tuple[str, ...]:
    """The tasks that the targets of a model may be of."""
    if names == ["cls"]:
        return ("siamese",) if "streams" in model and _whole(model) else _CLASSIFIERS
    if len(names) > 1 and set(names) == {"cls"}:
        return ("multi_task",)
    if names == ["choice"]:
        modules = model.get("embedding", {}).get("modules", [])
        unused = any(options.get("unused") for each in modules for options in each.values())
        return ("chid",) if unused else ("c3",)
    return _TASKS.get(names[0], ()) if len(names) == 1 else ()


def _whole(model: Mapping[str, Any]) -> bool:
    """True if the classifier reads both streams."""
    return model["target"][0]["cls"].get("stream") is None


def _shapes(task: str, counts: list[int], options: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shapes that show the number of classes, by the original's names."""
    if task == "multi_task":
        return {f"output_layers_2.{number}.weight": (count, 0) for number, count in enumerate(counts)}
    name = {"siamese": "classifier", "ner": "output_layer", "cmrc": "output_layer"}.get(task, "output_layer_2")
    crf = {"crf.transitions": (counts[0], counts[0])} if options.get("crf") else {}
    return {f"{name}.weight": (counts[0], 0), **crf}
