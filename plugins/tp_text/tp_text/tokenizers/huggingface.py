"""Tokenizers in Hugging Face's formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tp_core.errors import TPError
from tp_text.tokenizers import roles
from tp_text.tokenizers.huggingface_files import (
    boundary,
    named_roles,
    read_tokenizer_json,
    template_roles,
    tokenizer_file,
)
from tp_text.tokenizers.rust import RustTokenizer

if TYPE_CHECKING:
    from tp_text.tokenizers.config import HuggingFaceConfig


class HuggingFaceTokenizer(RustTokenizer):
    """The pipeline of a ``tokenizer.json``, whatever it is; nothing is padded, cut off or added.

    Raises:
        TPError: a file or folder that holds no tokenizer, or a tokenizer.json that does not parse.
    """

    def __init__(self, config: HuggingFaceConfig, path: Path) -> None:
        file = tokenizer_file(path)
        if file is None:
            backend, named = _from_transformers(path)
        else:
            backend, named = _from_file(file), named_roles(file.parent)
        backend.no_padding()
        backend.no_truncation()
        if backend.get_vocab_size(with_added_tokens=True) == 0:
            raise TPError(f"{path}: the vocabulary is empty")
        content = json.loads(backend.to_str())
        known = backend.get_vocab(with_added_tokens=True)
        found = {role: roles.find_usual(role, known) for role in roles.ROLES}
        found |= template_roles(content) | named
        self._roles = {role: token for role, token in found.items() if token is not None and token in known}
        super().__init__(backend, self._roles, boundary(content), config.special_in_text)
        self._options = config.model_dump(mode="json")

    def save(self, folder: Path) -> dict[str, Any]:
        self._backend.save(str(folder / "tokenizer.json"))
        named = {f"{role}_token": token for role, token in self._roles.items()}
        text = json.dumps(named, ensure_ascii=False, indent=2)
        (folder / "special_tokens_map.json").write_text(text + "\n", encoding="utf-8")
        return {**self._options, "path": "tokenizer.json"}


def _from_file(file: Path) -> Any:
    from tokenizers import Tokenizer

    read_tokenizer_json(file)
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises plain exceptions
        raise TPError(f"{file} is no tokenizer.json that tokenizers can read: {error}") from error


def _from_transformers(folder: Path) -> tuple[Any, dict[str, str]]:
    advice = "give a tokenizer.json, or use the tokenizer wordpiece, bpe or sentencepiece with its files"
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        message = f"{folder} has no tokenizer.json, and transformers, which could make one, is not installed"
        raise TPError(f"{message}; {advice}") from error
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # of many types, for all the ways in which files can be missing
        reason = str(error).strip().partition("\n")[0].rstrip(" :")
        raise TPError(
            f"{folder} has no tokenizer.json, and transformers finds no tokenizer there ({reason}); {advice}"
        ) from error
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        name = type(tokenizer).__name__
        raise TPError(f"{folder} has only a slow tokenizer ({name}), without a fast one; {advice}")
    named = {role: getattr(tokenizer, f"{role}_token", None) for role in roles.ROLES}
    return backend, {role: str(token) for role, token in named.items() if token is not None}
