"""SentencePiece models, with their own library."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tp_core.tokenizer import Tokenizer
from tp_text.tokenizers import roles
from tp_text.tokenizers.pipelines import sentencepiece_processor
from tp_text.tokenizers.rust import invalid_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tp_text.tokenizers.config import SentencePieceConfig


class SentencePieceTokenizer(Tokenizer):
    """A sentencepiece model. Control pieces (``[CLS]``, ``</s>``) that are spelled out in a text stay text.

    Raises:
        TPError: a file that is no sentencepiece model.
    """

    def __init__(self, config: SentencePieceConfig, path: Path) -> None:
        self._processor = sentencepiece_processor(path)
        self._options = config.model_dump(mode="json")
        processor = self._processor
        self.vocab_size = int(processor.vocab_size())
        self._tokens: list[str] = processor.id_to_piece(list(range(self.vocab_size)))
        known = {token: index for index, token in enumerate(self._tokens)}
        own = {
            "pad": processor.pad_id(),
            "unk": processor.unk_id(),
            "bos": processor.bos_id(),
            "eos": processor.eos_id(),
        }
        self.special = {}
        for role in roles.ROLES:
            spelled = getattr(config, f"{role}_token")
            token = spelled if spelled is not None else roles.find_usual(role, known)
            if spelled is None and own.get(role, -1) >= 0:
                self.special[role] = own[role]
            elif token is not None and token in known:
                self.special[role] = known[token]
        self._special_ids = {*self.special.values()}
        for index in range(self.vocab_size):
            if processor.is_control(index) or processor.is_unknown(index):
                self._special_ids.add(index)
        self._silent = self._special_ids - {processor.unk_id()}

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """Ids without any special tokens, one list per text; threads of the library share the work.

        Raises:
            DataError: a text that is not valid Unicode.
        """
        try:
            encoded: list[list[int]] = self._processor.encode(texts, out_type=int)
        except TypeError as error:
            raise invalid_text(texts, error) from error
        return encoded

    def decode(self, ids: list[int]) -> str:
        """The text of ids, without special tokens; ids beyond the vocabulary stand for nothing."""
        kept = [index for index in ids if 0 <= index < self.vocab_size and index not in self._silent]
        return str(self._processor.decode(kept))

    def token(self, index: int) -> str:
        """The piece of an id, as the model writes it.

        Raises:
            IndexError: an id that is not in [0, vocab_size).
        """
        if not 0 <= index < self.vocab_size:
            raise IndexError(f"id {index} is not in [0, {self.vocab_size})")
        return self._tokens[index]

    def word_starts(self) -> NDArray[np.bool_]:
        return roles.SENTENCEPIECE.mark(self._tokens, self._special_ids)

    def save(self, folder: Path) -> dict[str, Any]:
        (folder / "tokenizer.model").write_bytes(self._processor.serialized_model_proto())
        return {**self._options, "model": "tokenizer.model"}
