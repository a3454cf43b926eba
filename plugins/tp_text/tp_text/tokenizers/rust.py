"""What all tokenizers on the Rust library have in common."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tp_core.errors import DataError
from tp_core.tokenizer import Tokenizer
from tp_text.tokenizers.forks import silence_fork_warning
from tp_text.tokenizers.roles import BYTE_LEVEL, WordBoundary

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class RustTokenizer(Tokenizer):
    """A pipeline of the ``tokenizers`` library with its special tokens.

    Args:
        backend: ``tokenizers.Tokenizer``; all that it knows as special is left out of decoded text.
        roles: role → special token; those that the vocabulary lacks are left out.
        boundary: how the vocabulary marks words; None when it does not.
        special_in_text: whether a special token that is spelled out in a text becomes that token.
    """

    def __init__(
        self, backend: Any, roles: Mapping[str, str], boundary: WordBoundary | None, special_in_text: bool
    ) -> None:
        silence_fork_warning()
        backend.encode_special_tokens = not special_in_text
        self._backend = backend
        self._boundary = boundary
        vocabulary: dict[str, int] = backend.get_vocab(with_added_tokens=True)
        self.vocab_size = max(vocabulary.values()) + 1
        self._tokens = [""] * self.vocab_size
        for token, index in vocabulary.items():
            self._tokens[index] = token
        self.special = {role: vocabulary[token] for role, token in roles.items() if token in vocabulary}
        added: dict[int, Any] = backend.get_added_tokens_decoder()
        self._special_ids = {*self.special.values(), *(i for i, token in added.items() if token.special)}
        # An unknown word is shown as such in decoded text, unless its token has another meaning as well.
        others = {index for role, index in self.special.items() if role != "unk"}
        self._silent = {i for i in self._special_ids if i in others or i != self.special.get("unk")}

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """Ids without any added special tokens, one list per text; threads of the library share the work.

        Raises:
            DataError: a text that is not valid Unicode.
        """
        return library_ids(self._backend, texts)

    def decode(self, ids: list[int]) -> str:
        """The text of ids, without special tokens; ids beyond the vocabulary stand for nothing."""
        kept = [index for index in ids if index not in self._silent]
        return str(self._backend.decode(kept, skip_special_tokens=False))

    def token(self, index: int) -> str:
        """The token of an id, as the vocabulary writes it; empty for an id that it skips.

        Raises:
            IndexError: an id that is not in [0, vocab_size).
        """
        if not 0 <= index < self.vocab_size:
            raise IndexError(f"id {index} is not in [0, {self.vocab_size})")
        return self._tokens[index]

    def word_starts(self) -> NDArray[np.bool_] | None:
        return None if self._boundary is None else self._boundary.mark(self._tokens, self._special_ids)

    def to_huggingface(self, folder: Path) -> bool:
        """Write tokenizer.json, which puts special tokens around texts as BERT and RoBERTa do, and its config."""
        from tokenizers import Tokenizer as Backend

        backend = Backend.from_str(self._backend.to_str())
        names = {role: self._tokens[index] for role, index in self.special.items()}
        if "cls" in names and "sep" in names:
            backend.post_processor = _framing(self.special, names, twice=self._boundary == BYTE_LEVEL)
        backend.save(str(folder / "tokenizer.json"))
        config = {f"{role}_token": token for role, token in names.items()}
        text = json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **config}, indent=2, ensure_ascii=False)
        (folder / "tokenizer_config.json").write_text(text + "\n", encoding="utf-8")
        return True


def _framing(ids: Mapping[str, int], names: Mapping[str, str], twice: bool) -> Any:
    """``[CLS] text [SEP]``; RoBERTa has two separators (``twice``) between the texts of a pair, and BERT segments."""
    from tokenizers.processors import TemplateProcessing

    cls, sep = names["cls"], names["sep"]
    pair = f"{cls} $A {sep} {sep} $B {sep}" if twice else f"{cls} $A {sep} $B:1 {sep}:1"
    return TemplateProcessing(
        single=f"{cls} $A {sep}", pair=pair, special_tokens=[(cls, ids["cls"]), (sep, ids["sep"])]
    )


def library_ids(backend: Any, texts: list[str]) -> list[list[int]]:
    """What the library makes of texts: see :meth:`RustTokenizer.encode_batch`."""
    encode = getattr(backend, "encode_batch_fast", backend.encode_batch)
    try:
        return [encoding.ids for encoding in encode(texts, add_special_tokens=False)]
    except TypeError as error:
        raise invalid_text(texts, error) from error


def add_special_tokens(
    backend: Any, roles: Mapping[str, str], vocabulary: Mapping[str, int], **mask_options: Any
) -> None:
    """Make the library see the special tokens that the vocabulary has."""
    from tokenizers import AddedToken

    found = {token: mask_options if role == "mask" else {} for role, token in roles.items() if token in vocabulary}
    backend.add_special_tokens([AddedToken(t, normalized=False, special=True, **o) for t, o in found.items()])


def invalid_text(texts: list[str], error: TypeError) -> Exception:
    """The error for a text that a library refused: a :class:`DataError` if the text is to blame."""
    for text in texts:
        if not isinstance(text, str):
            break
        try:
            text.encode()
        except UnicodeEncodeError as reason:
            code = ord(text[reason.start])
            message = f"character {reason.start + 1} of the text is half of a surrogate pair (U+{code:04X})"
            return DataError(f"{message}, which is not valid Unicode")
    return error
