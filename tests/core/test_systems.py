"""Other systems and installations: encodings, missing libraries, the spawn start method, signals that Windows lacks."""

from __future__ import annotations

import importlib.metadata
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.core import runs
from tests.core.runs import read_spec, write_project, write_spec
from tp_core.cli.streams import ESCAPES, any_encoding

#: What Windows lacks, here: signals, but for those that torch needs on this system, and folders that can be opened.
WINDOWS = """\
import multiprocessing, os, signal
multiprocessing.set_start_method("spawn")
for name in ("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "setitimer", "alarm"):
    delattr(signal, name)
for name in ("sched_getaffinity", "mkfifo"):
    delattr(os, name)
real = os.open
def only_files(path, flags, *arguments, **options):
    if isinstance(path, (str, os.PathLike)) and os.path.isdir(path):
        raise PermissionError(13, "Permission denied", str(path))
    return real(path, flags, *arguments, **options)
os.open = only_files
"""

GONE = """\
import sys
class Gone:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {name!r}:
            raise ModuleNotFoundError("No module named " + name, name=name)
sys.meta_path.insert(0, Gone())
"""


def tp(
    *arguments: str, folder: Path, path: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    own = runs.environment()
    own |= {"PYTHONPATH": f"{path}:{own['PYTHONPATH']}"} if path else {}
    return subprocess.run(
        [sys.executable, "-m", "tp_core", *arguments],
        cwd=folder,
        env=own | environment,
        capture_output=True,
        timeout=120,
    )


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii"])
def test_an_encoding_that_lacks_a_character_shows_an_escape(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    any_encoding()
    text = "café → 😀 × 漢 \udc80"
    print(json.dumps(text, ensure_ascii=False))
    sys.stdout.flush()
    assert json.loads(raw.getvalue().decode(encoding)) == text  # escapes are those of JSON
    assert sys.stdout.errors == ESCAPES


def test_a_code_page_of_windows_does_not_end_a_command(tmp_path: Path) -> None:
    (tmp_path / "模型.yaml").write_text(
        "model: {hidden_size: 16, vocab_size: 9, embedding: word, encoder: transformr}\n"
    )
    done = tp("check", "模型.yaml", folder=tmp_path, PYTHONIOENCODING="cp1252")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr.decode("cp1252")
    assert "\\u6a21\\u578b.yaml:1:" in done.stderr.decode("cp1252")


@pytest.mark.parametrize("module", ["yaml", "pydantic"])
@pytest.mark.parametrize("how", ["gone", "broken"])
def test_a_library_that_is_missing_or_broken_is_a_message(tmp_path: Path, module: str, how: str) -> None:
    if how == "gone":
        (tmp_path / "sitecustomize.py").write_text(GONE.format(name=module))
    else:
        (tmp_path / module).mkdir()
        (tmp_path / module / "__init__.py").write_text("raise OSError('libx.so: cannot open shared object file')\n")
    done = tp("check", "bert-tiny", folder=tmp_path, path=tmp_path)
    said = done.stderr.decode()
    assert (done.returncode, "Traceback" in said) == (2, False)
    name = {"yaml": "pyyaml"}.get(module, module)
    assert f"error: the package {name} " in said.lower()
    if how == "gone":
        assert f"pip install --force-reinstall '{name}'" in said.lower()
    else:
        assert f"is hidden by {tmp_path / module / '__init__.py'}" in said


@pytest.fixture
def half_installed(tmp_path: Path) -> Callable[..., Path]:
    """A folder before the installed packages, with a distribution of which a file is gone."""

    def make(name: str, gone: str) -> Path:
        found = importlib.metadata.distribution(name)
        folders = {path.parts[0] for path in found.files or () if path.parts[0] != ".."}
        for each in folders - {"__pycache__"}:
            place = Path(str(found.locate_file(each)))
            (shutil.copytree if place.is_dir() else shutil.copyfile)(place, tmp_path / "site" / each)
        (tmp_path / "site" / gone).unlink()
        return tmp_path / "site"

    return make


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("click", "click/core.py"),
        ("pydantic", "pydantic/main.py"),
        ("pyyaml", "yaml/resolver.py"),
    ],
)
def test_a_half_installed_library_is_a_message(
    half_installed: Callable[..., Path], tmp_path: Path, name: str, gone: str
) -> None:
    done = tp("check", "bert-tiny", folder=tmp_path, path=half_installed(name, gone))
    said = done.stderr.decode()
    assert (done.returncode, "Traceback" in said) == (2, False)
    assert f"the package {name} " in said.lower()
    assert f"({gone})" in said


@pytest.mark.slow
@pytest.mark.parametrize(("name", "gone"), [("pluggy", "pluggy/_manager.py"), ("tokenizers", "tokenizers/__init__.py")])
def test_the_doctor_finds_a_library_that_is_half_installed(
    half_installed: Callable[..., Path], tmp_path: Path, name: str, gone: str
) -> None:
    done = tp("doctor", folder=tmp_path, path=half_installed(name, gone))
    broken = [line for line in done.stdout.decode().splitlines() if line.startswith("BROKEN")]
    assert done.returncode == 1
    assert any(line.split()[1] == name and f"({gone})" in line for line in broken), broken


@pytest.mark.slow
@pytest.mark.parametrize("module", ["yaml", "tokenizers", "pluggy"])
def test_a_file_that_hides_a_library_is_named(tmp_path: Path, module: str) -> None:
    project = write_project(tmp_path / "project", steps=1)
    (tmp_path / f"{module}.py").write_text("x = 1\n")
    done = tp("train", "spec.yaml", "--run", "run", folder=project, path=tmp_path)
    said = done.stderr.decode()
    assert (done.returncode, "Traceback" in said) == (2, False)
    assert f"is hidden by {tmp_path / module}.py" in said


def test_links_to_a_library_hide_nothing(tmp_path: Path) -> None:
    yaml = Path(str(importlib.metadata.distribution("pyyaml").locate_file("yaml")))
    (tmp_path / "yaml").symlink_to(yaml)
    code = "from tp_core.packages.libraries import fault; print([fault('pyyaml')])"
    own = runs.environment()
    own["PYTHONPATH"] = f"{tmp_path}:{own['PYTHONPATH']}"
    done = subprocess.run([sys.executable, "-c", code], env=own, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['']"


@pytest.mark.slow
@pytest.mark.parametrize("module", ["pyarrow", "safetensors", "tokenizers"])
def test_the_doctor_finds_a_library_that_cannot_be_imported(tmp_path: Path, module: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(GONE.format(name=module))
    done = tp("doctor", folder=tmp_path, path=tmp_path)
    assert done.returncode == 1
    assert f"BROKEN  {module}" in done.stdout.decode()
    assert b"Traceback" not in done.stdout + done.stderr


@pytest.mark.slow
def test_a_run_with_a_local_processor_and_workers_needs_neither_fork_nor_the_signals_of_posix(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", steps=2, workers=1)
    code = "import helper\nfrom tp_text.processors.bert_options import BertProcessorConfig\n"
    code += "from tp_text.processors.bert import BertProcessor\nclass Own(BertProcessor):\n    mark = helper.MARK\n"
    code += "class Config(BertProcessorConfig):\n    def build(self, data, tokenizer):\n"
    (project / "mine.py").write_text(code + "        return Own(self, data, tokenizer)\n")
    (project / "helper.py").write_text("MARK = 1\n")
    spec = read_spec(project)
    spec["data"] |= {"processor": {"mine:Config": {"max_length": 32}}, "eval": "held_out.txt"}
    write_spec(project, spec)
    (tmp_path / "sitecustomize.py").write_text(WINDOWS)
    done = tp("train", "spec.yaml", "--run", "run", folder=project, path=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert (project / "run" / "model" / "model.safetensors").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of POSIX closes the streams")
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_ends_no_command(tmp_path: Path, closed: str) -> None:
    command = f'"{sys.executable}" -m tp_core schema --output schema.json {closed}'
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=runs.environment(), capture_output=True, timeout=120)
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    assert json.loads((tmp_path / "schema.json").read_text())["$schema"]
    command = f'"{sys.executable}" -m tp_core modules {closed}'
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=runs.environment(), capture_output=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, b"")
