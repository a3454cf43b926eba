"""A model's folder is data: its Python files run only where the user trusts them."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import tp_core
from tests.core.runs import read_spec, write_project, write_spec
from tp_core import TPError, load_model, load_spec, train
from tp_core.cli.main import cli


def marked(folder: Path, mark: Path) -> None:
    """A local encoder and local hooks that leave a mark where they run, in a folder."""
    (folder / "helper.py").write_text(f"from pathlib import Path\n\nMARK = Path({str(mark)!r})\n")
    (folder / "my_encoder.py").write_text(
        "from helper import MARK\nfrom tp_core.discovery import index, load\n\nMARK.write_text('run')\n\n\n"
        "class Config(load(index().find('encoder', 'transformer'))):\n    pass\n"
    )
    (folder / "my_hooks.py").write_text(
        "from helper import MARK\nfrom tp_core import HooksConfig\n\nMARK.write_text('run')\n\n\n"
        "class Config(HooksConfig):\n    def build(self):\n        return self\n"
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of a model with a local encoder (``run``) and of one with a local hook (``hooked``)."""
    folder = tmp_path_factory.mktemp("trust")
    for name in ("run", "hooked"):
        project = write_project(folder / f"project-{name}", documents=8, steps=1)
        marked(project, folder / "mark")
        spec = read_spec(project)
        if name == "run":
            options = spec["model"]["encoder"]
            inner = options["transformer"] if isinstance(options, dict) else {}
            spec["model"]["encoder"] = {"my_encoder:Config": inner}
        else:
            spec["train"]["hooks"] = ["my_hooks:Config"]
        write_spec(project, spec)
        train(load_spec(project / "spec.yaml"), folder / name)
    (folder / "mark").unlink()
    return folder


@pytest.fixture
def mark(home: Path) -> Any:
    """The file that is there once the local code has run."""
    (home / "mark").unlink(missing_ok=True)
    return home / "mark"


def tp(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(each) for each in arguments], prog_name="tp")


def commands(home: Path, model: Path, output: Path) -> dict[str, list[object]]:
    held_out = home / "project-run" / "held_out.txt"
    return {
        "evaluate": ["evaluate", model, "--data", held_out],
        "predict": ["predict", model, "--input", held_out, "--output", output / "predicted.jsonl"],
        "embed": ["embed", model, "--input", held_out, "--output", output / "vectors.npy"],
        "show": ["show", model],
        "check": ["check", model],
        "convert": ["convert", "--from", "tp", model, "--to", "huggingface", output / "hf"],
    }


@pytest.mark.parametrize("name", ["evaluate", "predict", "embed", "show", "check", "convert"])
@pytest.mark.parametrize("inside", ["", "model", "checkpoints/step_000001"])
def test_no_command_runs_the_code_of_a_model_unasked(
    home: Path, mark: Path, tmp_path: Path, name: str, inside: str
) -> None:
    if inside.startswith("checkpoints") and name in ("show", "check"):
        return  # which take the folder of a run or of a model
    result = tp(*commands(home, home / "run" / inside, tmp_path)[name])
    assert result.exit_code == 2, result.output
    assert not mark.exists()
    folder = home / "run" / ("model" if inside == "model" or (not inside and name not in ("show", "check")) else "")
    files = ", ".join(str(folder / file) for file in ("helper.py", "my_encoder.py"))
    assert f"'my_encoder:Config' is Python code that came with the model: {files}" in result.output
    assert "model.encoder" in result.output
    assert "--trust-code" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("name", ["evaluate", "predict", "embed", "show", "check"])
def test_a_command_runs_the_code_of_a_model_that_is_trusted(home: Path, mark: Path, tmp_path: Path, name: str) -> None:
    copy = tmp_path / "run"
    shutil.copytree(home / "run", copy)  # in which nothing has run yet
    command = commands(home, copy, tmp_path)[name]
    result = tp(*command, "--trust-code")
    assert result.exit_code == 0, result.output
    assert mark.exists()


@pytest.mark.parametrize("name", ["evaluate", "embed", "convert"])
def test_a_command_that_needs_no_hooks_does_not_ask_for_their_code(
    home: Path, mark: Path, tmp_path: Path, name: str
) -> None:
    result = tp(*commands(home, home / "hooked" / "checkpoints" / "step_000001", tmp_path)[name])
    assert result.exit_code == 0, result.output
    assert not mark.exists()


def test_no_spelling_of_a_name_leads_around_the_question(home: Path, mark: Path, tmp_path: Path) -> None:
    # The name under which processes hand a file on says where it is: it is in sys.modules, and in pickles.
    (stream,) = load_spec(home / "project-run" / "spec.yaml").model.streams.values()
    inner = type(stream.encoder.config).__module__
    model = tmp_path / "model"
    shutil.copytree(home / "run" / "model", model)
    (model / "manifest.json").unlink()
    spec = (model / "spec.yaml").read_text()
    for module in (inner, inner.rpartition(".")[0], "os", "tp_core.local", "antigravity"):
        mark.unlink(missing_ok=True)
        (model / "spec.yaml").write_text(spec.replace("my_encoder:Config", f"{module}:Config"))
        result = tp("predict", model, "--text", "ba")
        assert result.exit_code == 2, result.output
        assert "model.encoder: " in result.output
        assert not mark.exists()
        assert "antigravity" not in sys.modules


@pytest.mark.parametrize("name", ["theirs.my_encoder:Config", "antigravity:Config", "tp_core.cli.main:cli"])
def test_a_file_of_hugging_face_names_no_code(
    mark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "theirs").mkdir()
    marked(tmp_path / "theirs", mark)
    (tmp_path / "theirs" / "config.json").write_text(json.dumps({"model_type": name}))
    monkeypatch.chdir(tmp_path)
    result = tp("convert", "--from", "huggingface", "theirs", "--to", "tp", "ours")
    assert result.exit_code == 2
    assert f"no converter for the model_type '{name}'" in result.output
    assert not mark.exists()
    assert "antigravity" not in sys.modules


def test_python_asks_too(home: Path, mark: Path) -> None:
    for use in (load_model, lambda path: list(tp_core.predict(path, ["ba"])), lambda path: tp_core.embed(path, ["ba"])):
        with pytest.raises(TPError, match="trust_code=True"):
            use(home / "run")
    assert not mark.exists()
    assert tp_core.embed(home / "run", ["ba"], trust_code=True).shape[0] == 1


def test_the_files_beside_a_spec_that_the_user_gives_run(home: Path, mark: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(home / "project-run", project)
    for command in ("check", "show", "preprocess"):
        mark.unlink(missing_ok=True)
        (project / "my_encoder.py").write_text((project / "my_encoder.py").read_text() + "\n")  # loaded anew
        result = tp(command, project / "spec.yaml")
        assert result.exit_code == 0, result.output
        assert mark.exists()
    with pytest.raises(TPError, match="trust_code=True"):
        load_spec(project / "spec.yaml", trust_code=False)


@pytest.mark.parametrize("trust", [False, True])
def test_a_teacher_is_a_model_like_any_other(home: Path, mark: Path, tmp_path: Path, trust: bool) -> None:
    shutil.copytree(home / "run", tmp_path / "teacher")
    project = write_project(tmp_path / "project", documents=8, steps=1)
    spec = read_spec(project)
    spec["model"]["target"] = ["mlm", "sp", {"distill": {"teacher": str(tmp_path / "teacher"), "of": "mlm"}}]
    write_spec(project, spec)
    result = tp("train", project / "spec.yaml", "--run", tmp_path / "student", *["--trust-code"] * trust)
    assert (result.exit_code == 0) == trust, result.output
    assert mark.exists() == trust
    if not trust:
        assert "is Python code that came with the model" in result.output
        assert not (tmp_path / "student").exists()


def test_a_run_starts_from_the_weights_of_a_model_without_running_its_code(
    home: Path, mark: Path, tmp_path: Path
) -> None:
    project = write_project(tmp_path / "project", documents=8, steps=1)
    write_spec(project, read_spec(project) | {"init_from": str(home / "run")})
    result = tp("train", project / "spec.yaml", "--run", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert not mark.exists()
