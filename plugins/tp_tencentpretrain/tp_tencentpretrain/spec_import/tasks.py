"""The original's fine-tuning scripts: the targets and the data that stand for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

from tp_core.errors import TPError
from tp_tencentpretrain.mapping.head import head
from tp_tencentpretrain.mapping.target import Words, targets
from tp_tencentpretrain.original.checkpoint import NoTensors
from tp_tencentpretrain.original.config import OriginalConfig
from tp_tencentpretrain.processors import speech_options, task_processor
from tp_tencentpretrain.spec_import.corpora import table
from tp_tencentpretrain.spec_import.given import Given
from tp_tencentpretrain.spec_import.prompts import prompt_of
from tp_tencentpretrain.spec_import.tables import read_table

#: The original's default of --seq_length.
LENGTH = 128


@dataclass
class Task:
    """A fine-tuning.

    Attributes:
        targets: the ``target:`` part of a spec; empty for the targets of the config.
        data: the ``data:`` part of a spec, without its tokenizers.
        metric: the metric whose best evaluation the script keeps; empty if it keeps the last weights.
        rows: the number of training samples; None if they were not counted.
        name: the task of :mod:`tp_tencentpretrain.mapping.head`; None for another one.
        copies: True for two streams that are copies of the model.
        notes: sentences for the user.
    """

    targets: list[Any]
    data: dict[str, Any]
    metric: str = ""
    rows: int | None = None
    name: str | None = None
    copies: bool = False
    notes: list[str] = field(default_factory=list)

    def evaluations(self, batch: int, epochs: int) -> dict[str, Any]:
        """The options of ``train:`` that keep the best weights: an evaluation after each epoch."""
        if not self.metric or not self._evaluated() or not epochs:
            return {}
        stopping = {"early_stopping": {"metric": self.metric, "patience": epochs}}
        if self.rows is None:
            self.notes.append(
                "the original evaluates after each epoch: set train.eval_every to the number of steps of an epoch"
            )
            return stopping
        return {"eval_every": ceil(self.rows / batch), **stopping}

    def _evaluated(self) -> bool:
        return "eval" in self.data or any("eval" in each for each in self.data.get("sets", {}).values())


def task_of(script: str, given: Given, config: OriginalConfig) -> Task:
    """The fine-tuning of a script.

    Raises:
        TPError: an option is missing or does not belong to the script, or a file cannot be read.
    """
    dual = config["encoder"] == "dual"
    if dual != (script == "run_classifier_siamese"):
        expected = "two streams: 'encoder': 'dual'" if not dual else "one stream; 'encoder' is 'dual'"
        raise TPError(f"{config.where}: {script}.py needs a model of {expected}")
    found = _MADE[script](given, config)
    if script in _SWEEPS:
        found.notes += _SWEEPS[script](given)
    return found


def _folds(given: Given) -> list[str]:
    given.use("train_features_path")
    return [
        f"--folds_num: cross-validation is tp sweep SPEC --folds {given.get('folds_num', 5)}, which also writes the "
        "probabilities of --train_features_path"
    ]


def _grid(given: Given) -> list[str]:
    axes = {
        "train.batch_size": given.get("batch_size_list", [32, 64]),
        "train.optimizer.adamw.lr": given.get("learning_rate_list", [3e-5, 1e-4, 3e-4]),
        "train.epochs": given.get("epochs_num_list", [3, 5, 8]),
    }
    grid = " ".join(f"--grid {key}={','.join(f'{value:g}' for value in values)}" for key, values in axes.items())
    return [f"the script trains a grid, and the spec is one of its runs: a grid is tp sweep SPEC {grid}"]


#: Scripts that train several models → the note on it.
_SWEEPS: Mapping[str, Callable[[Given], list[str]]] = {"run_classifier_cv": _folds, "run_classifier_grid": _grid}


def _length(given: Given) -> dict[str, Any]:
    return {"max_length": given.get("seq_length", LENGTH)}


def _train_path(given: Given) -> str:
    if "train_path" not in given:
        raise TPError("the command line has no --train_path, the training data")
    return str(given["train_path"])


def _files(given: Given, source: str | None = None) -> dict[str, Any]:
    """``train`` and ``eval``, read by a source if their format needs one."""
    found = {"train": _train_path(given), **({"eval": given["dev_path"]} if "dev_path" in given else {})}
    if source is None:
        return {side: table(path) for side, path in found.items()}
    return {side: [{source: {"path": path}}] for side, path in found.items()}


def _headed(
    name: str, config: OriginalConfig, shapes: dict[str, tuple[int, ...]], labels: str | None = None
) -> tuple[list[Any], str, dict[str, Any]]:
    """The target of a head, and the name and the options of its processor."""
    words = Words(None, NoTensors(shapes=shapes))
    ((processor, options),) = task_processor(name, labels, "--label2id_path").items()
    return head(config, words, name).tree, processor, dict(options)


def _classes(config: OriginalConfig, count: int) -> dict[str, tuple[int, ...]]:
    """The shape of the last layer of a head."""
    shape = (count, config["hidden_size"] or 1)
    return {"output_layer_2.weight": shape, "classifier.weight": shape}


def _classifier(given: Given, config: OriginalConfig) -> Task:
    rows = read_table(_train_path(given), "text_a")
    found, processor, options = _headed("classifier", config, _classes(config, rows.classes()))
    options |= _length(given)
    notes = []
    if given.get("soft_targets"):
        options |= {"logits": "logits", "soft_weight": given.get("soft_alpha", 0.5)}
        notes.append(
            "--soft_targets: the loss is the cross-entropy with the teacher's probabilities; that of the original is "
            "the squared error of logits"
        )
    data = {"processor": {processor: options}, **_files(given)}
    return Task(found, data, "cls/accuracy", len(rows.rows), "classifier", notes=notes)


def _multi_label(given: Given, config: OriginalConfig) -> Task:
    rows = read_table(_train_path(given), "text_a")
    found, processor, options = _headed("multi_label", config, _classes(config, rows.classes(",")))
    data = {"processor": {processor: options | _length(given)}, **_files(given)}
    return Task(found, data, "multi_label/f1_micro", len(rows.rows), "multi_label")


def _of_table(name: str, metric: str) -> Callable[[Given, OriginalConfig], Task]:
    """A task whose head has one size."""

    def made(given: Given, config: OriginalConfig) -> Task:
        rows = read_table(_train_path(given), "label", "text_a")
        found, processor, options = _headed(name, config, _classes(config, 2))
        data = {"processor": {processor: options | _length(given)}, **_files(given)}
        return Task(found, data, metric, len(rows.rows), name)

    return made


def _siamese(given: Given, config: OriginalConfig) -> Task:
    rows = read_table(_train_path(given), "text_a", "text_b")
    found, processor, options = _headed("siamese", config, _classes(config, rows.classes()))
    data = {"processor": {processor: options | _length(given)}, **_files(given)}
    return Task(found, data, "cls/accuracy", len(rows.rows), "siamese")


def _several(given: Given, config: OriginalConfig) -> Task:
    """A target and a data set for each folder. The original's batches are those of all sets, in random order."""
    folders = [Path(folder) for folder in given.get("dataset_path_list", ())]
    if not folders:
        raise TPError("the command line has no --dataset_path_list, the folders with train.tsv and dev.tsv")
    names = [_task_name(folder.name) for folder in folders]
    if len({*names}) < len(names):
        raise TPError(f"--dataset_path_list: two folders have the same name, {', '.join(names)}; rename one")
    made, sets, count = [], {}, 0
    for name, folder in zip(names, folders):
        rows = read_table(str(folder / "train.tsv"), "text_a")
        found, processor, options = _headed("classifier", config, _classes(config, rows.classes()))
        made.append({"cls": {"name": name, **found[0]["cls"]}})
        count += len(rows.rows)
        evaluated = {"eval": str(folder / "dev.tsv")} if (folder / "dev.tsv").is_file() else {}
        sets[name] = {
            "processor": {processor: options | _length(given)},
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


def _ner(given: Given, config: OriginalConfig) -> Task:
    labels = given.get("label2id_path")
    ((_, options),) = task_processor("ner", labels, "--label2id_path").items()
    shapes: dict[str, tuple[int, ...]] = {"output_layer.weight": (len(options["labels"]), config["hidden_size"] or 1)}
    if given.get("crf_target"):
        shapes["crf.transitions"] = (1, 1)
    found, processor, options = _headed("ner", config, shapes, labels)
    data = {"processor": {processor: options | _length(given)}, **_files(given)}
    train = Path(_train_path(given))
    rows = len(read_table(str(train), "text_a", "label").rows) if train.is_file() else None
    return Task(found, data, "f1", rows, "ner")


def _cmrc(given: Given, config: OriginalConfig) -> Task:
    found, processor, options = _headed("cmrc", config, {})
    options |= _length(given)
    options |= {"step": given.get("doc_stride", 128), "question_max_length": max(1, options["max_length"] - 4)}
    return Task(found, {"processor": {processor: options}, **_files(given, "squad")}, "f1", name="cmrc")


def _c3(given: Given, config: OriginalConfig) -> Task:
    found, processor, options = _headed("c3", config, {})
    data = {"processor": {processor: options | _length(given)}, **_files(given, "c3")}
    return Task(found, data, "choice/accuracy", name="c3")


def _chid(given: Given, config: OriginalConfig) -> Task:
    found, processor, options = _headed("chid", config, {})
    data: dict[str, Any] = {"processor": {processor: options | _length(given)}}
    for side, path in _files(given, "chid").items():
        answers = f"{'dev' if side == 'eval' else 'train'}_answer_path"
        data[side] = [{"chid": {**path[0]["chid"], **({"answers": given[answers]} if answers in given else {})}}]
    return Task(found, data, "choice/accuracy", name="chid")


def _pictures(given: Given, config: OriginalConfig) -> Task:
    rows = read_table(_train_path(given), "path")
    found, processor, options = _headed("image_classifier", config, _classes(config, rows.classes()))
    data = {"processor": {processor: options}, "columns": {"image": "path"}, **_files(given)}
    return Task(found, data, "cls/accuracy", len(rows.rows), "image_classifier")


def _check_decoder(config: OriginalConfig) -> None:
    if config["decoder"] is None:
        raise TPError(f"{config.where}: the script needs a model with a decoder; 'decoder' is missing")


def _text2text(given: Given, config: OriginalConfig) -> Task:
    _check_decoder(config)
    options = {**_length(given), "target_max_length": given.get("tgt_seq_length", 32), "metrics": ["exact_match"]}
    rows = read_table(_train_path(given), "text_a", "label")
    notes = []
    if "text_b" in rows.rows[0]:
        notes.append(
            "the source is text_a alone; write text_b behind it, with [SEP] between them, as the original does"
        )
    columns = {"source": "text_a", "target": "label"}
    data = {"processor": {"mt": options}, "columns": columns, **_files(given)}
    return Task([], data, "exact_match", len(rows.rows), notes=notes)


def _speech2text(given: Given, config: OriginalConfig) -> Task:
    _check_decoder(config)
    given.use("audio_preprocess", "sampling_rate")
    options = {**speech_options(config), "start": "cls", "end": "sep", "metrics": ["word_error_rate"]}
    if "tgt_seq_length" in given:
        options["target_max_length"] = given["tgt_seq_length"]
    data = {"processor": {"speech_text": options}, "columns": {"audio": "wav_path"}, **_files(given)}
    rows = read_table(_train_path(given), "text", "wav_path")
    return Task([], data, "word_error_rate", len(rows.rows))


def _prompt(given: Given, config: OriginalConfig) -> Task:
    path, name = given.get("prompt_path", "models/prompts.json"), given.get("prompt_id", "chnsenticorp_char")
    prompt = prompt_of(path, name)
    ((_, options),) = targets(config.with_target("mlm"), Words("words", NoTensors())).tree[0].items()
    found = [{"prompt_mlm": {**options, "num_labels": len(prompt["verbalizer"])}}]
    data = {"processor": {"prompt": {**prompt, **_length(given)}}, **_files(given)}
    return Task(found, data, "mlm/accuracy", len(read_table(_train_path(given), "label", "text_a").rows))


def _simcse(given: Given, config: OriginalConfig) -> Task:
    rows = read_table(_train_path(given), "text_a")
    columns = rows.rows[0] if rows.rows else {}
    pairs = "text_b" in columns and "label" in columns
    options = {**_length(given), "pairing": "fields" if pairs else "same"}
    found = {"clr": {"temperature": given.get("temperature", 0.05), "learned_temperature": False, "symmetric": False}}
    data: dict[str, Any] = {"processor": {"pair": options}, "train": table(_train_path(given))}
    notes = []
    if not pairs:
        data["columns"] = {"text": "text_a"}
    if "dev_path" in given:
        notes.append(f"the correlation with labels is tp retrieve runs/NAME --data {given['dev_path']} --correlation")
    return Task([found], data, copies=True, notes=notes)


_MADE: Mapping[str, Callable[[Given, OriginalConfig], Task]] = {
    **dict.fromkeys(
        ("run_classifier", "run_classifier_cv", "run_classifier_grid", "run_classifier_deepspeed"), _classifier
    ),
    **dict.fromkeys(("run_classifier_mt", "run_classifier_mt_deepspeed"), _several),
    "run_classifier_multi_label": _multi_label,
    "run_classifier_prompt": _prompt,
    "run_classifier_siamese": _siamese,
    "run_simcse": _simcse,
    "run_regression": _of_table("regression", "regression/spearman"),
    "run_dbqa": _of_table("ranking", "mrr"),
    "run_ner": _ner,
    "run_cmrc": _cmrc,
    "run_c3": _c3,
    "run_chid": _chid,
    "run_image_classifier": _pictures,
    "run_text2text": _text2text,
    "run_speech2text": _speech2text,
}
