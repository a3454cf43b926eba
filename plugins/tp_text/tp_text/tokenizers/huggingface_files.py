"""Readers and writers of Hugging Face's tokenizer files. Need neither a tokenizer library nor torch."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tp_core.errors import TPError
from tp_core.options.marks import NamedFile
from tp_text.tokenizers import roles
from tp_text.tokenizers.files import parse_json, read_text

#: Additional files in tp's model folders. The first holds the pipeline that transformers builds from the other files;
#: it is only written if these do not hold the same pipeline. The second holds further facts of the tokenizer.
PIPELINE, _FACTS = "pipeline.json", "pipeline_facts.json"

_CONFIG, _MAP = "tokenizer_config.json", "special_tokens_map.json"


class Pipeline(NamedTuple):
    """A tokenizer of the Rust library with additional settings of transformers.

    Attributes:
        content: content of a ``tokenizer.json``.
        special: role → token.
        clean_up: True if spaces before punctuation are removed from decoded text (``clean_up_tokenization_spaces``).
        model_type: type of the model that the tokenizer was made for; empty if unknown.
        segments: True if the model reads the segments of a pair (``token_type_ids``).
        complete: True if the pipeline adds all special tokens that texts need. A file that was not made for a model may
            leave that to the user.
        ends: two flags, True if texts begin with the bos token and end with the eos token. They come from a
            configuration file and replace the pipeline's own special tokens. None if no file has them.
    """

    content: str
    special: Mapping[str, str] = {}
    clean_up: bool = False
    model_type: str = ""
    segments: bool = True
    complete: bool = False
    ends: tuple[bool, bool] | None = None


def tokenizer_file(path: Path) -> Path | None:
    """Path of the pipeline file: ``path`` itself, or a file in the folder ``path``; None if the folder has none."""
    if not path.is_dir():
        return path
    return next((file for name in (PIPELINE, "tokenizer.json") if (file := path / name).is_file()), None)


def read_pipeline(file: Path) -> Pipeline:
    """Read a pipeline and the configuration files in its folder.

    Raises:
        TPError: a file cannot be read, or has another format.
    """
    text = read_text(file)
    _checked(file, parse_json(file, text))
    if file.name == PIPELINE:
        facts = _object(file.with_name(_FACTS))
        known = ("special", "clean_up", "model_type", "segments")
        return Pipeline(text, **{name: facts[name] for name in known if name in facts}, complete=True)
    config = _object(file.with_name(_CONFIG))
    special = named_roles(file.parent)
    keys = ("add_bos_token", "add_eos_token")
    ends = (bool(config.get(keys[0])), bool(config.get(keys[1]))) if any(key in config for key in keys) else None
    names = config.get("model_input_names")
    segments = not isinstance(names, list) or "token_type_ids" in names
    return Pipeline(
        text,
        special,
        bool(config.get("clean_up_tokenization_spaces")),
        segments=segments,
        complete=bool(_object(file.with_name(_FACTS)).get("complete")),
        ends=ends,
    )


def files_read(file: Path) -> list[NamedFile]:
    """The files that determine the ids of a tokenizer: its pipeline file and configuration files in the same folder."""
    own = file.name == PIPELINE
    files = {name: file.with_name(name) for name in ((_FACTS,) if own else (_FACTS, _CONFIG, _MAP))}
    found = {name: path for name, path in files.items() if path.is_file()}
    return [NamedFile(str(path), name) for name, path in {PIPELINE if own else "tokenizer.json": file, **found}.items()]


def write_pipeline(folder: Path, pipeline: Pipeline) -> None:
    """Write the files that :func:`read_pipeline` reads."""
    (folder / PIPELINE).write_text(pipeline.content, encoding="utf-8")
    facts = {
        "special": dict(pipeline.special),
        "clean_up": pipeline.clean_up,
        "model_type": pipeline.model_type,
        "segments": pipeline.segments,
    }
    (folder / _FACTS).write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _checked(file: Path, content: Any) -> dict[str, Any]:
    if not isinstance(content, dict) or not isinstance(content.get("model"), dict):
        raise TPError(f"{file} is not a tokenizer.json: it has no 'model'")
    return content


def model_type_of(folder: Path) -> str:
    """Type of the model that the tokenizer of a folder was made for; empty if no file names it."""
    content = _object(folder / _FACTS) or _object(folder / "config.json")
    return str(content.get("model_type") or "")


def write_facts(folder: Path, model_type: str, complete: bool) -> None:
    """Write the type of the model that a tokenizer was made for, for a folder without the model's config.json.

    Args:
        complete: as in :class:`Pipeline`.
    """
    content = {"model_type": model_type, "complete": complete}
    (folder / _FACTS).write_text(json.dumps(content) + "\n", encoding="utf-8")


def copy_own(source: Path, folder: Path) -> bool:
    """Copy tp's additional files of a tokenizer; returns True if there were any."""
    own = [name for name in (PIPELINE, _FACTS) if (source / name).is_file()]
    for name in own:
        shutil.copyfile(source / name, folder / name)
    return bool(own)


def own_config(folder: Path) -> dict[str, Any]:
    """The tokenizer_config.json of a folder; empty if there is none."""
    return _object(folder / _CONFIG)


def _object(file: Path) -> dict[str, Any]:
    """The JSON object in a file; empty if the file does not exist."""
    if not file.is_file():
        return {}
    content = parse_json(file, read_text(file))
    if not isinstance(content, dict):
        raise TPError(f"{file}: expected a JSON object")
    return content


def named_roles(folder: Path) -> dict[str, str]:
    """Role → token, from the configuration files of a folder."""
    return _named(_object(folder / _MAP)) | _named(own_config(folder))


def _named(content: Mapping[str, Any]) -> dict[str, str]:
    """Role → token, from the content of a configuration file."""
    found: dict[str, str] = {}
    for role in roles.ROLES:
        token = content.get(f"{role}_token")
        if isinstance(token, dict):
            token = token.get("content")
        if isinstance(token, str):
            found[role] = token
    return found


def template_roles(content: dict[str, Any]) -> dict[str, str]:
    """Role → token, from a tokenizer.json: ``cls`` and ``sep`` of BERT's and RoBERTa's post-processors, and ``unk``."""
    found: dict[str, str] = {}
    processor = content.get("post_processor") or {}
    if processor.get("type") in ("BertProcessing", "RobertaProcessing"):
        found |= {role: processor[role][0] for role in ("cls", "sep")}
    unknown = content["model"].get("unk_token")
    return found | ({"unk": unknown} if isinstance(unknown, str) else {})


def boundary(content: dict[str, Any]) -> roles.WordBoundary | None:
    """The marking of word starts in the pipeline's vocabulary; None if unknown."""
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
