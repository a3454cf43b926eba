"""The original's tokenizers in the form of a spec."""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tp_core.errors import TPError
from tp_core.files.bounded_reads import read_json
from tp_core.options.context import DataContext
from tp_core.options.tokenizer import TokenizerConfig
from tp_core.spec.choices.find import config_class

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec

#: The original's special tokens by role, if no file gives others.
SPECIAL = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}

#: Those of SentencePiece models, for which users of the original name another special_tokens_map.json.
_OF_PIECES = {
    "pad_token": "<pad>",
    "unk_token": "<unk>",
    "cls_token": "<s>",
    "sep_token": "</s>",
    "mask_token": "<mask>",
}

_LINES = {"bert": "wordpiece", "char": "char", "space": "space"}

#: Options of a tokenizer that name files.
_FILES = ("vocab", "merges", "model")


def special_tokens(path: str | None) -> dict[str, str]:
    """The special tokens by role, from a special_tokens_map.json of the original.

    Raises:
        TPError: the file cannot be read.
    """
    if path is None:
        return dict(SPECIAL)
    try:
        content = dict(read_json(Path(path)))
        return {role: str(content[role]) for role in SPECIAL if role in content}
    except (OSError, ValueError, TypeError) as error:
        raise TPError(f"{path}: this is no special_tokens_map.json: {error}") from None


def framing(special: Mapping[str, str]) -> dict[str, Any]:
    """The tokens at the begin and the end of a text of a language model: the original takes those of all texts.

    The processor adds the end token.
    """
    roles = {"bos_token": "cls_token", "eos_token": "sep_token"}
    found: dict[str, Any] = {ours: special[theirs] for ours, theirs in roles.items() if theirs in special}
    return found | ({"add_bos": True} if found else {})


@dataclass(frozen=True)
class TokenizerFiles:
    """The files of one side's tokenizer.

    Attributes:
        name: the original's name of the tokenizer; None: the one that the files belong to.
        vocab: vocabulary file.
        merges: merges of ``bpe``.
        model: SentencePiece model.
        cased: True if texts are not lower-cased.
        special: special tokens by role.
        flags: the command-line options of the name, vocabulary, merges and model, for messages.
    """

    name: str | None
    vocab: str | None
    merges: str | None
    model: str | None
    cased: bool
    special: Mapping[str, str]
    flags: tuple[str, str, str, str]

    def check(self) -> None:
        """Raises TPError if a file is missing."""
        for path in (self.vocab, self.merges, self.model):
            if path is not None and not Path(path).is_file():
                raise TPError(f"{path}: there is no such file")

    def tree(self, framed: bool) -> dict[str, Any] | None:
        """The tokenizer as in a spec, with the paths of the files; None if there is none.

        Args:
            framed: True if texts begin and end with the tokens of all texts, as those of language models do.

        Raises:
            TPError: a file is not named that the tokenizer needs, or named and not of this tokenizer.
        """
        name = self.name or ("bpe" if self.merges else "bert" if self.vocab or self.model else None)
        if name is None:
            return None
        pieces = name == "xlmroberta" or (name == "bert" and self.model is not None)
        needed = ("model",) if pieces else ("vocab", "merges") if name == "bpe" else ("vocab",)
        files: dict[str, str] = {}
        for option, flag in zip(_FILES, self.flags[1:]):
            path = getattr(self, option)
            if path is None and option in needed:
                raise TPError(f"the tokenizer {name} needs {flag}")
            if path is not None and option not in needed and not (pieces and option == "vocab"):
                raise TPError(f"{flag} {path}: the tokenizer {name} reads no such file; {self.flags[0]} names another")
            files |= {option: path} if option in needed else {}
        # The original has one separator between the texts of a pair, whatever its spelling.
        roberta = (self.special.get("cls_token"), self.special.get("sep_token")) == ("<s>", "</s>")
        one: dict[str, Any] = {"pair_separators": 1} if roberta or name == "xlmroberta" else {}
        if pieces:
            layout = {"layout": "fairseq"} if name == "xlmroberta" else {}
            own = self._of_pieces(files["model"], bool(layout))
            return {"sentencepiece": {**files, **layout, **one, **own, **(framing(own) if framed else {})}}
        if name == "bpe":
            own = _among(self.special, _tokens(Path(files["vocab"])))
            return {"bpe": {**files, **one, **own, **(framing(own) if framed else {})}}
        options: dict[str, Any] = {**files, **one, **self.special, **(framing(self.special) if framed else {})}
        if name == "bert":
            options |= {"lowercase": not self.cased, "max_word_length": 200}
        return {_LINES[name]: options}

    def _of_pieces(self, path: str, fairseq: bool) -> dict[str, str]:
        """The special tokens that a SentencePiece model has; without the model, those of fairseq's order."""
        known = {*_pieces(Path(path))} if Path(path).is_file() else set[str]()
        known |= {*_OF_PIECES.values()} if fairseq else set()
        found = _among(self.special, known)
        return found if "cls_token" in found else _among(_OF_PIECES, known)


def _among(special: Mapping[str, str], tokens: Collection[str]) -> dict[str, str]:
    return {role: token for role, token in special.items() if token in tokens}


def _tokens(path: Path) -> Collection[str]:
    """The tokens of a vocabulary; none if there is no such file."""
    if not path.is_file():
        return ()
    from tp_text.tokenizers.files import read_token_ids

    return read_token_ids(path)


def _pieces(path: Path) -> Collection[str]:
    from tp_text.tokenizers.pipelines import sentencepiece_processor

    processor = sentencepiece_processor(path)
    return [processor.id_to_piece(number) for number in range(processor.get_piece_size())]


def copied(tree: dict[str, Any], folder: Path, inside: str) -> dict[str, Any]:
    """The tokenizer with its files in ``folder/inside``.

    Args:
        tree: a tokenizer as in a spec.
        folder: the folder of a model.
        inside: name of the folder in it.
    """
    ((name, options),) = tree.items()
    (folder / inside).mkdir(parents=True, exist_ok=True)
    files = {option: f"{inside}/{Path(options[option]).name}" for option in _FILES if option in options}
    for option, place in files.items():
        if name in _LINES.values():
            tokens = first_columns(Path(options[option]))
            (folder / place).write_text("".join(f"{token}\n" for token in tokens), encoding="utf-8", newline="")
        else:
            shutil.copyfile(options[option], folder / place)
    return {name: {**options, **files}}


def first_columns(path: Path) -> list[str]:
    """The tokens of a vocabulary as the original reads it: the first column of each line, which may be empty.

    Raises:
        TPError: the file cannot be read, is empty, or has a token twice.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = [line.rstrip("\r\n") for line in file]
    except (OSError, UnicodeDecodeError) as error:
        raise TPError(f"{path}: the vocabulary cannot be read: {error}") from None
    tokens = [re.split(r"[ \t]+", line.strip(" \t"))[0] or line for line in lines]
    # An empty token is no text, and a file may have several; each keeps its row.
    found: dict[str, int] = {}
    for number, token in enumerate(tokens, 1):
        token = token or f"[empty line {number}]"
        if token in found:
            raise TPError(f"{path}:{number}: the token '{token}' is already on line {found[token]}")
        found[token] = number
    if not found:
        raise TPError(f"{path}: the vocabulary is empty")
    return [*found]


def vocabulary_size(tree: dict[str, Any]) -> int:
    """The number of tokens of a tokenizer as in a spec.

    Raises:
        TPError: a file cannot be read, or is not of this tokenizer.
    """
    ((name, options),) = tree.items()
    if name in _LINES.values():
        return len(first_columns(Path(options["vocab"])))
    cls, _ = config_class("tokenizer", name, ".")
    assert issubclass(cls, TokenizerConfig)
    return cls.model_validate(options).facts(DataContext(base=".")).vocab_size


def write_vocabularies(spec: Spec, folder: Path) -> list[str]:
    """Copy the files of a model's tokenizers beside a checkpoint of the original.

    Returns:
        Notes on the command-line options with which the original reads them.
    """
    notes = []
    for side, chosen in (("", spec.data.tokenizer), ("tgt_", spec.data.target_tokenizer)):
        if chosen is None:
            continue
        fairseq = getattr(chosen.config, "layout", "") == "fairseq"
        known = {ours: theirs for theirs, ours in _LINES.items()} | {"bpe": "bpe"}
        known["sentencepiece"] = "xlmroberta" if fairseq else "bert"
        if chosen.name not in known:
            notes.append(f"the tokenizer '{chosen.name}' is not written, since the original has none like it")
            continue
        flags = [f"--{side}tokenizer {known[chosen.name]}"]
        for option, path in chosen.config.files().items():
            flag = {"vocab": "vocab_path", "merges": "merges_path", "model": "spm_model_path"}[option]
            name = f"{side}{Path(path).name}"
            shutil.copyfile(path, folder / name)
            flags.append(f"--{side}{flag} {name}")
        notes.append(f"options of the original for its vocabulary: {' '.join(flags)}")
    return notes
