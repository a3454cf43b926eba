"""Shared parts of all tokenizers that use the Rust library."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tp_core.errors import DataError
from tp_core.interfaces.framing import BARE, Frame, role_frame
from tp_core.interfaces.tokenizer import EncodedText, Tokenizer, TransformersUse, encode_around, without_space
from tp_text.tokenizers.files import size_of
from tp_text.tokenizers.forks import silence_fork_warning
from tp_text.tokenizers.frames import framing, framing_of_nothing
from tp_text.tokenizers.roles import WordBoundary, separators_between
from tp_text.tokenizers.spacing import without_chinese_spaces

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


#: Classes of transformers that add no special tokens to texts; the others add those of BERT or RoBERTa.
_BARE = ("GPT2Tokenizer",)


class RustTokenizer(Tokenizer):
    """A pipeline of the ``tokenizers`` library with its special tokens.

    Args:
        backend: ``tokenizers.Tokenizer``. Its special tokens are removed from decoded text.
        roles: role → special token. Tokens that the vocabulary lacks are ignored.
        boundary: marks of word boundaries in the vocabulary; None if it has none.
        special_in_text: True if the spelling of a special token in a text is encoded as that token.

    Attributes:
        huggingface_class: ``model_type`` → class of transformers that builds the same pipeline from a vocabulary.
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
        # The unknown token is shown in decoded text, unless it also has another role.
        others = {index for role, index in self.special.items() if role != "unk"}
        self._silent = {i for i in self._special_ids if i in others or i != self.special.get("unk")}
        self._special_in_text = special_in_text
        spelled = {role: self._tokens[index] for role, index in self.special.items()}
        self.pair_separators = separators_between(spelled)

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """Ids without added special tokens, one list per text; the library uses several threads.

        Raises:
            DataError: a text is not valid Unicode.
        """
        return library_ids(self._backend, self._as_read(texts))

    def encode_with_offsets(self, texts: list[str]) -> list[EncodedText]:
        """Words are those of the pipeline's pre-tokenizer, as in transformers.

        Raises:
            DataError: a text is not valid Unicode.
        """
        try:
            found = self._backend.encode_batch(self._as_read(texts), add_special_tokens=False)
        except TypeError as error:
            raise invalid_text(texts, error) from error
        return [
            EncodedText(each.ids, [without_space(text, *place) for place in each.offsets], each.word_ids)
            for text, each in zip(texts, found)
        ]

    def _as_read(self, texts: list[str]) -> list[str]:
        """The texts as the pipeline reads them: as long as they are, with other letters at the most."""
        return texts

    def encode_masked(self, texts: list[str]) -> list[list[int]]:
        mask = self.special.get("mask")
        if mask is None or self._special_in_text:
            return self.encode_batch(texts)
        added = self._backend.get_added_tokens_decoder().get(mask)
        return encode_around(self, texts, mask, strip_left=added is not None and added.lstrip)

    def decode(self, ids: list[int]) -> str:
        """The text of ids, without special tokens; ids outside the vocabulary are ignored."""
        kept = [index for index in ids if index not in self._silent]
        text = str(self._backend.decode(kept, skip_special_tokens=False))
        # WordPiece makes every Chinese character a word, and its decoder puts spaces between words.
        spaced = self._boundary is not None and bool(self._boundary.continuing)
        return without_chinese_spaces(text) if spaced else text

    def token(self, index: int) -> str:
        """The token of an id in the vocabulary's spelling; empty for an unused id.

        Raises:
            IndexError: the id is not in [0, vocab_size).
        """
        if not 0 <= index < self.vocab_size:
            raise IndexError(f"id {index} is not in [0, {self.vocab_size})")
        return self._tokens[index]

    def word_starts(self) -> NDArray[np.bool_] | None:
        return None if self._boundary is None else self._boundary.mark(self._tokens, self._special_ids)

    def to_huggingface(self, folder: Path, use: TransformersUse) -> bool:
        """Write tokenizer.json, which adds the model's special tokens to texts, and tokenizer_config.json."""
        from tokenizers import Tokenizer as Backend

        backend = Backend.from_str(self._backend.to_str())
        single, pair = write_backend(self, backend, folder, use)
        roles = tuple(role_frame(self.special, pair, self.pair_separators) or BARE[pair] for pair in (False, True))
        name = self.huggingface_class.get(use.model_type)
        # A model's own class ignores tokenizer.json's pipeline and builds one from the vocabulary and its options.
        if name is None or (single, pair) != (BARE if name in _BARE else roles):
            own: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast"}
        else:
            own = {"tokenizer_class": name, **self.huggingface_options()}
        # transformers cannot recognise only the mask in texts. A model that fills masks needs the mask, so there all
        # special tokens are recognised.
        if not self._special_in_text and not use.masks:
            own["split_special_tokens"] = True
        write_config(folder, {**own, **config_of(self, use)})
        return True

    def huggingface_options(self) -> dict[str, Any]:
        """The options that make the same pipeline with :attr:`huggingface_class`."""
        return {}


def write_backend(tokenizer: Tokenizer, backend: Any, folder: Path, use: TransformersUse) -> tuple[Frame, Frame]:
    """Write a tokenizer.json that adds special tokens; returns the frames of a text and of a pair.

    Args:
        backend: ``tokenizers.Tokenizer``; its post-processor is replaced.
    """
    roles = (role_frame(tokenizer.special, pair, tokenizer.pair_separators) for pair in (False, True))
    own = (tokenizer.frame(pair) for pair in (False, True))
    frames = use.frames or tuple(said or role or bare for said, role, bare in zip(own, roles, BARE, strict=True))
    single, pair = frames
    around = framing(tokenizer, single, pair)
    # Byte-level pipelines have a post-processor that adds no ids. It is kept if there are no special tokens to add.
    if around is not None or tokenizer.frame() is not None:
        backend.post_processor = around or framing_of_nothing()
    # Tokenizer.save() would write the same, but it hides operating system errors.
    (folder / "tokenizer.json").write_text(backend.to_str(pretty=True), encoding="utf-8", newline="\n")
    return single, pair


def config_of(tokenizer: Tokenizer, use: TransformersUse) -> dict[str, Any]:
    """The keys of a tokenizer_config.json for special tokens and model inputs."""
    special = {f"{role}_token": tokenizer.token(index) for role, index in tokenizer.special.items()}
    return {**special, **use_keys(use)}


def use_keys(use: TransformersUse) -> dict[str, Any]:
    """The keys of a tokenizer_config.json for the model's inputs and maximum length."""
    length = {} if use.max_length is None else {"model_max_length": use.max_length}
    return {"model_input_names": list(use.input_names), **length}


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Write a tokenizer_config.json."""
    text = json.dumps(config, indent=2, ensure_ascii=False)
    (folder / "tokenizer_config.json").write_text(text + "\n", encoding="utf-8")


def library_ids(backend: Any, texts: list[str]) -> list[list[int]]:
    """Encode texts with the library: see :meth:`RustTokenizer.encode_batch`."""
    encode = getattr(backend, "encode_batch_fast", backend.encode_batch)
    try:
        return [encoding.ids for encoding in encode(texts, add_special_tokens=False)]
    except TypeError as error:
        raise invalid_text(texts, error) from error


def add_special_tokens(
    backend: Any, roles: Mapping[str, str], vocabulary: Mapping[str, int], **mask_options: Any
) -> None:
    """Register the special tokens that are in the vocabulary with the library."""
    from tokenizers import AddedToken

    found = {token: mask_options if role == "mask" else {} for role, token in roles.items() if token in vocabulary}
    backend.add_special_tokens([AddedToken(t, normalized=False, special=True, **o) for t, o in found.items()])


def invalid_text(texts: list[str], error: TypeError) -> Exception:
    """The error for texts that a library refused: a :class:`DataError` if a text is not valid Unicode."""
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
