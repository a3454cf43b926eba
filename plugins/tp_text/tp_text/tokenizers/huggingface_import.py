"""The tokenizer of a Hugging Face model's folder, brought into a model's folder of ours."""

from __future__ import annotations

import json
from pathlib import Path

from tp_core.errors import TPError
from tp_core.interop.tokenizer_files import copy_files
from tp_text.tokenizers.huggingface_files import (
    Pipeline,
    model_type_of,
    own_config,
    read_pipeline,
    tokenizer_file,
    write_facts,
    write_pipeline,
)
from tp_text.tokenizers.huggingface_keys import remarks
from tp_text.tokenizers.huggingface_slow import slow_tokenizer
from tp_text.tokenizers.huggingface_transformers import pipeline_of_transformers


def import_tokenizer(source: Path, folder: Path) -> list[str]:
    """Copy the files, and write down what transformers makes of them where they do not say it themselves.

    Args:
        folder: it is made.

    Returns:
        Notes for the user.

    Raises:
        TPError: files that no installed package can read.
    """
    copy_files(source, folder)
    kind = model_type_of(source)
    write_facts(folder, kind, complete=True)
    file, notes = tokenizer_file(source), list(remarks(own_config(source)))
    if file is None and slow_tokenizer(source) is not None:
        return notes
    try:
        made = pipeline_of_transformers(source)._replace(model_type=kind)
    except TPError as error:
        if file is None:
            raise
        return [*notes, f"the tokenizer is read from {file.name} alone: {error}"]
    if file is None or not _same(read_pipeline(file), made):
        write_pipeline(folder, made)
    return notes


def _same(own: Pipeline, made: Pipeline) -> bool:
    """Tell if files say by themselves what transformers makes of them."""
    if own.ends is not None:
        return False  # transformers has put them into the pipeline
    left, right = json.loads(own.content), json.loads(made.content)
    for content in (left, right):
        for key in ("version", "padding", "truncation"):
            content.pop(key, None)
    facts = (dict(own.special), own.clean_up, own.segments) == (dict(made.special), made.clean_up, made.segments)
    return bool(left == right and facts)
