"""Every spec of tests/specs/bad is refused with exactly the messages that its comments say."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.core.spec_files import FOLDER, SpecFile, as_expected, messages, spec_files
from tp_core import SpecError, load_spec

BAD = spec_files("bad")

#: What the commands are tried with: one spec for each stage that can refuse it.
THROUGH_THE_COMMANDS = [
    "module_near_match",
    "type_integer_got_text",
    "lm_on_fully_visible_encoder",
    "vocab_lacks_special_tokens",
    "corpus_empty",
    "yaml_tab",
    "yaml_not_utf8",
    "several_at_once",
    "local_file_raises",
    "override_type",
]


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.path.stem)
def test_a_bad_spec_is_refused_with_all_its_messages_and_no_other(
    file: SpecFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.path.parent)
    with pytest.raises(SpecError) as caught:
        file.load()
    found = messages(caught.value, file)
    assert as_expected(found, file.expected), "\n".join(found)


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.path.stem)
def test_the_caret_stands_under_what_is_wrong(file: SpecFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.path.parent)
    with pytest.raises(SpecError) as caught:
        file.load()
    for problem in caught.value.problems:
        _, *rest = problem.render().splitlines()
        if not rest:
            continue
        line, caret = rest
        assert caret.strip() == "^"
        under = line[len(caret) - 1 :]
        # A value that is not there, and a tab, are pointed at where they stand.
        assert under[:1].strip() or not under or under[0] == "\t" or "null" in problem.message
        assert len(line) <= 200


def test_there_are_many_bad_specs_and_each_expects_something() -> None:
    assert len(BAD) >= 70
    assert all(file.expected for file in BAD)


def test_an_empty_file_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_bytes(b"")
    with pytest.raises(SpecError) as caught:
        load_spec(tmp_path / "spec.yaml")
    (problem,) = caught.value.problems
    assert problem.message == "the file is empty; a spec has at least a model: or an extends:"


def test_a_missing_file_is_a_message_with_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "my_bert.yaml").write_text("extends: bert-tiny\n")
    with pytest.raises(SpecError) as caught:
        load_spec(tmp_path / "my_brt.yaml")
    assert str(caught.value) == f"{tmp_path}/my_brt.yaml: there is no such file; did you mean 'my_bert.yaml'?"


def test_a_local_file_with_a_syntax_error_is_a_message_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("\nclass AnyConfig(\n")
    (tmp_path / "spec.yaml").write_text("model: {embedding: word, encoder: mine:AnyConfig}\n")
    with pytest.raises(SpecError) as caught:
        load_spec(tmp_path / "spec.yaml")
    (problem,) = caught.value.problems
    assert problem.message == "'mine:AnyConfig' cannot be loaded: SyntaxError: '(' was never closed (mine.py, line 2)"


def test_a_folder_instead_of_a_preset_is_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("specs").mkdir()
    with pytest.raises(SpecError, match=r"^specs: this is a folder; give the file of a spec in it$"):
        load_spec("specs")
    Path("bert-tiny").mkdir()  # a folder hides no preset
    assert load_spec("bert-tiny").name == "bert-tiny"


def test_a_folder_instead_of_a_file_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").mkdir()
    with pytest.raises(SpecError, match=r"cannot be read: Is a directory"):
        load_spec(tmp_path / "spec.yaml")


# -- the commands ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", THROUGH_THE_COMMANDS)
def test_check_ends_with_status_2_and_the_message_on_stderr(name: str, tmp_path: Path) -> None:
    file = next(file for file in BAD if file.path.stem == name)
    done = _run("check", file, tmp_path)
    _assert_refused(done, file, tmp_path)


@pytest.mark.parametrize("name", ["option_near_match", "corpus_missing", "heads_do_not_divide_hidden_size"])
def test_train_ends_with_status_2_before_anything_is_written(name: str, tmp_path: Path) -> None:
    file = next(file for file in BAD if file.path.stem == name)
    done = _run("train", file, tmp_path)
    _assert_refused(done, file, tmp_path)


def _run(verb: str, file: SpecFile, folder: Path) -> subprocess.CompletedProcess[str]:
    shutil.copytree(FOLDER, folder / "specs")
    before = _contents(folder)
    done = subprocess.run(
        [sys.executable, "-B", "-m", "tp_core", verb, file.path.name, *file.overrides],
        cwd=folder / "specs" / "bad",
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert _contents(folder) == before
    return done


def _contents(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if "__pycache__" not in path.parts}


def _assert_refused(done: subprocess.CompletedProcess[str], file: SpecFile, folder: Path) -> None:
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    shown = done.stderr.replace(f"{folder}/specs/", "").splitlines()
    found = [line.removeprefix(f"{file.path.name}:").strip() for line in shown if not line.startswith("    ")]
    assert as_expected(found, file.expected), done.stderr


# -- plugins ---------------------------------------------------------------------------------------------------------


def _install(folder: Path, name: str, code: str, *, offers: str = "acme.gates") -> None:
    module = name.replace("-", "_")
    info = folder / f"{module}-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text(f"[tp.v1.encoder]\n{offers} = {module}:MixerConfig\n")
    (folder / f"{module}.py").write_text(code)


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed distributions that discovery sees beside the real ones."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    (tmp_path / "spec.yaml").write_text("model:\n  embedding: word\n  encoder: acme.gates\n")
    monkeypatch.chdir(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.startswith("acme_")]:
        del sys.modules[name]


def test_a_name_that_two_distributions_offer_is_refused_with_both_ways_to_write_it(plugins: Path) -> None:
    _install(plugins, "acme-one", "")
    _install(plugins, "acme-two", "")
    with pytest.raises(SpecError) as caught:
        load_spec("spec.yaml")
    assert str(caught.value).splitlines() == [
        "spec.yaml:3:12: model.encoder: the encoder 'acme.gates' is offered by acme-one 1.5 and acme-two 1.5; "
        "write 'acme.gates@acme-one' or 'acme.gates@acme-two' to say which",
        "      encoder: acme.gates",
        "               ^",
    ]


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("raise ImportError('needs CUDA')", "ImportError: needs CUDA"),
        ("raise OSError('libacme.so: undefined symbol')", "OSError: libacme.so: undefined symbol"),
        ("raise SystemExit(1)", "SystemExit: 1"),
        ("class MixerConfig(", "SyntaxError: '(' was never closed (acme_broken.py, line 1)"),
        ("", "AttributeError: module 'acme_broken' has no attribute 'MixerConfig'"),
        ("raise RuntimeError", "RuntimeError"),
    ],
)
def test_a_plugin_that_raises_on_import_is_named_with_its_cause(plugins: Path, code: str, cause: str) -> None:
    _install(plugins, "acme-broken", code)
    with pytest.raises(SpecError) as caught:
        load_spec("spec.yaml")
    (problem,) = caught.value.problems
    assert (problem.origin.line, problem.origin.column, problem.path) == (3, 12, "model.encoder")
    assert problem.message == (
        f"encoder 'acme.gates' of acme-broken 1.5 (acme_broken:MixerConfig) cannot be loaded: {cause}"
    )


def test_a_config_class_that_pydantic_cannot_build_is_a_message(plugins: Path) -> None:
    code = (
        "from __future__ import annotations\nfrom tp_core import EncoderConfig\n"
        "class MixerConfig(EncoderConfig):\n    size: Unheard = 3\n"
    )
    _install(plugins, "acme-unbuilt", code)
    with pytest.raises(SpecError, match=r"the config class of encoder 'acme.gates' is broken: .*Unheard"):
        load_spec("spec.yaml")


def test_a_broken_plugin_troubles_no_spec_that_does_not_name_it(plugins: Path) -> None:
    _install(plugins, "acme-silent", "raise ImportError")
    Path("spec.yaml").write_text("model: {embedding: word, encoder: transformer}\n")
    assert load_spec("spec.yaml").model.streams
