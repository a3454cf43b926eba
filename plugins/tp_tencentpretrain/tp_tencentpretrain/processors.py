"""The processors that stand for the original's data processors."""

from __future__ import annotations

import operator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tp_core.errors import TPError
from tp_core.files.bounded_reads import read_json
from tp_core.interop.folders import write_json
from tp_tencentpretrain.original.config import OriginalConfig

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec

#: Tasks whose scripts have one tokenizer, whatever --tokenizer says.
TOKENIZERS = {"ner": "space", "cmrc": "char", "chid": "char"}

#: Conversations without words around the turns.
_PLAIN = {f"{role}_{end}": "" for role in ("user", "assistant") for end in ("prefix", "suffix")}

#: The original's names → ours, with the options that make the same instances.
PROCESSORS: dict[str, dict[str, Any]] = {
    "bert": {"bert": {"sentence_task": "next"}},
    "albert": {"bert": {"sentence_task": "order"}},
    "mlm": {"mlm": {}},
    "lm": {"lm": {}},
    "llm_pretrain": {"lm": {}},
    "llm_sft": {"sft": _PLAIN},
    "bilm": {"bilm": {}},
    "prefixlm": {"prefixlm": {}},
    "mt": {"mt": {}},
    "t5": {"t5": {"start": "cls", "source_start": "cls"}},
    "gsg": {"gsg": {"start": "cls", "source_start": "cls"}},
    "bart": {"bart": {"start": "cls"}},
    "cls": {"cls": {}},
    "cls_mlm": {"cls_mlm": {}},
    "vit": {"image": {}},
    "vilt": {"image_text": {}},
    "clip": {"image_text_pair": {}},
    "s2t": {"speech_text": {"start": "cls", "end": "sep"}},
    "dalle": {"image_text_lm": {"direction": "text_to_image"}},
}


#: The mean and the deviation of colours that the original uses for all models, those of CLIP.
_MEAN, _STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]


def picture_options(config: OriginalConfig) -> dict[str, Any]:
    """The options of a processor of pictures: they are stretched, and normalised if the config says so."""
    steps, channels = config["image_preprocess"], config["channels_num"]
    normal = "normalize" in (("crop", "normalize") if steps is None else steps)
    colours = {"mean": _MEAN[:channels], "std": _STD[:channels]} if normal else {"mean": [0.0], "std": [1.0]}
    return {"resize": "stretch", **colours}


def speech_options(config: OriginalConfig) -> dict[str, Any]:
    """The options of a processor of recordings: the number of filter banks, and their normalisation."""
    steps = config["audio_preprocess"]
    if steps is None:
        steps = ("normalize_means", "normalize_vars", "ceptral_normalize")
    normal = "mean_variance" if "normalize_vars" in steps else "mean"
    if "ceptral_normalize" not in steps or "normalize_means" not in steps:
        normal = "none"  # also for variances alone, which the processor does not have
    rate = config["sampling_rate"]
    return {
        "num_mel_bins": config["audio_feature_size"],
        "normalize": normal,
        **({"sampling_rate": rate} if rate else {}),
    }


def reading_padding(config: OriginalConfig, chosen: dict[str, Any]) -> dict[str, Any]:
    """The processor with rows of one length, if the model reads padding: recurrent networks in both directions."""
    if not _reads_padding(config):
        return chosen
    ((name, options),) = chosen.items()
    return {name: {**options, "pad": "max_length"}}


def _reads_padding(config: OriginalConfig) -> bool:
    if config["encoder"] == "dual":
        return any(_reads_padding(config.stream(key)) for key in ("stream_0", "stream_1"))
    if config["encoder"] in ("rnn", "lstm", "gru"):
        return bool(config["bidirectional"])
    return config["encoder"] in ("birnn", "bilstm", "bigru")


_PICTURES = {"image", "image_text", "image_text_pair", "image_text_lm"}


def processor(config: OriginalConfig) -> dict[str, Any] | None:
    """The processor of a converted model, as in a spec; None if the config names none that we have."""
    found = PROCESSORS.get(str(config["data_processor"]))
    if found is None:
        return None
    ((name, options),) = found.items()
    if name == "image_text_lm":
        codes, size = config["image_tokenizer"] or {}, [config["image_height"], config["image_width"]]
        rows = codes.get("frame_size")
        patches = {"patch_size": [each // rows for each in size]} if rows else {}
        count = codes.get("image_vocab_size")
        tokens = {"num_image_tokens": count} if count else {}
        return {name: {**options, **picture_options(config), "image_size": size, **patches, **tokens}}
    if name in _PICTURES:
        return {name: {**options, **picture_options(config)}}
    return {name: {**options, **speech_options(config)}} if name == "speech_text" else found


def original_processor(tree: Any) -> str | None:
    """The original's name of a processor; None if it has none like it.

    Args:
        tree: the processor as in a spec, with all its options; None for a model without one.
    """
    ((own, options),) = tree.items() if isinstance(tree, dict) else ((tree, {}),)
    for name, processors in PROCESSORS.items():
        for ours, needed in processors.items():
            if ours == own and all(options.get(key) == value for key, value in needed.items()):
                return name
    return None


def task_processor(task: str, labels: str | None, flag: str = "--labels") -> dict[str, Any]:
    """The processor of a fine-tuned model, as in a spec, with the frames of the original's script.

    Args:
        task: the task.
        labels: the label2id.json of ``ner``.
        flag: the option that names it, for messages.

    Raises:
        TPError: the file cannot be read, or is needed and not given.
    """
    if task == "ner":
        tags = _tags(labels, flag)
        return {"token_cls": {"labels": tags, "special_tokens": False, "split_spaces": True}}
    if labels is not None:
        raise TPError(f"{flag} is for models of ner, not of {task}")
    return _OF_TASKS[task]


#: The processors of the other tasks.
_OF_TASKS: dict[str, dict[str, Any]] = {
    "classifier": {"cls": {}},
    "multi_label": {"multi_label": {}},
    "multi_task": {"cls": {}},
    "regression": {"regression": {}},
    "ranking": {"ranking": {}},
    "cmrc": {"qa": {"scoring": "cmrc", "step": 128}},  # the original's default of --doc_stride
    "c3": {"choice": {"layout": "choice_context", "template": "{choice}[SEP]{question}"}},
    "chid": {"chid_padded": {"layout": "choice_context", "mark": "[SEP]", "other_mark": "[MASK]", "one_to_one": True}},
    "siamese": {"pair": {"labelled": "class"}},
    # Its script does not normalise colours.
    "image_classifier": {"image": {"resize": "stretch", "mean": [0.0], "std": [1.0]}},
}


def _tags(path: str | None, flag: str) -> dict[str, int]:
    """The numbers of tags, with that of padding, which the original adds."""
    if path is None:
        raise TPError(f"a model for ner has no names of its tags; give its label2id.json with {flag}")
    try:
        found = {str(tag): operator.index(number) for tag, number in dict(read_json(Path(path))).items()}
    except (OSError, ValueError, TypeError) as error:
        raise TPError(f"{path}: this is no label2id.json: {error}") from None
    if not found or sorted(found.values()) != [*range(len(found))]:
        raise TPError(f"{path}: expected the numbers of all tags, 0 to {max(len(found) - 1, 0)}, each once")
    if "[PAD]" in found:
        raise TPError(f"{path}: it has the tag [PAD], which the original adds itself")
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
    tree = spec.dump().get("data", {}).get("processor")
    labels = tree.get("token_cls", {}).get("labels") if isinstance(tree, dict) else None
    tags = {tag: number for number, tag in enumerate(labels)} if isinstance(labels, list) else dict(labels or {})
    if tags and (tags.get("[PAD]") != len(tags) - 1):
        raise TPError(
            f"the original has a class [PAD] behind those of data.processor.token_cls.labels, {', '.join(tags)}; a "
            "model without it cannot be written"
        )
    if tags:
        write_json(folder / "label2id.json", {tag: number for tag, number in tags.items() if tag != "[PAD]"})
