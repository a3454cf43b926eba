"""The commands of a command line: launchers, scripts and their options."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tp_core.errors import TPError
from tp_core.suggest import did_you_mean
from tp_tencentpretrain.spec_import.flags import parse

#: Scripts of pre-training.
PRE_TRAINING = ("preprocess", "pretrain")

#: Scripts of fine-tuning.
FINE_TUNING = (
    *("run_classifier", "run_classifier_cv", "run_classifier_grid", "run_classifier_deepspeed", "run_classifier_mt"),
    *("run_classifier_mt_deepspeed", "run_classifier_multi_label", "run_classifier_prompt", "run_classifier_siamese"),
    *("run_simcse", "run_regression", "run_dbqa", "run_ner", "run_cmrc", "run_c3", "run_chid"),
    *("run_image_classifier", "run_text2text", "run_speech2text"),
)

#: Other scripts, which train nothing → the command that stands for them.
_OTHERS = {
    **{
        f"run_{task}_infer": "tp predict"
        for task in (
            *("classifier", "classifier_cv", "classifier_deepspeed", "classifier_mt", "classifier_mt_deepspeed"),
            *("classifier_multi_label", "classifier_prompt", "classifier_siamese", "regression", "ner", "cmrc", "c3"),
            *("chid", "image_classifier"),
        )
    },
    **dict.fromkeys(("run_text2text_infer", "run_speech2text_infer"), "tp generate"),
    **dict.fromkeys(("generate_lm", "generate_lm_deepspeed", "generate_seq2seq"), "tp generate"),
    **dict.fromkeys(("generate_seq2seq_deepspeed", "generate_talk2face"), "tp generate"),
    "cloze_test": "tp predict",
    "extract_features": "tp embed",
    "topn_words_indep": "tp neighbours",
    "build_vocab": "tp tokenizer",
    "convert_model_into_blocks": "tp convert --max-shard-size",
}


class CommandLine(NamedTuple):
    """A command line, or two: of preprocess.py and pretrain.py.

    Attributes:
        script: the fine-tuning script, without its folder and ending; None if there is none.
        options: the options of all commands.
        notes: sentences for the user.
    """

    script: str | None
    options: dict[str, Any]
    notes: list[str]


def read_command_line(arguments: Sequence[str]) -> CommandLine:
    """Read a command line.

    Args:
        arguments: the words of a command line, or of several; or one text with all of them.

    Raises:
        TPError: an option or a script is unknown, or the commands are two trainings.
    """
    script, options, notes = None, dict[str, Any](), list[str]()
    for words in _commands(arguments):
        launcher, name, rest = _parts(words)
        unread = [word for word in launcher if word.startswith("-") and word != "-u"]
        if unread:
            notes.append(
                f"options of the launcher are not read ({' '.join(unread)}): tp starts processes with "
                "torchrun --nproc-per-node N -m tp_core -- train SPEC"
            )
        found = parse(rest)
        if script is not None or (options and name in FINE_TUNING):
            raise TPError("the command line has several trainings; import one at a time")
        script = name if name in FINE_TUNING else None
        notes += [
            f"--{key} has two values, {options[key]} and {value}: the spec has the second"
            for key, value in found.items()
            if key in options and options[key] != value
        ]
        options |= found
    if script is None and "train_path" in options and "corpus_path" in options:
        raise TPError("the command lines of a pre-training and of a fine-tuning are two specs; import one at a time")
    return CommandLine(script, options, notes)


def _commands(arguments: Sequence[str]) -> list[list[str]]:
    """The words of each command."""
    words = list(arguments)
    if len(words) == 1 and any(space in words[0] for space in " \n"):
        try:
            words = shlex.split(words[0].replace("\\\n", " "))
        except ValueError as error:
            raise TPError(f"the command line cannot be divided into words: {error}") from None
    found: list[list[str]] = [[]]
    elsewhere = False  # after a pipe or a redirection
    for word in words:
        if word in (";", "&&", "&"):
            found.append([])
            elsewhere = False
        elif word in _REDIRECTIONS or elsewhere:
            elsewhere = True
        else:
            found[-1].append(word.removesuffix(";"))
            found += [[]] if word.endswith(";") else []
    return [each for each in found if each]


_REDIRECTIONS = ("|", ">", ">>", "2>", "2>&1", "&>")


def _parts(words: list[str]) -> tuple[list[str], str | None, list[str]]:
    """The words before the script, the script's name, and its options.

    Raises:
        TPError: the script is unknown, or trains nothing.
    """
    place = next((number for number, word in enumerate(words) if word.endswith(".py")), None)
    if place is None and words[0].startswith("--"):
        return [], None, words
    place = place or 0
    name = Path(words[place]).stem
    if name in PRE_TRAINING or name in FINE_TUNING:
        return words[:place], name, words[place + 1 :]
    if name in _OTHERS:
        raise TPError(f"'{words[place]}' trains nothing and needs no spec; its counterpart is {_OTHERS[name]}")
    near = did_you_mean(name, (*PRE_TRAINING, *FINE_TUNING, *_OTHERS), likeness=0.8)
    near = near or "docs/from_tencentpretrain.md names the counterpart of every script"
    raise TPError(f"'{words[place]}' is no training script of the original; {near}")
