"""The fine-tuning scripts that use the targets of pre-training, or two copies of a model."""

from __future__ import annotations

from typing import Any

from tp_core.errors import TPError
from tp_tencentpretrain.mapping.target import Words, targets
from tp_tencentpretrain.original.checkpoint import NoTensors
from tp_tencentpretrain.original.config import OriginalConfig
from tp_tencentpretrain.processors import speech_options
from tp_tencentpretrain.spec_import.corpora import table
from tp_tencentpretrain.spec_import.given import Given
from tp_tencentpretrain.spec_import.prompts import prompt_of
from tp_tencentpretrain.spec_import.tables import read_table
from tp_tencentpretrain.spec_import.task import Task, files, length, train_path


def _check_decoder(config: OriginalConfig) -> None:
    if config["decoder"] is None:
        raise TPError(f"{config.where}: the script needs a model with a decoder; 'decoder' is missing")


def text2text(given: Given, config: OriginalConfig) -> Task:
    _check_decoder(config)
    options = {**length(given), "target_max_length": given.get("tgt_seq_length", 32), "metrics": ["exact_match"]}
    rows = read_table(train_path(given), "text_a", "label")
    notes = []
    if "text_b" in rows.rows[0]:
        notes.append(
            "the source is text_a alone; write text_b behind it, with [SEP] between them, as the original does"
        )
    columns = {"source": "text_a", "target": "label"}
    data = {"processor": {"mt": options}, "columns": columns, **files(given)}
    return Task([], data, "exact_match", len(rows.rows), notes=notes)


def speech2text(given: Given, config: OriginalConfig) -> Task:
    _check_decoder(config)
    given.use("audio_preprocess", "sampling_rate")
    options = {**speech_options(config), "start": "cls", "end": "sep", "metrics": ["word_error_rate"]}
    if "tgt_seq_length" in given:
        options["target_max_length"] = given["tgt_seq_length"]
    data = {"processor": {"speech_text": options}, "columns": {"audio": "wav_path"}, **files(given)}
    rows = read_table(train_path(given), "text", "wav_path")
    return Task([], data, "word_error_rate", len(rows.rows))


def prompt(given: Given, config: OriginalConfig) -> Task:
    path, name = given.get("prompt_path", "models/prompts.json"), given.get("prompt_id", "chnsenticorp_char")
    chosen = prompt_of(path, name)
    ((_, options),) = targets(config.with_target("mlm"), Words("words", NoTensors())).tree[0].items()
    found = [{"prompt_mlm": {**options, "num_labels": len(chosen["verbalizer"])}}]
    data = {"processor": {"prompt": {**chosen, **length(given)}}, **files(given)}
    return Task(found, data, "mlm/accuracy", len(read_table(train_path(given), "label", "text_a").rows))


def simcse(given: Given, config: OriginalConfig) -> Task:
    rows = read_table(train_path(given), "text_a")
    pairs = "text_b" in rows.rows[0] and "label" in rows.rows[0]
    options = {**length(given), "pairing": "fields" if pairs else "same"}
    found = {"clr": {"temperature": given.get("temperature", 0.05), "learned_temperature": False, "symmetric": False}}
    data: dict[str, Any] = {"processor": {"pair": options}, "train": table(train_path(given))}
    notes = []
    if not pairs:
        data["columns"] = {"text": "text_a"}
    if "dev_path" in given:
        notes.append(f"the correlation with labels is tp retrieve runs/NAME --data {given['dev_path']} --correlation")
    return Task([found], data, copies=True, notes=notes)
