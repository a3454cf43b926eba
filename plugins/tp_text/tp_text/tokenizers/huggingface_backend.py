"""Tokenizer for Hugging Face pipelines that behaves as in transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tp_core.errors import TPError
from tp_core.interfaces.framing import BARE, Frame
from tp_core.packages.third_party import interrupts
from tp_text.tokenizers import roles
from tp_text.tokenizers.frames import DocumentEnds, backend_frame
from tp_text.tokenizers.huggingface_files import Pipeline, boundary, template_roles
from tp_text.tokenizers.huggingface_kept import KeptFiles
from tp_text.tokenizers.rust import RustTokenizer, add_special_tokens
from tp_text.tokenizers.spacing import cleaned_up


class BackendTokenizer(KeptFiles, DocumentEnds, RustTokenizer):
    """Any pipeline of a ``tokenizer.json``; its padding and truncation are switched off.

    Args:
        path: path of the pipeline, for messages.

    Raises:
        TPError: the library cannot read the pipeline, or the vocabulary is empty.
    """

    def __init__(self, pipeline: Pipeline, path: Path, special_in_text: bool) -> None:
        from tokenizers import Tokenizer

        try:
            backend: Any = Tokenizer.from_str(pipeline.content)
        except BaseException as error:  # the library raises plain exceptions; its panics derive from BaseException
            if interrupts(error):
                raise
            raise TPError(f"{path} is not a tokenizer.json that the tokenizers library can read: {error}") from error
        backend.no_padding()
        backend.no_truncation()
        if backend.get_vocab_size(with_added_tokens=True) == 0:
            raise TPError(f"{path}: the vocabulary is empty")
        content = json.loads(pipeline.content)
        known = backend.get_vocab(with_added_tokens=True)
        found = {role: roles.find_usual(role, known) for role in roles.ROLES}
        found |= template_roles(content) | dict(pipeline.special)
        named = {role: token for role, token in found.items() if token is not None and token in known}
        if not pipeline.complete:  # transformers also adds the special tokens that it knows
            missing = {
                role: token for role, token in named.items() if known[token] not in backend.get_added_tokens_decoder()
            }
            add_special_tokens(backend, missing, known)
        super().__init__(backend, named, boundary(content), special_in_text)
        if pipeline.ends is not None:
            bos, eos = pipeline.ends
            self.add_ends(bos and "bos" in self.special, eos and "eos" in self.special, path)
        else:
            self._frames = tuple(_frame(backend, pipeline, pair) for pair in (False, True))
        # As in transformers: the cleaning was meant for WordPiece and would change the text of BPE tokens.
        self._clean_up = pipeline.clean_up and content["model"].get("type") != "BPE"

    _frames: tuple[Frame | None, ...] = (None, None)

    def frame(self, pair: bool = False) -> Frame | None:
        return self._frames[pair] or super().frame(pair)

    def decode(self, ids: list[int]) -> str:
        text = super().decode(ids)
        return cleaned_up(text) if self._clean_up else text


def _frame(backend: Any, pipeline: Pipeline, pair: bool) -> Frame | None:
    found = backend_frame(backend, pair) or (BARE[pair] if pipeline.complete else None)
    return found if found is None or pipeline.segments else found.without_segments()
