"""Tokenizers in Hugging Face's formats."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tp_text.tokenizers.huggingface_backend import BackendTokenizer
from tp_text.tokenizers.huggingface_files import read_pipeline, tokenizer_file
from tp_text.tokenizers.huggingface_slow import slow_tokenizer
from tp_text.tokenizers.huggingface_transformers import pipeline_of_transformers

if TYPE_CHECKING:
    from tp_core.options.context import DataContext
    from tp_text.tokenizers.huggingface_kept import KeptFiles
    from tp_text.tokenizers.huggingface_options import HuggingFaceConfig


def read_tokenizer(config: HuggingFaceConfig, data: DataContext) -> KeptFiles:
    """Read the tokenizer from a file or folder in transformers' format.

    Raises:
        TPError: the file or folder has no tokenizer, or its tokenizer.json cannot be parsed.
    """
    options, path = config.model_dump(mode="json"), Path(data.base, config.path)
    file = tokenizer_file(path)
    found: KeptFiles | None = slow_tokenizer(path) if file is None else None
    made = None
    if found is None:
        pipeline = read_pipeline(file) if file is not None else (made := pipeline_of_transformers(path))
        found = BackendTokenizer(pipeline, path, config.special_in_text)
    found.keep(path, options, made)
    return found
