"""The original's tokenizers in the form of a spec."""

from __future__ import annotations

import shutil
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

_LINES = {"bert": "wordpiece", "char": "char", "space": "space"}


def special_tokens(path: str | None) -> dict[str, str]:
    """The special tokens by role, from a special_tokens_map.json of the original.

    Raises:
        TPError: the file cannot be read.
    """
    if path is None:
        return dict(SPECIAL)
    try:
        content = read_json(Path(path))
        return {role: str(content[role]) for role in SPECIAL if role in content}
    except (OSError, ValueError, TypeError) as error:
        raise TPError(f"{path}: this is no special_tokens_map.json: {error}") from None


def framing(special: dict[str, str]) -> dict[str, str]:
    """The tokens at the begin and the end of a text of a language model: the original takes those of all texts."""
    roles = {"bos_token": "cls_token", "eos_token": "sep_token"}
    return {ours: special[theirs] for ours, theirs in roles.items() if theirs in special}


class TokenizerFiles:
    """The files of one side's tokenizer.

    Args:
        name: the original's name of the tokenizer; None: the one that the files belong to.
        vocab: vocabulary file.
        merges: merges of ``bpe``.
        model: SentencePiece model.
        cased: True if texts are not lower-cased.
        special: special tokens by role.
        flags: the command-line options of vocabulary, merges and model, for messages.
    """

    def __init__(
        self,
        name: str | None,
        vocab: str | None,
        merges: str | None,
        model: str | None,
        cased: bool,
        special: dict[str, str],
        flags: tuple[str, str, str],
    ) -> None:
        self.vocab, self.merges, self.model, self.cased, self.special = vocab, merges, model, cased, special
        self.name = name or ("bpe" if merges else "bert" if vocab or model else None)
        self.flags = flags
        for path in (vocab, merges, model):
            if path is not None and not Path(path).is_file():
                raise TPError(f"{path}: there is no such file")

    def tree(self, folder: Path, inside: str) -> dict[str, Any] | None:
        """Copy the files into ``folder/inside`` and return the tokenizer as in a spec; None if there is none.

        Raises:
            TPError: a file is missing that the tokenizer needs.
        """
        if self.name is None:
            return None
        (folder / inside).mkdir(parents=True, exist_ok=True)
        if self.name == "xlmroberta" or (self.name == "bert" and self.model):
            return self._sentence_piece(folder, inside)
        copied = {"vocab": self._copied(folder, inside, self.vocab, 0)}
        if self.name == "bpe":
            copied["merges"] = self._copied(folder, inside, self.merges, 1)
            return {"bpe": {**copied, **self._known(Path(folder, copied["vocab"]))}}
        options: dict[str, Any] = {**copied, **self.special, **framing(self.special)}
        if self.name == "bert":
            options |= {"lowercase": not self.cased, "max_word_length": 200}
        return {_LINES[self.name]: options}

    def _copied(self, folder: Path, inside: str, path: str | None, number: int) -> str:
        if path is None:
            raise TPError(f"the tokenizer {self.name} needs {self.flags[number]}")
        place = f"{inside}/{Path(path).name}"
        shutil.copyfile(path, folder / place)
        return place

    def _known(self, vocab: Path) -> dict[str, str]:
        """The special tokens that a vocabulary has; the original's bpe has those of its special_tokens_map.json."""
        from tp_text.tokenizers.files import read_vocabulary

        tokens = read_vocabulary(vocab)
        return {role: token for role, token in self.special.items() if token in tokens}

    def _sentence_piece(self, folder: Path, inside: str) -> dict[str, Any]:
        import json

        from sentencepiece import SentencePieceProcessor

        place = self._copied(folder, inside, self.model, 2)
        pieces = SentencePieceProcessor(model_file=str(folder / place))
        known = {pieces.id_to_piece(number) for number in range(pieces.get_piece_size())}
        options: dict[str, Any] = {"model": place}
        if self.name == "xlmroberta":
            order = ["<s>", "<pad>", "</s>", "<unk>"]
            order += [pieces.id_to_piece(number) for number in range(3, pieces.get_piece_size())] + ["<mask>"]
            options["vocab"] = f"{inside}/vocab.json"
            ids = {token: number for number, token in enumerate(order)}
            (folder / options["vocab"]).write_text(json.dumps(ids, ensure_ascii=False), encoding="utf-8")
            known = set(ids)
        return {"sentencepiece": {**options, **{role: t for role, t in self.special.items() if t in known}}}


def vocabulary_size(tree: dict[str, Any], folder: Path) -> int:
    """The number of tokens of a tokenizer as in a spec, whose files are in a folder.

    Raises:
        TPError: a file cannot be read, or is not of this tokenizer.
    """
    ((name, options),) = tree.items()
    cls, _ = config_class("tokenizer", name, ".")
    assert issubclass(cls, TokenizerConfig)
    return cls.model_validate(options).facts(DataContext(base=str(folder))).vocab_size


def write_vocabularies(spec: Spec, folder: Path) -> list[str]:
    """Copy the files of a model's tokenizers beside a checkpoint of the original.

    Returns:
        Notes on the command-line options with which the original reads them.
    """
    notes = []
    for side, chosen in (("", spec.data.tokenizer), ("tgt_", spec.data.target_tokenizer)):
        if chosen is None:
            continue
        known = {ours: theirs for theirs, ours in _LINES.items()} | {"bpe": "bpe", "sentencepiece": "xlmroberta"}
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
