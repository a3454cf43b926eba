"""The ``data:`` part of a spec for a command line of the original."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tp_core.errors import TPError
from tp_tencentpretrain.original.config import OriginalConfig
from tp_tencentpretrain.processors import PROCESSORS, picture_options
from tp_tencentpretrain.spec_import.tasks import LENGTH, SCRIPTS, TOKENIZERS, Task
from tp_tencentpretrain.tokenizers import SPECIAL, framing

_LINES = {"bert": "wordpiece", "char": "char", "space": "space"}

#: Processors that mask tokens, and those with a decoder's side.
_MASKING, _PAIRS = ("bert", "mlm", "cls_mlm"), ("mt", "t5", "bart", "gsg")


#: Processors whose texts have a token at their begin and their end.
_LANGUAGE_MODELS = ("lm", "llm_pretrain", "llm_sft")


def _framed(tokenizer: dict[str, Any]) -> dict[str, Any]:
    """A tokenizer of lines with the original's tokens at the begin and the end of a text."""
    ((name, options),) = tokenizer.items()
    return {name: {**options, **framing(SPECIAL)}} if name in _LINES.values() else tokenizer


class DataPart:
    """The data of a command line.

    Attributes:
        tree: the ``data:`` part of a spec.
        notes: sentences for the user.
    """

    def __init__(
        self, given: Mapping[str, Any], name: str, config: OriginalConfig, script: str | None, task: Task | None
    ) -> None:
        self.tree: dict[str, Any] = {}
        self.notes: list[str] = []
        for side, key in (("", "tokenizer"), ("tgt_", "target_tokenizer")):
            own = TOKENIZERS.get(str(SCRIPTS.get(str(script))))
            tokenizer = _tokenizer({**given, "tokenizer": own} if own else given, side)
            if tokenizer is not None:
                self.tree[key] = _framed(tokenizer) if task is None and name in _LANGUAGE_MODELS else tokenizer
        if task is not None:
            self._task(given, task)
            return
        processor = self._processor(given, name, config)
        if processor is not None:
            self.tree["processor"] = processor
        self._files(given, name)

    def _task(self, given: Mapping[str, Any], task: Task) -> None:
        ((name, options),) = task.processor.items()
        self.tree["processor"] = {name: options} if options else name
        self.tree |= {"columns": task.columns} if task.columns else {}
        self.tree["train"] = task.train
        self.tree |= {"eval": task.evaluated} if task.evaluated is not None else {}
        if "test_path" in given:
            self.notes.append(f"for the test data: tp evaluate runs/NAME --data {given['test_path']}")

    def _processor(self, given: Mapping[str, Any], name: str, config: OriginalConfig) -> Any:
        if name not in PROCESSORS:
            self.notes.append(f"the data processor '{name}' has no counterpart; choose a processor in data.processor")
            return None
        ((ours, usual),) = PROCESSORS[name].items()
        options: dict[str, Any] = dict(usual)
        if ours in ("image", "image_text", "image_text_pair"):
            return {ours: {**options, **picture_options(config)}}
        if ours != "speech_text":
            options["max_length"] = given.get("seq_length", LENGTH)
        if "tgt_seq_length" in given and ours in _PAIRS:
            options["target_max_length"] = given["tgt_seq_length"]
        if ours in _MASKING:
            options |= {"whole_word": True} if given.get("whole_word_masking") else {}
            if given.get("span_masking"):
                options |= {"span": True}
                options |= {"span_p": given["span_geo_prob"]} if "span_geo_prob" in given else {}
                options |= {"span_max_length": given["span_max_length"]} if "span_max_length" in given else {}
            if not given.get("dynamic_masking"):
                self.notes.append("masks are drawn anew in each epoch, as with --dynamic_masking")
        if ours == "bert" and "short_seq_prob" in given:
            options["short_rate"] = given["short_seq_prob"]
        return {ours: options} if options else ours

    def _files(self, given: Mapping[str, Any], name: str) -> None:
        if "corpus_path" in given:
            self.tree["train"] = _corpus(given["corpus_path"], name, bool(given.get("json_format_corpus")))
        elif "train_path" in given:
            self.tree["train"] = given["train_path"]
        elif "dataset_path" in given:
            self.notes.append(
                f"{given['dataset_path']} is a pickle of prepared instances, which is not read: set data.train to the "
                "corpus (--corpus_path of preprocess.py); tp prepares it at the start of the training, or with "
                "tp preprocess SPEC"
            )
        else:
            self.notes.append("the command line names no corpus; set data.train")
        if "dev_path" in given:
            self.tree["eval"] = given["dev_path"]
        if "test_path" in given:
            self.notes.append(f"for the test data: tp evaluate runs/NAME --data {given['test_path']}")


#: Data processors whose corpora are rows without names → the names of the columns.
_COLUMNS = {
    "cls": ["label", "text_a", "text_b"],
    "cls_mlm": ["label", "text_a", "text_b"],
    "vit": ["label", "image"],
    "vilt": ["text", "image"],
    "clip": ["text", "image"],
    "dalle": ["text", "image"],
    "s2t": ["text", "audio"],
    "beit": ["image"],
}


def _corpus(path: str, name: str, json_lines: bool) -> Any:
    """The corpus of a pre-training, as ``data.train`` of a spec."""
    if json_lines or name in ("llm_pretrain", "llm_sft"):
        return {"jsonl": {"path": path}}
    if name not in _COLUMNS:
        return path
    first = _first_line(Path(path)).split("\t")
    names = _COLUMNS[name]
    if first[: len(names)] == names[: len(first)] or (name != "cls" and first[:1] == names[:1]):
        return path if path.endswith(".tsv") else {"tsv": {"path": path}}  # some of the original's loaders skip names
    return {"tsv": {"path": path, "names": names[: max(len(first), 2 if len(names) > 1 else 1)]}}


def _first_line(path: Path) -> str:
    """The first line of a file; empty if it cannot be read."""
    try:
        with path.open(encoding="utf-8") as file:
            return file.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        return ""


def _tokenizer(given: Mapping[str, Any], side: str) -> dict[str, Any] | None:
    """The tokenizer of one side, as in a spec; None if the command line names none of its files."""
    vocab, merges, model = (given.get(f"{side}{each}") for each in ("vocab_path", "merges_path", "spm_model_path"))
    if vocab is None and model is None:
        return None
    name = given.get(f"{side}tokenizer", "bert")
    if name == "bpe":
        if merges is None:
            raise TPError(f"--{side}tokenizer bpe needs --{side}merges_path")
        return {"bpe": {"vocab": vocab, "merges": merges}}
    if model is not None:
        return {"sentencepiece": {"model": model, **({"vocab": vocab} if vocab else {})}}
    if name not in _LINES:
        raise TPError(f"--{side}tokenizer {name} has no counterpart; known: {', '.join(_LINES)}, bpe, xlmroberta")
    options: dict[str, Any] = {"vocab": vocab}
    if name == "bert" and given.get(f"{side}do_lower_case") == "false":
        options["lowercase"] = False
    return {_LINES[name]: options}


def absolute(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The part with paths relative to another folder made absolute."""
    paths = ("vocab", "merges", "model", "path", "train", "eval")

    def made(tree: Any, key: str = "") -> Any:
        if isinstance(tree, dict):
            return {each: made(value, each) for each, value in tree.items()}
        return str((folder / tree).resolve()) if key in paths and isinstance(tree, str) else tree

    return {key: made(value, key) for key, value in data.items()}
