"""Tensors on the disk in one file, in several with an index, or in parts: all are read alike."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.core import runs
from tp_core import build_model, load_model, load_spec
from tp_core.artifacts import weights as weights_module
from tp_core.artifacts.export import export_model
from tp_core.artifacts.stored_tensors import forms_of, read_into, read_tensors, write_parts
from tp_core.artifacts.weights import copy_weights, save_weights
from tp_core.data.build import tokenizers_of
from tp_core.data.cache.nested_models import nested_model, weights_digest
from tp_core.errors import CheckpointError
from tp_core.files.tensor_paths import files_of, stored_at

TENSORS = {
    "matrix": torch.arange(12.0).view(3, 4),
    "half": torch.ones(5, dtype=torch.bfloat16),
    "flags": torch.tensor([True, False, True]),
    "scalar": torch.tensor(2.5),
    "count": torch.tensor(7),
    "empty": torch.zeros(0, 4),
}


def assert_same(found: dict[str, torch.Tensor]) -> None:
    assert found.keys() == TENSORS.keys()
    for name, value in TENSORS.items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value)


def test_one_file_is_what_the_library_reads(tmp_path: Path) -> None:
    save_weights(TENSORS, tmp_path / "model.safetensors")
    assert_same(load_file(tmp_path / "model.safetensors"))
    assert_same(read_tensors(stored_at(tmp_path, "model")))


def test_what_the_library_writes_is_read(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "model.safetensors")
    assert_same(read_tensors(stored_at(tmp_path, "model")))


def test_parts_are_read_whole_and_into_tensors(tmp_path: Path) -> None:
    (tmp_path / "model.parts").mkdir()
    write_parts(tmp_path / "model.parts", TENSORS)
    path = stored_at(tmp_path, "model")
    assert path.name == "model.parts"
    assert_same(read_tensors(path))
    assert {name: (form.shape, form.dtype) for name, form in forms_of(path).items()} == {
        name: (value.shape, value.dtype) for name, value in TENSORS.items()
    }
    into = {name: torch.empty_like(value) for name, value in TENSORS.items() if name != "empty"}
    read_into(path, into)
    assert all(torch.equal(into[name], TENSORS[name]) for name in into)
    copy_weights(path, tmp_path)
    assert_same(load_file(tmp_path / "model.safetensors"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project, and the export of its model in files of at most 4 kB."""
    folder = runs.write_project(tmp_path_factory.mktemp("exported"))
    spec = load_spec(folder / "spec.yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights_module, "FILE_LIMIT", 4000)
        export_model(spec, build_model(spec).weights(), tokenizers_of(spec), folder / "model")
    return folder


def test_an_export_of_several_files_is_a_model(exported: Path) -> None:
    names = sorted(path.name for path in (exported / "model").glob("model*"))
    assert len(names) > 3
    assert "model.safetensors.index.json" in names
    assert max(path.stat().st_size for path in (exported / "model").glob("*.safetensors")) < 8000
    expected = build_model(load_spec(exported / "spec.yaml")).weights()
    runs.assert_same_weights(load_model(exported / "model").model.weights(), expected)


def test_an_export_of_several_files_starts_a_run_and_goes_to_hugging_face(exported: Path) -> None:
    said = runs.train(exported, "--run", "begun", "init_from=model", "train.steps=1")
    assert "loaded 38 weights from" in said
    runs.run_tp(exported, "convert", "--from", "tp", "model", "--to", "huggingface", "theirs")
    assert (exported / "theirs" / "model.safetensors").is_file()


def test_the_digest_of_several_files_is_that_of_their_contents(exported: Path, tmp_path: Path) -> None:
    model = nested_model(str(exported / "model"))
    before = weights_digest(model)
    copy_weights(model.weights, tmp_path)
    assert weights_digest(model._replace(weights=stored_at(tmp_path, "model"))) == before
    file = files_of(stored_at(tmp_path, "model"))[0]
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert weights_digest(model._replace(weights=stored_at(tmp_path, "model"))) != before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "this is no index of safetensors files"),
        ('{"weight_map": []}', "this is no index of safetensors files"),
        (json.dumps({"weight_map": {"a": "../other.safetensors"}}), "expected names of files beside the index"),
        (json.dumps({"weight_map": {"a": "gone.safetensors"}}), "there is no such file"),
    ],
)
def test_a_damaged_index_is_reported(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises(CheckpointError, match=message):
        read_tensors(stored_at(tmp_path, "model"))
