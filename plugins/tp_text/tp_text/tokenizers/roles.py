"""Special tokens by role, and marks of word starts. Needs no tokenizer library."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel

from tp_core.errors import TPError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Role → spellings in published vocabularies, most common first.
USUAL: dict[str, tuple[str, ...]] = {
    "cls": ("[CLS]", "<cls>"),
    "sep": ("[SEP]", "<sep>"),
    "pad": ("[PAD]", "<pad>"),
    "mask": ("[MASK]", "<mask>"),
    "unk": ("[UNK]", "<unk>"),
    "bos": ("<s>", "[BOS]", "<bos>", "<|begin_of_text|>", "<|endoftext|>"),
    "eos": ("</s>", "[EOS]", "<eos>", "<|end_of_text|>", "<|endoftext|>"),
}
ROLES = tuple(USUAL)


def spellings(config: BaseModel) -> dict[str, str]:
    """Role → special token, from the options ``cls_token``, ``sep_token``, ... that have a value."""
    found = {role: getattr(config, f"{role}_token") for role in ROLES}
    return {role: token for role, token in found.items() if token is not None}


def find_usual(role: str, vocabulary: Mapping[str, int] | Sequence[str]) -> str | None:
    """The first usual spelling of a role's token that the vocabulary contains; None if there is none."""
    return next((token for token in USUAL[role] if token in vocabulary), None)


def separators_between(spelled: Mapping[str, str]) -> int:
    """Number of separators between the texts of a pair: 2 with RoBERTa's cls and sep tokens, else 1.

    Args:
        spelled: role → token.
    """
    return 2 if (spelled.get("cls"), spelled.get("sep")) == ("<s>", "</s>") else 1


def missing_unknown(kind: str, path: Path, token: str | None, vocabulary: Mapping[str, int]) -> TPError:
    """The error for a vocabulary without the unknown token that its kind of tokenizer requires."""
    usual = find_usual("unk", vocabulary)
    needed = f"{path} has no '{token}'" if token is not None else "unk_token is not set"
    what = {"char": "characters", "bpe": "bytes"}.get(kind, "words")
    hint = f"; it has '{usual}': set unk_token to that" if usual is not None else ""
    return TPError(f"{needed}, which {kind} needs for {what} it does not know{hint}")


class WordBoundary(NamedTuple):
    """Prefixes that mark word boundaries: either of tokens that start a word, or of tokens that continue one.

    Without either prefix, every token is a word.
    """

    starting: tuple[str, ...] = ()
    continuing: str = ""

    def mark(self, tokens: Sequence[str], special: Iterable[int]) -> NDArray[np.bool_]:
        """Boolean array, True for each id that begins a word; special tokens count as words."""
        import numpy as np  # imported late: checking a spec does not need it

        if self.starting:
            starts = np.array([token.startswith(self.starting) for token in tokens], dtype=np.bool_)
        elif self.continuing:
            starts = np.array([not token.startswith(self.continuing) for token in tokens], dtype=np.bool_)
        else:
            starts = np.ones(len(tokens), dtype=np.bool_)
        starts[list(special)] = True
        return starts


WORDPIECE = WordBoundary(continuing="##")
#: Space, line feed, tab and carriage return in byte-level vocabularies.
BYTE_LEVEL = WordBoundary(starting=("Ġ", "Ċ", "ĉ", "č"))
SENTENCEPIECE = WordBoundary(starting=("▁",))
WORDS = WordBoundary()
