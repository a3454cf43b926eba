"""The parts that all tokenizers on the Rust library share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tp_core.errors import DataError
from tp_core.interfaces.framing import BARE, Frame, role_frame
from tp_core.interfaces.tokenizer import Tokenizer, TransformersUse, encode_around
from tp_text.tokenizers.files import size_of
from tp_text.tokenizers.forks import silence_fork_warning
from tp_text.tokenizers.frames import framing, framing_of_nothing
from tp_text.tokenizers.roles import WordBoundary, separators_between
from tp_text.tokenizers.spacing import without_chinese_spaces

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


#: Classes of transformers that put no special tokens around texts; the others put those of BERT or RoBERTa.
_BARE = ("GPT2Tokenizer",)


class RustTokenizer(Tokenizer):
    """A pipeline of the ``tokenizers`` library with its special tokens.

    Args:
        backend: ``tokenizers.Tokenizer``; all that it knows as special is left out of decoded text.
        roles: role → special token; those that the vocabulary lacks are left out.
        boundary: how the vocabulary marks words; None when it does not.
        special_in_text: whether a special token that is spelled out in a text becomes that token.

    Attributes:
        huggingface_class: the class in transformers that makes the same pipeline of a vocabulary, by ``model_type``.
    """

    huggingface_class: Mapping[str, str] = {}

    def __init__(
        self, backend: Any, roles: Mapping[str, str], boundary: WordBoundary | None, special_in_text: bool
    ) -> None:
        silence_fork_warning()
        backend.encode_special_tokens = not special_in_text
        self._backend = backend
        self._boundary = boundary
        vocabulary: dict[str, int] = backend.get_vocab(with_added_tokens=True)
        self.vocab_size = size_of(vocabulary.values())
        self._tokens = [""] * self.vocab_size
        for token, index in vocabulary.items():
            self._tokens[index] = token
        self.special = {role: vocabulary[token] for role, token in roles.items() if token in vocabulary}
        added: dict[int, Any] = backend.get_added_tokens_decoder()
        self._special_ids = {*self.special.values(), *(i for i, token in added.items() if token.special)}
        # An unknown word is shown as such in decoded text, unless its token has another meaning as well.
        others = {index for role, index in self.special.items() if role != "unk"}
        self._silent = {i for i in self._special_ids if i in others or i != self.special.get("unk")}
        self._special_in_text = special_in_text
        spelled = {role: self._tokens[index] for role, index in self.special.items()}
        self.pair_separators = separators_between(spelled)

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """Ids without any added special tokens, one list per text; threads of the library share the work.

        Raises:
            DataError: a text that is not valid Unicode.
        """
        return library_ids(self._backend, texts)

    def encode_masked(self, texts: list[str]) -> list[list[int]]:
        mask = self.special.get("mask")
        if mask is None or self._special_in_text:
            return self.encode_batch(texts)
        added = self._backend.get_added_tokens_decoder().get(mask)
        return encode_around(self, texts, mask, strip_left=added is not None and added.lstrip)

    def decode(self, ids: list[int]) -> str:
        """The text of ids, without special tokens; ids beyond the vocabulary stand for nothing."""
        kept = [index for index in ids if index not in self._silent]
        text = str(self._backend.decode(kept, skip_special_tokens=False))
        # WordPiece makes every Chinese character a word, and its decoder puts a space between any two words.
        spaced = self._boundary is not None and bool(self._boundary.continuing)
        return without_chinese_spaces(text) if spaced else text

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

    def to_huggingface(self, folder: Path, use: TransformersUse) -> bool:
        """Write tokenizer.json, which puts the model's special tokens around texts, and its config."""
        from tokenizers import Tokenizer as Backend

        backend = Backend.from_str(self._backend.to_str())
        single, pair = write_backend(self, backend, folder, use)
        roles = tuple(role_frame(self.special, pair, self.pair_separators) or BARE[pair] for pair in (False, True))
        name = self.huggingface_class.get(use.model_type)
        # A class of its own makes its pipeline anew, from the vocabulary and its options.
        if name is None or (single, pair) != (BARE if name in _BARE else roles):
            own: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast"}
        else:
            own = {"tokenizer_class": name, **self.huggingface_options()}
        # transformers has no form in which the mask alone is found in texts; a model that fills masks needs that more.
        if not self._special_in_text and not use.masks:
            own["split_special_tokens"] = True
        write_config(folder, {**own, **config_of(self, use)})
        return True

    def huggingface_options(self) -> dict[str, Any]:
        """The options that make the same pipeline with :attr:`huggingface_class`."""
        return {}


def write_backend(tokenizer: Tokenizer, backend: Any, folder: Path, use: TransformersUse) -> tuple[Frame, Frame]:
    """Write a tokenizer.json with the special tokens around texts; gives back those of a text and of a pair.

    Args:
        backend: ``tokenizers.Tokenizer``; its post-processor is replaced.
    """
    roles = (role_frame(tokenizer.special, pair, tokenizer.pair_separators) for pair in (False, True))
    own = (tokenizer.frame(pair) for pair in (False, True))
    frames = use.frames or tuple(said or role or bare for said, role, bare in zip(own, roles, BARE, strict=True))
    single, pair = frames
    around = framing(tokenizer, single, pair)
    # Byte-level pipelines have a post-processor that adds nothing to the ids; they keep it where nothing is added.
    if around is not None or tokenizer.frame() is not None:
        backend.post_processor = around or framing_of_nothing()
    # As its save() does, which hides an error of the system in one of its own.
    (folder / "tokenizer.json").write_text(backend.to_str(pretty=True), encoding="utf-8", newline="\n")
    return single, pair


def config_of(tokenizer: Tokenizer, use: TransformersUse) -> dict[str, Any]:
    """The special tokens of a tokenizer_config.json, and what it says of the model."""
    special = {f"{role}_token": tokenizer.token(index) for role, index in tokenizer.special.items()}
    return {**special, **use_keys(use)}


def use_keys(use: TransformersUse) -> dict[str, Any]:
    """The keys of a tokenizer_config.json that say what the model reads, and how much of it."""
    length = {} if use.max_length is None else {"model_max_length": use.max_length}
    return {"model_input_names": list(use.input_names), **length}


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Write a tokenizer_config.json."""
    text = json.dumps(config, indent=2, ensure_ascii=False)
    (folder / "tokenizer_config.json").write_text(text + "\n", encoding="utf-8")


def library_ids(backend: Any, texts: list[str]) -> list[list[int]]:
    """The ids that the library makes of texts: see :meth:`RustTokenizer.encode_batch`."""
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
