"""The files of a pre-training, as ``data.train`` of a spec."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple


class Corpus(NamedTuple):
    """A corpus.

    Attributes:
        source: its source, as in a spec.
        columns: field of the processor → column of the file, where they differ.
    """

    source: Any
    columns: dict[str, str]


#: Data processors whose corpora are rows → the fields of the columns. Some of the original's loaders skip a header.
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "cls": ("label", "text_a", "text_b"),
    "cls_mlm": ("label", "text_a", "text_b"),
    "mt": ("source", "target"),
    "prefixlm": ("source", "target"),
    "vit": ("label", "image"),
    "vilt": ("text", "image"),
    "clip": ("text", "image"),
    "dalle": ("text", "image"),
    "s2t": ("text", "audio"),
    "beit": ("image",),
}

#: Names of columns by which a header is recognised.
_HEADERS = frozenset(
    {"label", "text", "text_a", "text_b", "source", "target", "image", "audio", "path", "image_path", "wav_path"}
)


def corpus(path: str, processor: str, json_lines: bool) -> Corpus:
    """A corpus as the original reads it.

    Args:
        path: the file.
        processor: the original's name of the data processor.
        json_lines: True for JSON lines (--json_format_corpus).
    """
    if json_lines or processor in ("llm_pretrain", "llm_sft"):
        return Corpus({"jsonl": {"path": path}}, {})
    fields = _COLUMNS.get(processor)
    if fields is None:
        return Corpus(plain_text(path), {})
    first = _first_line(Path(path)).split("\t")
    if first[0] in _HEADERS and set(first) <= _HEADERS:
        names = {field: name for field, name in zip(fields, first) if field != name}
        return Corpus(table(path), names)
    optional = "text_b" in fields
    count = len(fields) - (1 if optional and len(first) < len(fields) else 0)
    return Corpus({"tsv": {"path": path, "names": [*fields[:count]]}}, {})


def plain_text(path: str) -> Any:
    """The source of a file with a text in each line, whatever its ending."""
    return path if Path(path).suffix in ("", ".txt") else {"text": {"path": path}}


def table(path: str) -> Any:
    """The source of a table with tabs between its columns, whatever its ending."""
    return path if path.endswith(".tsv") else {"tsv": {"path": path}}


def _first_line(path: Path) -> str:
    """The first line of a file; empty if it cannot be read."""
    try:
        with path.open(encoding="utf-8") as file:
            return file.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        return ""
