"""The commands of a command line: launchers, scripts and their options."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tp_core.errors import TPError
from tp_core.suggest import did_you_mean
from tp_tencentpretrain.original.flags import parse

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
    "convert_model_into_blocks": "tp convert --to huggingface --max-shard-size",
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
    script, options, notes, seen = None, dict[str, Any](), list[str](), list[str]()
    for words in _commands(arguments):
        launcher, name, rest = _parts(words)
        found = parse(rest)
        if name in (*FINE_TUNING, *seen) and seen:
            raise TPError("the command line has several trainings; import one at a time")
        seen.append(name or "")
        script = name if name in FINE_TUNING else None
        notes += _launched(launcher, found)
        notes += [
            f"--{key} has two values, {options[key]} and {value}: the spec has the second"
            for key, value in found.items()
            if key in options and options[key] != value
        ]
        options |= found
    if script is None and "train_path" in options and "corpus_path" in options:
        raise TPError("the command lines of a pre-training and of a fine-tuning are two specs; import one at a time")
    return CommandLine(script, options, notes)


#: Options of launchers: the number of nodes, and that of processes on each.
_PROCESSES = ("num_gpus", "nproc_per_node", "num_nodes", "nnodes")


def _launched(launcher: list[str], found: dict[str, Any]) -> list[str]:
    """Notes on the options of a launcher. Those that give the number of processes are read.

    Args:
        launcher: the words before the script.
        found: the options of the script; ``world_size`` is added if it is missing.
    """
    numbers, unread = list[int](), list[str]()
    for word, following in zip(launcher, [*launcher[1:], ""]):
        option, equals, value = word.partition("=")
        value = value if equals else following
        if not word.startswith("-") or word in ("-u", "-m"):
            continue
        if option.lstrip("-").replace("-", "_") in _PROCESSES and value.isdigit() and int(value) > 0:
            numbers.append(int(value))
        else:
            unread.append(option)
    if numbers:
        found.setdefault("world_size", math.prod(numbers))
    if not unread:
        return []
    return [
        f"options of the launcher are not read ({' '.join(unread)}): tp starts processes with "
        "torchrun --nproc-per-node N -m tp_core -- train SPEC"
    ]


def _commands(arguments: Sequence[str]) -> list[list[str]]:
    """The words of each command that starts a script, or has options alone.

    Raises:
        TPError: a text cannot be divided into words, or has no command.
    """
    texts = [word for word in arguments if any(space in word for space in " \n")]
    words = list(arguments)
    if words and len(texts) == len(words):  # quoted: one text, or one for each command
        words = [word for text in texts for word in _divided(text)]
    found: list[list[str]] = [[]]
    elsewhere = False  # after a pipe or a redirection
    for word in words:
        if word in (";", "&&", "&", "||"):
            found.append([])
            elsewhere = False
        elif word in _REDIRECTIONS or elsewhere:
            elsewhere = True
        else:
            found[-1].append(word.removesuffix(";"))
            found += [[]] if word.endswith(";") else []
    commands = [each for each in found if each]
    if arguments and not commands:
        raise TPError("the command line is empty")
    # Others change folders or variables.
    return [each for each in commands if _starts_script(each)] or commands


def _starts_script(words: list[str]) -> bool:
    return words[0].startswith("--") or any(word.endswith(".py") for word in words)


def _divided(text: str) -> list[str]:
    """The words of a text as a shell divides it; each line is a command.

    Raises:
        TPError: a quotation has no end.
    """
    words: list[str] = []
    for line in text.replace("\\\r\n", " ").replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(_REDIRECTED.sub(" ", line), posix=True, punctuation_chars=";<>|&")
        lexer.whitespace_split = True
        try:
            words += [*lexer, ";"]
        except ValueError as error:
            raise TPError(f"the command line cannot be divided into words: {error}") from None
    return words


#: A redirection with its file.
_REDIRECTED = re.compile(r"\s[\d&]?>>?\s*(&\d|\S+)")

_REDIRECTIONS = ("|", ">", ">>", "2>", "2>&1", "&>", "<", ">&", "|&")


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
