"""Import of the tokenizer from a Hugging Face model folder into a tp model folder."""

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
    """Copy the tokenizer files; if transformers builds another pipeline from them, write that pipeline, too.

    Args:
        source: folder of a Hugging Face model.
        folder: folder to write to; it is created.

    Returns:
        Notes for the user.

    Raises:
        TPError: no installed package can read the files.
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
        return [*notes, f"the tokenizer is read from {file.name} only: {error}"]
    if file is None or not _same(read_pipeline(file), made):
        write_pipeline(folder, made)
    return notes


def _same(own: Pipeline, made: Pipeline) -> bool:
    """True if tp reads the same pipeline from the files as transformers builds from them."""
    if own.ends is not None:
        return False  # transformers includes these tokens in its pipeline
    left, right = json.loads(own.content), json.loads(made.content)
    for content in (left, right):
        for key in ("version", "padding", "truncation"):
            content.pop(key, None)
    facts = (dict(own.special), own.clean_up, own.segments) == (dict(made.special), made.clean_up, made.segments)
    return bool(left == right and facts)
