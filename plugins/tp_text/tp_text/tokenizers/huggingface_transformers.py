"""Pipelines that transformers builds from the files of a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tp_core.errors import TPError
from tp_text.tokenizers.huggingface_files import Pipeline

_ADVICE = "give a tokenizer.json, or use the tokenizer wordpiece, bpe or sentencepiece with its files"


def pipeline_of_transformers(folder: Path) -> Pipeline:
    """The pipeline of AutoTokenizer, which selects a class by the model type if no file names a tokenizer class.

    Raises:
        TPError: transformers is not installed, finds no tokenizer, or has only a slow tokenizer.
    """
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        message = f"{folder} has no tokenizer.json, and transformers, which could make one, is not installed"
        raise TPError(f"{message} (pip install transformers); {_ADVICE}") from error
    try:
        with _quiet():
            tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # missing files raise errors of many types
        reason = str(error).strip().partition("\n")[0].rstrip(" :")
        raise TPError(f"{folder}: transformers finds no tokenizer there ({reason}); {_ADVICE}") from error
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        name = type(tokenizer).__name__
        raise TPError(f"{folder} has only a slow tokenizer ({name}), without a fast one; {_ADVICE}")
    named = {
        role.removesuffix("_token"): str(token)
        for role, token in tokenizer.special_tokens_map.items()
        if not isinstance(token, (list, tuple, dict))
    }
    segments = "token_type_ids" in tokenizer.model_input_names
    return Pipeline(
        backend.to_str(), named, bool(tokenizer.clean_up_tokenization_spaces), segments=segments, complete=True
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence transformers' remarks on files that the user did not write."""
    from transformers.utils import logging as remarks

    logging: Any = remarks
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)
