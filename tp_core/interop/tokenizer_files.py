"""The names that the files of tokenizers have in the folders of transformers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from tp_core.files.bounded_reads import read_json

#: Files of which one is enough to make a tokenizer.
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

#: Files that only belong to one of those.
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
    """Tell if there are files of a tokenizer in a folder."""
    return any((folder / name).is_file() for name in VOCABULARIES)


def tokenizer_files(folder: Path) -> Iterator[Path]:
    """The files, and folders of templates, that belong to a folder's tokenizer."""
    yield from (path for name in (*VOCABULARIES, *BESIDE) if (path := folder / name).exists())


def copy_files(source: Path, folder: Path) -> list[str]:
    """Copy the files of a folder's tokenizer; gives back their names."""
    folder.mkdir(exist_ok=True)
    found = list(tokenizer_files(source))
    for path in found:
        if path.is_dir():
            shutil.copytree(path, folder / path.name, dirs_exist_ok=True)
        else:
            shutil.copyfile(path, folder / path.name)
    return [path.name for path in found]


def model_max_length(folder: Path) -> int | None:
    """The longest sequence that a tokenizer_config.json names; None where it names none, or one without end."""
    try:
        content = read_json(folder / "tokenizer_config.json")
        length = content.get("model_max_length")
    except (OSError, ValueError, AttributeError):
        return None
    # transformers writes 1e30 for "no limit".
    return length if isinstance(length, int) and not isinstance(length, bool) and 3 < length < 10**9 else None
