"""The names of tokenizer files in transformers folders."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from tp_core.files.bounded_reads import read_json

#: Files with a vocabulary; one of them is enough to make a tokenizer.
VOCABULARIES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "sentencepiece.model",
    "spm.model",
    "tokenizer.model",
    "tiktoken.model",
    "tekken.json",
)

#: Files that accompany a vocabulary.
BESIDE = (
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
    "normalizer.json",
    "chat_template.jinja",
    "chat_template.json",
    "additional_chat_templates",
)


def has_tokenizer(folder: Path) -> bool:
    """True if a folder contains a tokenizer's vocabulary."""
    return any((folder / name).is_file() for name in VOCABULARIES)


def tokenizer_files(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder's tokenizer, and its folders of chat templates."""
    yield from (path for name in (*VOCABULARIES, *BESIDE) if (path := folder / name).exists())


def copy_files(source: Path, folder: Path) -> list[str]:
    """Copy the files of a folder's tokenizer and return their names."""
    folder.mkdir(exist_ok=True)
    found = list(tokenizer_files(source))
    for path in found:
        if path.is_dir():
            shutil.copytree(path, folder / path.name, dirs_exist_ok=True)
        else:
            shutil.copyfile(path, folder / path.name)
    return [path.name for path in found]


def model_max_length(folder: Path) -> int | None:
    """``model_max_length`` of a tokenizer_config.json; None if it is missing or means "no limit"."""
    try:
        content = read_json(folder / "tokenizer_config.json")
        length = content.get("model_max_length")
    except (OSError, ValueError, AttributeError):
        return None
    # transformers writes 1e30 for "no limit".
    return length if isinstance(length, int) and not isinstance(length, bool) and 3 < length < 10**9 else None
