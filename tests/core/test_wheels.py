"""The distributions as users get them: wheels, installed into an environment that knows nothing of this repository."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.core.runs import read_spec, write_project, write_spec
from tests.wheels import ROOT, Environment, install

SOURCES = {"tp_core": ROOT, "tp_text": ROOT / "plugins" / "tp_text", "tp_acme": ROOT / "examples" / "plugin"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    besides = ["pytest", "transformers"]  # for the example's tests
    return install(tmp_path_factory.mktemp("wheels"), SOURCES, besides=besides)


@pytest.mark.parametrize("package", SOURCES)
def test_a_wheel_has_its_package_its_types_and_no_tests(installed: Environment, package: str) -> None:
    names = installed.names(package)
    assert f"{package}/py.typed" in names
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {package}
    assert not [name for name in names if "/tests/" in name or "test_" in name]


def test_every_preset_that_is_promised_is_in_the_wheel(installed: Environment, tmp_path: Path) -> None:
    listed = json.loads(installed.run("tp", "modules", "--kind", "presets", "--json", within=tmp_path))
    assert {row["status"] for row in listed} == {"ok"}
    names = (Path(name) for package in SOURCES for name in installed.names(package))
    files = {name.stem for name in names if name.parent.name == "presets"}
    assert {row["name"] for row in listed} == files - {"__init__"}


def test_modules_of_all_three_packages_are_found_and_none_comes_from_the_repository(
    installed: Environment, tmp_path: Path
) -> None:
    listed = json.loads(installed.run("tp", "modules", "--json", within=tmp_path))
    assert {row["distribution"] for row in listed} == {"tp-core", "tp-text", "tp-acme"}
    assert {row["status"] for row in listed} == {"ok"}
    code = "import tp_core, tp_text, tp_acme\nfor each in (tp_core, tp_text, tp_acme): print(each.__file__)"
    for file in installed.run("python", "-c", code, within=tmp_path).split():
        assert Path(file).is_relative_to(installed.folder)


def test_a_spec_that_uses_the_third_partys_modules_is_checked_and_trained(
    installed: Environment, tmp_path: Path
) -> None:
    project = write_project(tmp_path / "project", steps=2, hooks=["acme.print_norms"])
    spec = read_spec(project)
    spec["model"]["embedding"] = ["word", {"acme.from_end": {"max_length": 32}}]
    spec["model"]["encoder"] = {"acme.gates": {"kernel_size": 3}}
    del spec["model"]["num_heads"], spec["model"]["feed_forward_size"]  # the mixer has no such options
    write_spec(project, spec)
    assert "acme.gates (num_layers 2, hidden_size 16)" in installed.run("tp", "check", "spec.yaml", within=project)
    assert installed.run("tp", "train", "spec.yaml", "--run", "run", within=project) == "run/model\n"
    written = json.loads((project / "run" / "provenance.json").read_text())
    acme = [(each["name"], each["distribution"], each["version"]) for each in written if "acme" in each["name"]]
    assert acme == [
        ("acme.from_end", "tp-acme", "0.1.0"),
        ("acme.gates", "tp-acme", "0.1.0"),
        ("acme.print_norms", "tp-acme", "0.1.0"),
    ]


@pytest.mark.parametrize("name", sorted(each.name for each in (SOURCES["tp_acme"] / "tests").glob("test_*.py")))
def test_the_examples_own_tests_pass(installed: Environment, tmp_path: Path, name: str) -> None:
    tests = str(SOURCES["tp_acme"] / "tests" / name)
    installed.run(
        "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), tests, within=tmp_path
    )


def test_the_spec_beside_the_example_is_right_once_its_vocabulary_is_trained(
    installed: Environment, tmp_path: Path
) -> None:
    for name in ("README.md", "gates.yaml"):
        (tmp_path / name).write_bytes((SOURCES["tp_acme"] / name).read_bytes())
    (tmp_path / "runs").mkdir()
    train = ["tokenizer", "train", "README.md", "--kind", "wordpiece", "--vocab-size", "400"]
    installed.run("tp", *train, "--output", "runs/vocab.txt", within=tmp_path)
    assert "gates.yaml: ok" in installed.run("tp", "check", "gates.yaml", within=tmp_path)
