"""SentencePiece tokenizers, which use the sentencepiece library."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tp_core.errors import TPError
from tp_core.interfaces.tokenizer import EncodedText, TransformersUse, without_space
from tp_text.tokenizers import roles
from tp_text.tokenizers.files import read_token_ids, size_of
from tp_text.tokenizers.frames import DocumentEnds
from tp_text.tokenizers.pipelines import sentencepiece_processor
from tp_text.tokenizers.rust import config_of, invalid_text, write_backend, write_config

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tp_core.options.context import DataContext
    from tp_text.tokenizers.sentence_piece_options import SentencePieceConfig


class SentencePieceTokenizer(DocumentEnds):
    """A sentencepiece model.

    The spelling of a control piece (``[CLS]``, ``</s>``) in a text is encoded as that piece, unless
    ``special_in_text`` is false. If the option ``vocab`` is set, its ids replace the model's own ids.

    Raises:
        TPError: the file is not a sentencepiece model, or it lacks tokens that the options name.
    """

    def __init__(self, config: SentencePieceConfig, data: DataContext) -> None:
        path = Path(data.base, config.model)
        self._processor = sentencepiece_processor(path)
        self._options = config.model_dump(mode="json")
        processor = self._processor
        pieces: list[str] = processor.id_to_piece(list(range(processor.vocab_size())))
        self._ids = None if config.vocab is None else read_token_ids(Path(data.base, config.vocab))
        if config.layout == "fairseq":
            self._ids = {token: index for index, token in enumerate(_fairseq(pieces, path))}
        known = self._ids or {token: index for index, token in enumerate(pieces)}
        self.vocab_size = size_of(known.values())
        self._tokens = [""] * self.vocab_size
        for token, index in known.items():
            self._tokens[index] = token
        self._piece_of = {known[piece]: number for number, piece in enumerate(pieces) if piece in known}
        self.special = _roles(config, processor, pieces, known)
        self._unknown = self.special.get("unk", known.get(pieces[processor.unk_id()], 0))
        self._special_ids = {*self.special.values()}
        for number, piece in enumerate(pieces):
            if (processor.is_control(number) or processor.is_unknown(number)) and piece in known:
                self._special_ids.add(known[piece])
        self._silent = self._special_ids - {self._unknown}
        control = [piece for n, piece in enumerate(pieces) if processor.is_control(n) or processor.is_unknown(n)]
        self._control = {piece: known[piece] for piece in sorted(control, key=len, reverse=True) if piece in known}
        spelled = [re.escape(piece) for piece in self._control]
        self._spelled = re.compile(f"({'|'.join(spelled)})") if spelled and config.special_in_text else None
        usual = roles.separators_between({r: self._tokens[i] for r, i in self.special.items()})
        self.pair_separators = config.pair_separators or usual
        self.add_ends(config.add_bos, config.add_eos, path)

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """Ids without added special tokens, one list per text; the library uses several threads.

        Raises:
            DataError: a text is not valid Unicode.
        """
        texts = self._as_read(texts)
        try:
            whole = {n for n, text in enumerate(texts) if self._spelled is not None and self._spelled.search(text)}
            found = self._plain([text if n not in whole else "" for n, text in enumerate(texts)] if whole else texts)
            for number in whole:
                found[number] = self._with_special(texts[number])
        except TypeError as error:
            raise invalid_text(texts, error) from error
        return found

    def encode_with_offsets(self, texts: list[str]) -> list[EncodedText]:
        """Words are separated by white space.

        Raises:
            DataError: a text is not valid Unicode.
        """
        try:
            return [self._with_offsets(text, read) for text, read in zip(texts, self._as_read(texts))]
        except TypeError as error:
            raise invalid_text(texts, error) from error

    def _with_offsets(self, text: str, read: str) -> EncodedText:
        """The tokens of a text, of which the model reads ``read``, with the same number of characters."""
        parts = [read] if self._spelled is None else self._spelled.split(read)
        ids, offsets, words, begin, word, end = list[int](), list[tuple[int, int]](), list[int | None](), 0, -1, -1
        for number, part in enumerate(parts):
            if number % 2:  # a special token
                ids.append(self._control[part])
                offsets.append((begin, begin + len(part)))
                words.append(None)
                end = -1
            else:
                found = self._processor.encode(part, return_type="offset_mapping")
                own = found["ids"] if self._ids is None else [self._ids.get(p, self._unknown) for p in found["pieces"]]
                for index, (first, last) in zip(own, found["offsets"], strict=True):
                    place = without_space(text, begin + first, begin + last)
                    if end < 0 or (text[end : place[1]].strip() and text[end : place[0]].isspace()):
                        word += 1
                    ids.append(index)
                    offsets.append(place)
                    words.append(max(word, 0))
                    end = place[1]
            begin += len(part)
        return EncodedText(ids, offsets, words)

    def _as_read(self, texts: list[str]) -> list[str]:
        """The texts as the model reads them: as long as they are, with other letters at the most."""
        return texts

    def _plain(self, texts: list[str]) -> list[list[int]]:
        """Ids of texts, without a search for special tokens."""
        if self._ids is None:
            encoded: list[list[int]] = self._processor.encode(texts, out_type=int)
            return encoded
        pieces: list[list[str]] = self._processor.encode(texts, out_type=str)
        return [[self._ids.get(piece, self._unknown) for piece in row] for row in pieces]

    def _with_special(self, text: str) -> list[int]:
        """Ids of a text that contains special tokens."""
        assert self._spelled is not None
        parts = self._spelled.split(text)  # texts at even indices, special tokens at odd ones
        rows = self._plain(parts[::2])
        ids = list(rows[0])
        for token, row in zip(parts[1::2], rows[1:], strict=True):
            ids += [self._control[token], *row]
        return ids

    def decode(self, ids: list[int]) -> str:
        """The text of ids, without special tokens; ids outside the vocabulary are ignored."""
        kept = [self._piece_of[index] for index in ids if index in self._piece_of and index not in self._silent]
        return str(self._processor.decode(kept))

    def token(self, index: int) -> str:
        """The piece of an id in the model's spelling.

        Raises:
            IndexError: the id is not in [0, vocab_size).
        """
        if not 0 <= index < self.vocab_size:
            raise IndexError(f"id {index} is not in [0, {self.vocab_size})")
        return self._tokens[index]

    def word_starts(self) -> NDArray[np.bool_]:
        return roles.SENTENCEPIECE.mark(self._tokens, self._special_ids)

    def to_huggingface(self, folder: Path, use: TransformersUse) -> bool:
        """Write tokenizer.json if the Rust library gives the same ids on a varied set of test texts."""
        from tp_text.tokenizers.sentence_piece_rust import rust_form

        model = self._processor.serialized_model_proto()
        # The Rust library always recognises control pieces in texts.
        other = self._ids is not None or not self._options["special_in_text"]
        backend = None if other else rust_form(self, model, sorted(self._special_ids))
        if backend is None:
            return False
        write_backend(self, backend, folder, use)
        write_config(folder, {"tokenizer_class": "PreTrainedTokenizerFast", **config_of(self, use)})
        return True

    def save(self, folder: Path) -> dict[str, Any]:
        (folder / "tokenizer.model").write_bytes(self._processor.serialized_model_proto())
        if self._ids is None or self._options["vocab"] is None:
            return {**self._options, "model": "tokenizer.model"}
        (folder / "vocab.json").write_text(json.dumps(self._ids, ensure_ascii=False), encoding="utf-8")
        return {**self._options, "model": "tokenizer.model", "vocab": "vocab.json"}


def _fairseq(pieces: list[str], path: Path) -> list[str]:
    """The tokens in the order of fairseq, whose dictionary begins with four tokens of its own.

    Raises:
        TPError: the model does not begin with the three pieces that these replace.
    """
    if {*pieces[:3]} != {"<unk>", "<s>", "</s>"}:
        raise TPError(
            f"{path}: layout: fairseq needs a model that begins with <unk>, <s> and </s>; it has {pieces[:3]}"
        )
    return ["<s>", "<pad>", "</s>", "<unk>", *pieces[3:], "<mask>"]


def _roles(config: SentencePieceConfig, processor: Any, pieces: list[str], known: dict[str, int]) -> dict[str, int]:
    """Role → id, from the options, else from the model, else from the usual spellings."""
    own = {
        "pad": processor.pad_id(),
        "unk": processor.unk_id(),
        "bos": processor.bos_id(),
        "eos": processor.eos_id(),
    }
    found: dict[str, int] = {}
    for role in roles.ROLES:
        spelled = getattr(config, f"{role}_token")
        token = spelled if spelled is not None else roles.find_usual(role, known)
        if spelled is None and own.get(role, -1) >= 0 and pieces[own[role]] in known:
            found[role] = known[pieces[own[role]]]
        elif token is not None and token in known:
            found[role] = known[token]
    return found
