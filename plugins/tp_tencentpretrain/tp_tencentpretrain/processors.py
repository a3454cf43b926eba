"""The processors that stand for the original's data processors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tp_core.errors import TPError
from tp_core.files.bounded_reads import read_json
from tp_core.interop.folders import write_json
from tp_tencentpretrain.original.config import OriginalConfig

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec

#: The original's names → ours, with the options that make the same instances.
PROCESSORS: dict[str, dict[str, Any]] = {
    "bert": {"bert": {}},
    "albert": {"bert": {"sentence_task": "order"}},
    "mlm": {"mlm": {}},
    "lm": {"lm": {}},
    "llm_pretrain": {"lm": {}},
    "llm_sft": {"sft": {}},
    "bilm": {"bilm": {}},
    "prefixlm": {"prefixlm": {}},
    "mt": {"mt": {}},
    "t5": {"t5": {"start": "cls"}},
    "gsg": {"gsg": {"start": "cls"}},
    "bart": {"bart": {"start": "cls"}},
    "cls": {"cls": {}},
    "cls_mlm": {"cls_mlm": {}},
    "vit": {"image": {}},
    "vilt": {"image_text": {}},
    "clip": {"image_text_pair": {}},
    "s2t": {"speech_text": {}},
}


#: The mean and the deviation of colours that the original uses for all models, those of CLIP.
_MEAN, _STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]


def picture_options(config: OriginalConfig) -> dict[str, Any]:
    """The options of a processor of pictures: they are stretched, and normalised if the config says so."""
    normal = "normalize" in (config["image_preprocess"] or ("crop", "normalize"))
    return {"resize": "stretch", "mean": _MEAN if normal else [0.0], "std": _STD if normal else [1.0]}


def processor(config: OriginalConfig) -> dict[str, Any] | None:
    """The processor of a converted model, as in a spec; None if the config names none that we have."""
    found = PROCESSORS.get(str(config["data_processor"]))
    if found is None or not set(found) & {"image", "image_text", "image_text_pair"}:
        return found
    return {name: {**options, **picture_options(config)} for name, options in found.items()}


def task_processor(task: str, labels: str | None) -> dict[str, Any]:
    """The processor of a fine-tuned model, as in a spec, with the frames of the original's script.

    Args:
        task: the task.
        labels: the label2id.json of ``ner``.

    Raises:
        TPError: the file cannot be read, or is needed and not given.
    """
    if task == "ner":
        return {"token_cls": {"labels": _tags(labels), "special_tokens": False, "split_spaces": True}}
    if labels is not None:
        raise TPError(f"--labels is for models of ner, not of {task}")
    return _OF_TASKS[task]


#: The processors of the other tasks.
_OF_TASKS: dict[str, dict[str, Any]] = {
    "classifier": {"cls": {}},
    "multi_label": {"multi_label": {}},
    "multi_task": {"cls": {}},
    "regression": {"regression": {}},
    "ranking": {"ranking": {}},
    "cmrc": {"qa": {"scoring": "cmrc"}},
    "c3": {"choice": {"layout": "choice_context", "template": "{choice}[SEP]{question}"}},
    "chid": {"chid_padded": {"layout": "choice_context", "mark": "[SEP]", "other_mark": "[MASK]"}},
    "siamese": {"pair": {"labelled": "class"}},
    # Its script does not normalise colours.
    "image_classifier": {"image": {"resize": "stretch", "mean": [0.0], "std": [1.0]}},
}


def _tags(path: str | None) -> dict[str, int]:
    """The numbers of tags, with that of padding, which the original adds."""
    if path is None:
        raise TPError("a model for ner has no names of its tags; give its label2id.json with --labels")
    try:
        found = {str(tag): int(number) for tag, number in dict(read_json(Path(path))).items()}
    except (OSError, ValueError, TypeError) as error:
        raise TPError(f"{path}: this is no label2id.json: {error}") from None
    return {**found, "[PAD]": len(found)}


def columns(model: dict[str, Any]) -> dict[str, str]:
    """The columns of the labels of a model with several heads: they have the names of the targets."""
    names = [options["name"] for target in model["target"] for options in target.values()]
    return {name: name for name in names}


def write_tags(spec: Spec, folder: Path) -> None:
    """Write label2id.json for the tags of a model for named entities, without that of padding, which the original adds.

    Raises:
        TPError: the last class is not that of padding, so that the original cannot have the model.
    """
    tree = spec.dump()["data"]["processor"]
    labels = tree.get("token_cls", {}).get("labels") if isinstance(tree, dict) else None
    tags = {tag: number for number, tag in enumerate(labels)} if isinstance(labels, list) else dict(labels or {})
    if tags and (tags.get("[PAD]") != len(tags) - 1):
        raise TPError(
            f"the original has a class [PAD] behind those of data.processor.token_cls.labels, {', '.join(tags)}; a "
            "model without it cannot be written"
        )
    if tags:
        write_json(folder / "label2id.json", {tag: number for tag, number in tags.items() if tag != "[PAD]"})
