"""Reading Hugging Face's tokenizer files, without a tokenizer library and without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tp_core.errors import TPError
from tp_text.tokenizers import roles
from tp_text.tokenizers.files import parse_json, read_text

_CONFIGS = ("tokenizer_config.json", "special_tokens_map.json")


def tokenizer_file(path: Path) -> Path | None:
    """The ``tokenizer.json`` that ``path`` means; None for a folder without one."""
    if not path.is_dir():
        return path
    file = path / "tokenizer.json"
    return file if file.is_file() else None


def count_ids(file: Path) -> int:
    """The largest id of a ``tokenizer.json`` plus one, without building it.

    Raises:
        DataError: the file cannot be read or is no tokenizer.json.
    """
    content = read_tokenizer_json(file)
    vocabulary = content["model"].get("vocab", {})
    try:
        ids = range(len(vocabulary)) if isinstance(vocabulary, list) else vocabulary.values()
        added = [token["id"] for token in content.get("added_tokens") or ()]
        size = int(max([*ids, *added], default=-1)) + 1
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise TPError(f"{file} is no tokenizer.json: its vocabulary is not one of tokens and ids") from error
    if size == 0:
        raise TPError(f"{file}: the vocabulary is empty")
    return size


def read_tokenizer_json(file: Path) -> dict[str, Any]:
    content = parse_json(file, read_text(file))
    if not isinstance(content, dict) or not isinstance(content.get("model"), dict):
        raise TPError(f"{file} is no tokenizer.json: it has no 'model'")
    return content


def named_roles(folder: Path) -> dict[str, str]:
    """Role → token as the configuration files beside a tokenizer.json say."""
    found: dict[str, str] = {}
    for name in reversed(_CONFIGS):
        file = folder / name
        if not file.is_file():
            continue
        content = parse_json(file, read_text(file))
        if not isinstance(content, dict):
            raise TPError(f"{file}: expected a JSON object")
        for role in roles.ROLES:
            token = content.get(f"{role}_token")
            if isinstance(token, dict):
                token = token.get("content")
            if isinstance(token, str):
                found[role] = token
    return found


def template_roles(content: dict[str, Any]) -> dict[str, str]:
    """``cls`` and ``sep`` of BERT's and RoBERTa's post-processors, ``unk`` of the model."""
    found: dict[str, str] = {}
    processor = content.get("post_processor") or {}
    if processor.get("type") in ("BertProcessing", "RobertaProcessing"):
        found |= {role: processor[role][0] for role in ("cls", "sep")}
    unknown = content["model"].get("unk_token")
    return found | ({"unk": unknown} if isinstance(unknown, str) else {})


def boundary(content: dict[str, Any]) -> roles.WordBoundary | None:
    """How the pipeline marks words; None when it is none of the usual ones."""
    model = content["model"]
    if model.get("type") == "WordPiece":
        return roles.WordBoundary(continuing=model.get("continuing_subword_prefix") or "##")
    steps = content.get("pre_tokenizer") or {}
    types = {step.get("type") for step in steps.get("pretokenizers", [steps])}
    if "ByteLevel" in types:
        return roles.BYTE_LEVEL
    if "Metaspace" in types or model.get("type") == "Unigram":
        return roles.SENTENCEPIECE
    if model.get("type") == "WordLevel" and types & {"Whitespace", "WhitespaceSplit"}:
        return roles.WORDS
    return None
