"""Prepared rows are known by the contents of all that decides them, and by nothing else."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import tp_core
from tests.core import runs
from tests.core.shelf import Shelf
from tests.core.shelf import shelf as shelf
from tp_core import discovery, load_spec
from tp_core.data.build import build_processor, build_tokenizer
from tp_core.data.cache.contents import file_contents
from tp_core.data.cache.identity import code_identity
from tp_core.data.cache.prepared import prepared_rows
from tp_core.interfaces import Processor

PROCESSOR = """\
from tp_text.processors.bert_options import BertProcessorConfig

class Config(BertProcessorConfig):
    "Another's processor."
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return runs.write_project(tmp_path / "home", documents=3)


def rows(folder: Path) -> str:
    """The name of the file with the prepared rows of a folder's spec."""
    spec = load_spec(folder / "spec.yaml")
    processor = build_processor(spec, build_tokenizer(spec))
    assert processor is not None
    assert spec.data.options.train is not None
    return prepared_rows(spec, processor, spec.data.options.train).path.name


def changed(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    spec = runs.read_spec(folder)
    change(spec)
    runs.write_spec(folder, spec)


def huggingface(folder: Path) -> Path:
    """The project with its vocabulary in a folder of a Hugging Face tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {token: number for number, token in enumerate([*runs.SPECIAL, *runs.WORDS])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    (folder / "words").mkdir()
    made.save(str(folder / "words" / "tokenizer.json"))
    special = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), runs.SPECIAL))
    (folder / "words" / "tokenizer_config.json").write_text(json.dumps(special))
    changed(folder, lambda spec: spec["data"].update(tokenizer={"huggingface": {"path": "words"}}))
    return folder / "words"


def test_a_vocabulary_in_another_order_makes_other_rows(home: Path) -> None:
    before = rows(home)
    lines = (home / "vocab.txt").read_text().splitlines()
    (home / "vocab.txt").write_text("\n".join([*lines[:5], *reversed(lines[5:])]) + "\n")
    assert rows(home) != before


@pytest.mark.parametrize("file", ["tokenizer_config.json", "notes", "inner/_merges.txt"])
def test_any_file_of_a_tokenizers_folder_counts(home: Path, file: str) -> None:
    folder = huggingface(home)
    before = rows(home)
    (folder / "inner").mkdir()
    assert rows(home) == before
    written = (folder / file).read_text() if (folder / file).exists() else ""
    (folder / file).write_text(written + "\n")
    after = rows(home)
    assert after != before
    (folder / file).write_text(written + " \n")
    assert rows(home) not in (before, after)


def test_the_name_of_a_file_in_a_tokenizers_folder_counts(home: Path) -> None:
    folder = huggingface(home)
    before = rows(home)
    (folder / "tokenizer_config.json").rename(folder / "tokenizer_config.json.bak")
    assert rows(home) != before


def test_files_beside_a_tokenizer_that_is_named_as_a_file_count_under_the_same_names(home: Path) -> None:
    folder = huggingface(home)
    of_folder = rows(home)
    changed(home, lambda spec: spec["data"].update(tokenizer={"huggingface": {"path": "words/tokenizer.json"}}))
    before = rows(home)
    assert before == of_folder
    file = folder / "tokenizer_config.json"
    file.write_text(file.read_text().replace("cls_token", "bos_token"))
    assert rows(home) != before
    file.unlink()
    assert rows(home) != before


@pytest.mark.parametrize(
    "file",
    [
        "interfaces/framing.py",
        "interfaces/tokenizer.py",
        "interfaces/processor.py",
        "files/folders.py",
        "data/fields.py",
    ],
)
def test_the_code_of_the_core_that_processors_are_built_on_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    copy = tmp_path / "tp_core"
    for part in ("data", "files", "interfaces"):
        shutil.copytree(Path(tp_core.__path__[0]) / part, copy / part)
    for each in Path(tp_core.__path__[0]).glob("*.py"):
        shutil.copy(each, copy)
    core = ModuleType("tp_core")
    core.__path__ = [str(copy)]
    monkeypatch.setitem(sys.modules, "tp_core", core)
    before = code_identity([Processor])
    assert code_identity([Processor]) == before
    (copy / file).write_text((copy / file).read_text() + "# edited\n")
    assert code_identity([Processor]) != before


@pytest.mark.parametrize("file", ["model.safetensors", "README.md"])
def test_what_no_tokenizer_reads_does_not_count(home: Path, file: str) -> None:
    folder = huggingface(home)
    before = rows(home)
    (folder / file).write_bytes(b"content")
    assert rows(home) == before


def test_names_and_places_do_not_count(home: Path, tmp_path: Path) -> None:
    before = rows(home)
    there = Path(shutil.copytree(home, tmp_path / "there"))
    (there / "vocab.txt").rename(there / "words.vocabulary")
    (there / "corpus.txt").rename(there / "texts.txt")

    def renamed(spec: dict[str, Any]) -> None:
        spec["data"] |= {"tokenizer": {"space@tp-text": {"vocab": "words.vocabulary"}}, "train": "texts.txt"}

    changed(there, renamed)
    assert rows(there) == before


def test_the_version_and_the_code_of_a_package_count(home: Path, shelf: Shelf) -> None:
    module = shelf.add("acme-rows", {"processor": {"acme.rows": "acme_rows:Config"}}, PROCESSOR, version="1.0")
    changed(home, lambda spec: spec["data"].update(processor={"acme.rows": {"max_length": 32}}))
    first = rows(home)
    assert rows(home) == first
    (shelf.folder / f"{module}.py").write_text(PROCESSOR + "# edited in place\n")
    edited = rows(home)
    assert edited != first
    (shelf.folder / f"{module}.py").write_text(PROCESSOR)
    assert rows(home) == first
    shutil.rmtree(shelf.folder / f"{module}-1.0.dist-info")
    shelf.add("acme-rows", {"processor": {"acme.rows": "acme_rows:Config"}}, PROCESSOR, version="1.1")
    discovery.index.cache_clear()
    assert rows(home) not in (first, edited)


def test_another_version_of_the_tokenizers_library_makes_other_rows(home: Path, shelf: Shelf) -> None:
    before = rows(home)
    shelf.add("tokenizers", {}, version="99.0")
    assert rows(home) != before


def test_a_link_that_leads_back_is_followed_once(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a.txt").write_text("a")
    (tmp_path / "inner" / "back").symlink_to(tmp_path, target_is_directory=True)
    assert [each.inside for each in file_contents([str(tmp_path)])] == ["inner/a.txt"]
