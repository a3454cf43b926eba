"""The fine-tuning that a script of the original stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tp_core.errors import TPError
from tp_tencentpretrain.original.config import OriginalConfig
from tp_tencentpretrain.spec_import import heads, other_tasks
from tp_tencentpretrain.spec_import.given import Given
from tp_tencentpretrain.spec_import.task import Task


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

#: Scripts → the functions that make their tasks.
_MADE: Mapping[str, heads.Maker] = {
    **dict.fromkeys(
        ("run_classifier", "run_classifier_cv", "run_classifier_grid", "run_classifier_deepspeed"), heads.classifier
    ),
    **dict.fromkeys(("run_classifier_mt", "run_classifier_mt_deepspeed"), heads.several),
    "run_classifier_multi_label": heads.of_table(
        "multi_label", "multi_label/f1_micro", "label", "text_a", classes=lambda rows: rows.classes(",")
    ),
    "run_classifier_prompt": other_tasks.prompt,
    "run_classifier_siamese": heads.of_table(
        "siamese", "cls/accuracy", "label", "text_a", "text_b", classes=lambda rows: rows.classes()
    ),
    "run_simcse": other_tasks.simcse,
    "run_regression": heads.of_table("regression", "regression/spearman", "label", "text_a"),
    "run_dbqa": heads.of_table("ranking", "mrr", "label", "text_a"),
    "run_ner": heads.ner,
    "run_cmrc": heads.cmrc,
    "run_c3": heads.c3,
    "run_chid": heads.chid,
    "run_image_classifier": heads.pictures,
    "run_text2text": other_tasks.text2text,
    "run_speech2text": other_tasks.speech2text,
}
