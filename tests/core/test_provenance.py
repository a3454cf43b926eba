"""A model says which packages it needs, and needs none that only its training needed."""

from __future__ import annotations

import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import tp_core
from tests.core.runs import read_spec, write_project, write_spec
from tests.core.shelf import HOOKS, Shelf
from tests.core.shelf import shelf as shelf
from tp_core import discovery, load_model, load_spec, train
from tp_core.cli.main import cli
from tp_core.packages.installed import installed_version


def tp(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), prog_name="tp")


def gone(shelf: Shelf, name: str) -> None:
    """Uninstall a distribution."""
    module = name.replace("-", "_")
    for path in shelf.folder.glob(f"{module}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    sys.modules.pop(module, None)
    discovery.index.cache_clear()


def trained(shelf: Shelf, folder: Path, **also: Any) -> Path:
    """A model with an encoder of a third party and a hook of another; gives back its folder."""
    shelf.encoder("acme-one", version="2.1")
    shelf.add("acme-hooks", {"hooks": {"acme.listen": "acme_hooks:Config"}}, HOOKS)
    project = write_project(folder / "project", documents=8, steps=1, hooks=["acme.listen"])
    spec = read_spec(project)
    spec["model"]["encoder"] = "acme.gates"
    write_spec(project, spec)
    made = train(load_spec(project / "spec.yaml"), folder / "run").model
    assert made is not None
    return made


def test_an_export_lists_the_packages_that_using_it_needs(shelf: Shelf, tmp_path: Path) -> None:
    model = trained(shelf, tmp_path)
    versions = {name: installed_version(name) for name in ("tp-core", "tp-text")}
    assert (model / "requirements.txt").read_text().split() == [
        *(f"{name}=={version}" for name, version in versions.items()),
        "acme-one==2.1",
    ]


def test_an_export_does_without_the_package_of_a_hook(shelf: Shelf, tmp_path: Path) -> None:
    model = trained(shelf, tmp_path)
    gone(shelf, "acme-hooks")
    load_model(model)
    result = tp("evaluate", str(model), "--data", str(tmp_path / "project" / "held_out.txt"))
    assert result.exit_code == 0, result.output
    assert "acme.listen" in (model / "training.yaml").read_text()  # how it was trained can still be read


def test_a_missing_package_is_named_with_its_version(shelf: Shelf, tmp_path: Path) -> None:
    model = trained(shelf, tmp_path)
    gone(shelf, "acme-one")
    result = tp("evaluate", str(model), "--data", str(tmp_path / "project" / "held_out.txt"))
    assert result.exit_code == 2
    message = "unknown encoder 'acme.gates'; the model was made with that of acme-one 2.1: pip install 'acme-one==2.1'"
    assert message in result.output
    assert "Traceback" not in result.output


def test_a_version_without_the_module_is_named_beside_the_one_with_it(shelf: Shelf, tmp_path: Path) -> None:
    model = trained(shelf, tmp_path)
    gone(shelf, "acme-one")
    shelf.encoder("acme-one", offers="acme.blender", version="3.0")
    result = tp("evaluate", str(model), "--data", str(tmp_path / "project" / "held_out.txt"))
    assert result.exit_code == 2
    assert "made with that of acme-one 2.1, and 3.0 is installed: pip install 'acme-one==2.1'" in result.output


@pytest.mark.parametrize(("installed", "warned"), [("2.1", False), ("2.9", False), ("3.0", True), ("1.9", True)])
def test_another_major_version_is_told(shelf: Shelf, tmp_path: Path, installed: str, warned: bool) -> None:
    model = trained(shelf, tmp_path)
    gone(shelf, "acme-one")
    shelf.encoder("acme-one", version=installed)
    said: list[str] = []
    load_model(model, say=said.append)
    told = f"made with acme-one 2.1, and {installed} is installed"
    assert any(told in line for line in said) == warned
    assert (told in tp("show", str(model)).output) == warned
    with warnings.catch_warnings(record=True) as caught:
        list(tp_core.predict(model, ["ba be"]))
    assert any(told in str(each.message) for each in caught) == warned


def test_an_export_does_without_its_teacher(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", documents=8, steps=1)
    teacher = train(load_spec(project / "spec.yaml"), tmp_path / "teacher").model
    spec = read_spec(project)
    spec["model"]["target"] = ["mlm", "sp", {"distill": {"teacher": str(teacher), "of": "mlm"}}]
    write_spec(project, spec)
    student = train(load_spec(project / "spec.yaml"), tmp_path / "student").model
    assert student is not None
    shutil.rmtree(tmp_path / "teacher")
    assert "teacher" not in (student / "spec.yaml").read_text()
    assert [target.instance_name for target in load_model(student).spec.model.targets] == ["mlm", "sp"]
    result = tp("evaluate", str(student), "--data", str(project / "held_out.txt"))
    assert result.exit_code == 0, result.output


def test_an_export_does_without_a_teacher_that_a_data_set_of_its_own_fed(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", documents=8, steps=1)
    teacher = train(load_spec(project / "spec.yaml"), tmp_path / "teacher").model
    spec = read_spec(project)
    spec["model"]["target"] = ["mlm", "sp", {"distill": {"teacher": str(teacher), "of": "mlm"}}]
    train_on = spec["data"].pop("train")
    bert = {"processor": spec["data"].pop("processor"), "train": train_on}
    masked = {"processor": {"mlm": {"max_length": 32}}, "train": train_on}  # which has no labels for sp
    spec["data"]["sets"] = {
        "taught": masked | {"targets": ["distill"]},
        "one": bert | {"targets": ["mlm", "distill"]},
        "two": bert | {"targets": ["sp"]},
    }
    write_spec(project, spec)
    model = train(load_spec(project / "spec.yaml"), tmp_path / "run").model
    assert model is not None
    shutil.rmtree(tmp_path / "teacher")
    sets = load_spec(model / "spec.yaml").data.sets  # which keep their numbers
    assert {name: each.mixing.targets for name, each in sets.items()} == {"taught": [], "one": ["mlm"], "two": ["sp"]}
    for arguments in (["evaluate", str(model), "--data", str(project / "held_out.txt")], ["show", str(model)]):
        result = tp(*arguments)
        assert result.exit_code == 0, result.output


@pytest.mark.parametrize("way", ["init_from", "resume"])
def test_another_major_version_is_told_when_a_run_begins_or_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], way: str
) -> None:
    project = write_project(tmp_path / "project", documents=8, steps=1)
    train(load_spec(project / "spec.yaml"), tmp_path / "run")
    for file in tmp_path.glob("run/**/provenance.json"):
        file.write_text(file.read_text().replace('"version": "0.1.0"', '"version": "3.4.0"'))
    (tmp_path / "run" / "model" / "manifest.json").unlink()  # as for a change of the user's own
    capsys.readouterr()
    if way == "resume":
        train(load_spec(project / "spec.yaml", ["train.steps=2"]), tmp_path / "run", resume=True, allow_change="steps")
    else:
        write_spec(project, read_spec(project) | {"init_from": str(tmp_path / "run")})
        train(load_spec(project / "spec.yaml"), tmp_path / "other")
    assert "made with tp-text 3.4.0, and 0.1.0 is installed" in capsys.readouterr().err


def test_another_major_version_of_a_teacher_is_a_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = write_project(tmp_path / "project", documents=8, steps=1)
    train(load_spec(project / "spec.yaml"), tmp_path / "teacher")
    for file in tmp_path.glob("teacher/**/provenance.json"):
        file.write_text(file.read_text().replace('"version": "0.1.0"', '"version": "3.4.0"'))
    (tmp_path / "teacher" / "model" / "manifest.json").unlink()
    spec = read_spec(project)
    spec["model"]["target"] = ["mlm", "sp", {"distill": {"teacher": str(tmp_path / "teacher"), "of": "mlm"}}]
    write_spec(project, spec)
    told = "note: " + str(tmp_path / "teacher" / "model") + " was made with tp-text 3.4.0, and 0.1.0 is installed"
    assert f"model.target.distill.teacher: {told}" in tp("check", str(project / "spec.yaml")).output
    capsys.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(load_spec(project / "spec.yaml"), tmp_path / "student")
    assert capsys.readouterr().err.count(told) == 1


def test_the_paths_of_training_are_none_of_the_export(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", documents=8, steps=1)
    model = train(load_spec(project / "spec.yaml"), tmp_path / "run").model
    assert model is not None
    assert str(tmp_path) not in (model / "spec.yaml").read_text()
