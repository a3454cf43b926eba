"""Discovery: the index is metadata; what is broken or ambiguous troubles only who uses it; runs say what they used."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.core.runs import read_spec, run_tp, write_project, write_spec
from tests.core.shelf import ENCODER, HOOKS, Shelf, shelf_alone
from tests.core.shelf import shelf as shelf
from tp_core import SpecError, TPError, discovery, load_spec, train
from tp_core.cli.main import cli
from tp_core.spec.choices.module_nodes import all_modules
from tp_core.spec.hints.places import PARTS
from tp_core.spec.trained.provenance import facts_of

MODEL = "model: {hidden_size: 16, vocab_size: 50, embedding: word, encoder: {ENCODER: {num_layers: 1, num_heads: 2}}}\n"


def tp(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), prog_name="tp")


def model_spec(folder: Path, encoder: str) -> Path:
    file = folder / "spec.yaml"
    file.write_text(MODEL.replace("ENCODER", encoder))
    return file


def listed(kind: str = "encoder") -> dict[str, dict[str, Any]]:
    """The rows of ``tp modules`` for a kind, by distribution."""
    result = tp("modules", "--kind", kind, "--json")
    assert result.exit_code == 0, result.output
    return {row["distribution"]: row for row in json.loads(result.output)}


# -- the index -----------------------------------------------------------------------------------------------------


def test_the_index_is_made_of_metadata_and_imports_nothing(shelf: Shelf) -> None:
    module = shelf.encoder("acme-loud", "raise RuntimeError('imported')")
    found = discovery.index().find("encoder", "acme.gates")
    assert (found.kind, found.value, found.distribution, found.version) == (
        "encoder",
        "acme_loud:Config",
        "acme-loud",
        "1.5",
    )
    assert tp("--help").exit_code == 0
    assert tp("check", "bert-tiny").exit_code == 0
    assert module not in sys.modules


def test_the_index_is_sorted_whatever_the_order_on_disk(shelf: Shelf) -> None:
    shelf.add("acme-b", {"encoder": {"b.two": "x:Y", "b.one": "x:Y"}, "embedding": {"z": "x:Y"}})
    shelf.add("acme-a", {"encoder": {"a": "x:Y"}})
    entries = list(shelf_alone([str(shelf.folder)]).entries())
    assert [(e.kind, e.name) for e in entries] == [
        ("embedding", "z"),
        ("encoder", "a"),
        ("encoder", "b.one"),
        ("encoder", "b.two"),
    ]


def test_a_distribution_that_is_found_twice_counts_once_and_the_first_on_the_path_is_meant(shelf: Shelf) -> None:
    shelf.encoder("acme-one", version="2.0", folder="first")
    shelf.encoder("acme-one", version="1.0", folder="second")
    path = [str(shelf.folder / "first"), str(shelf.folder / "second")]
    assert shelf_alone(path).find("encoder", "acme.gates").version == "2.0"


def test_groups_of_other_generations_and_unknown_kinds_are_passed_over(shelf: Shelf) -> None:
    shelf.add("acme-odd", {"no_such_kind": {"a": "x:Y"}})
    info = shelf.folder / "acme_odd-1.5.dist-info" / "entry_points.txt"
    info.write_text(info.read_text() + "\n[tp.v2.encoder]\nb = x:Y\n[console_scripts]\nc = x:Y\n")
    assert list(shelf_alone([str(shelf.folder)]).entries()) == []


@pytest.mark.parametrize("text", ["[tp.v1.encoder]\nno equals sign", "[tp.v1.encoder\n\x00", "[tp.v1.encoder]\n= x:Y"])
def test_damaged_metadata_of_one_distribution_hides_no_other(shelf: Shelf, text: str) -> None:
    shelf.encoder("acme-good")
    shelf.add("acme-damaged", {})
    (shelf.folder / "acme_damaged-1.5.dist-info" / "entry_points.txt").write_text(text)
    assert listed()["acme-good"]["status"] == "ok"


def test_a_distribution_without_metadata_is_known_by_its_folders_name(shelf: Shelf, tmp_path: Path) -> None:
    for name in ("acme-bare", "acme-other"):
        shelf.encoder(name)
    (shelf.folder / "acme_bare-1.5.dist-info" / "METADATA").unlink()
    assert {"acme-bare", "acme-other", "tp-core"} <= listed().keys()
    assert tp("check", "bert-tiny").exit_code == 0


# -- one name from two distributions -------------------------------------------------------------------------------


def test_a_name_of_two_distributions_is_an_error_only_for_a_spec_that_uses_it(shelf: Shelf, tmp_path: Path) -> None:
    shelf.encoder("acme-one")
    shelf.encoder("acme-two", version="2.1")
    assert tp("check", str(model_spec(tmp_path, "transformer"))).exit_code == 0
    with pytest.raises(SpecError) as caught:
        load_spec(model_spec(tmp_path, "acme.gates"))
    assert "'acme.gates' is offered by acme-one 1.5 and acme-two 2.1" in str(caught.value)
    assert "write 'acme.gates@acme-one' or 'acme.gates@acme-two' to say which" in str(caught.value)


@pytest.mark.parametrize("written", ["acme-two", "Acme_Two"])
def test_the_distribution_after_an_at_sign_chooses(shelf: Shelf, tmp_path: Path, written: str) -> None:
    shelf.encoder("acme-one")
    shelf.encoder("acme-two", version="2.1")
    spec = load_spec(model_spec(tmp_path, f"acme.gates@{written}"))
    chosen = spec.model.streams[""].encoder
    assert (chosen.distribution, chosen.version) == ("acme-two", "2.1")
    assert type(chosen.config).__module__ == "acme_two"


def test_a_choice_stays_in_the_resolved_spec(shelf: Shelf, tmp_path: Path) -> None:
    shelf.encoder("acme-one")
    shelf.encoder("acme-two")
    spec = load_spec(model_spec(tmp_path, "acme.gates@acme-two"))
    again = tmp_path / "resolved.yaml"
    again.write_text(spec.to_yaml())
    assert load_spec(again).model.streams[""].encoder.distribution == "acme-two"


# -- broken plugins --------------------------------------------------------------------------------------------------

BROKEN = {
    "a library that is not there": ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
    "a name that cannot be imported": ("from json import nothing", "ImportError: cannot import name 'nothing'"),
    "a syntax error": ("def broken(:\n", "SyntaxError: invalid syntax (acme_broken.py, line 1)"),
    "a shared library": ("raise OSError('libcudart.so.13: cannot open shared object file')", "OSError: libcu"),
    "an exit": ("raise SystemExit('no licence')", "SystemExit: no licence"),
    "an endless recursion": ("def f(): f()\nf()", "RecursionError: maximum recursion depth exceeded"),
    "a missing attribute": ("", "AttributeError: module 'acme_broken' has no attribute 'Config'"),
}

NO_ENCODER = {
    "no config class": ("Config = 3", "is an int, not the config class of an encoder"),
    "a config class of another kind": (
        "from tp_text.embeddings.word_options import WordConfig as Config",
        "is the config class of an embedding, not of an encoder",
    ),
}


@pytest.mark.parametrize(("code", "cause"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_plugin_is_listed_with_its_cause_and_breaks_nothing_else(
    shelf: Shelf, tmp_path: Path, code: str, cause: str
) -> None:
    shelf.encoder("acme-broken", code)
    shelf.encoder("acme-good", offers="acme.good")
    rows = listed()
    assert (rows["acme-broken"]["status"], rows["acme-good"]["status"], rows["tp-core"]["status"]) == (
        "broken",
        "ok",
        "ok",
    )
    assert cause in rows["acme-broken"]["note"]
    assert tp("check", "bert-tiny").exit_code == 0
    assert tp("check", str(model_spec(tmp_path, "acme.good"))).exit_code == 0


@pytest.mark.parametrize("code", [code for code, _ in NO_ENCODER.values()], ids=NO_ENCODER.keys())
def test_what_is_no_config_class_of_its_kind_is_listed_as_broken(shelf: Shelf, code: str) -> None:
    shelf.encoder("acme-broken", code)
    row = listed()["acme-broken"]
    assert (row["status"], "is no config class of the kind encoder" in row["note"]) == ("broken", True)
    assert tp("check", "bert-tiny").exit_code == 0


@pytest.mark.parametrize(("code", "cause"), (BROKEN | NO_ENCODER).values(), ids=(BROKEN | NO_ENCODER).keys())
def test_a_spec_that_uses_a_broken_plugin_is_told_the_whole_cause(
    shelf: Shelf, tmp_path: Path, code: str, cause: str
) -> None:
    shelf.encoder("acme-broken", code)
    result = tp("check", str(model_spec(tmp_path, "acme.gates")))
    assert result.exit_code == 2
    assert "model.encoder: " in result.output
    assert "'acme.gates' of acme-broken 1.5 (acme_broken:Config)" in result.output
    assert cause in result.output


def test_what_a_broken_plugin_raised_is_kept_for_debugging(shelf: Shelf) -> None:
    shelf.encoder("acme-broken", "raise OSError('no such device')")
    with pytest.raises(discovery.BrokenModuleError) as caught:
        discovery.load(discovery.index().find("encoder", "acme.gates"))
    assert isinstance(caught.value.__cause__, OSError)
    assert "acme-broken 1.5 (acme_broken:Config)" in str(caught.value)


@pytest.mark.parametrize("code", ["raise RuntimeError('broken')", "raise SystemExit(1)", "def broken(:"])
def test_a_preset_of_a_broken_package_is_listed_and_troubles_only_who_extends_it(
    shelf: Shelf, tmp_path: Path, code: str
) -> None:
    package = shelf.folder / "acme_package"
    (package / "presets").mkdir(parents=True)
    (package / "__init__.py").write_text(code)
    shelf.add("acme-presets", {"presets": {"acme-tiny": "acme_package.presets"}})
    assert listed("presets")["acme-presets"]["status"] == "broken"
    assert tp("check", "bert-tiny").exit_code == 0
    result = tp("check", "acme-tiny")
    assert result.exit_code == 2
    assert "acme-tiny" in result.output


# -- presence is inert -------------------------------------------------------------------------------------------------


def test_an_installed_but_unused_package_changes_no_spec(shelf: Shelf, tmp_path: Path) -> None:
    file = model_spec(tmp_path, "transformer")
    before = load_spec(file)
    shelf.encoder("acme-one")
    shelf.add("acme-hooks", {"hooks": {"acme.listen": "acme_hooks:Config"}}, HOOKS)
    discovery.index.cache_clear()
    after = load_spec(file)
    assert "acme.gates" in discovery.index().names("encoder")
    assert after.dump() == before.dump()
    assert facts_of(all_modules(after)) == facts_of(all_modules(before))
    assert not {"acme_one", "acme_hooks"} & sys.modules.keys()


def test_hooks_act_only_in_runs_that_list_them(
    shelf: Shelf, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf.add("acme-hooks", {"hooks": {"acme.listen": "acme_hooks:Config"}}, HOOKS)
    project = write_project(tmp_path / "project", steps=2)
    train(load_spec(project / "spec.yaml"), tmp_path / "without")
    assert "heard" not in capsys.readouterr().err
    assert "acme_hooks" not in sys.modules
    train(load_spec(project / "spec.yaml", ["train.hooks=acme.listen"]), tmp_path / "with")
    said = capsys.readouterr().err
    assert "heard of step 1\n" in said
    assert "heard of step 2\n" in said


@pytest.mark.parametrize("verb", ["check", "train"])
def test_what_a_hook_says_of_a_spec_stops_it_before_anything_is_done(shelf: Shelf, tmp_path: Path, verb: str) -> None:
    says = "    @hookimpl\n    def tp_check(self, spec):\n        return [f'{spec.name} has no licence']\n"
    code = HOOKS.replace("class Listener:\n", f"class Listener:\n{says}")
    shelf.add("acme-hooks", {"hooks": {"acme.listen": "acme_hooks:Config"}}, code)
    project = write_project(tmp_path / "project", steps=1, hooks=["acme.listen"])
    result = tp(verb, str(project / "spec.yaml"), *(["--run", str(tmp_path / "run")] if verb == "train" else []))
    assert (result.exit_code, result.output) == (2, "error: spec has no licence\n")
    assert not (tmp_path / "run").exists()


# -- where modules came from ---------------------------------------------------------------------------------------


def test_a_run_and_its_model_say_where_every_module_came_from(shelf: Shelf, tmp_path: Path) -> None:
    shelf.encoder("acme-one", version="2.1")
    shelf.add("acme-hooks", {"hooks": {"acme.listen": "acme_hooks:Config"}}, HOOKS)
    project = write_project(tmp_path / "project", steps=1, hooks=["acme.listen"])
    spec = read_spec(project)
    spec["model"]["encoder"] = "acme.gates"
    write_spec(project, spec)
    train(load_spec(project / "spec.yaml"), tmp_path / "run")
    written = json.loads((tmp_path / "run" / "provenance.json").read_text())
    exported = json.loads((tmp_path / "run" / "model" / "provenance.json").read_text())
    assert exported == [m for m in written if m["kind"] not in ("optimizer", "schedule", "strategy", "hooks")]
    parts = [m for m in written if m["kind"] in PARTS]
    assert {m["distribution"] for m in parts} == {"tp-core"}
    own = {"tp-core": discovery.index().find("encoder", "transformer").version}
    own["tp-text"] = discovery.index().find("target", "mlm").version
    assert [(m["kind"], m["name"], m["distribution"], m["version"]) for m in written if m not in parts] == [
        ("embedding", "word", "tp-text", own["tp-text"]),
        ("embedding", "pos", "tp-core", own["tp-core"]),
        ("embedding", "seg", "tp-text", own["tp-text"]),
        ("encoder", "acme.gates", "acme-one", "2.1"),
        ("target", "mlm", "tp-text", own["tp-text"]),
        ("target", "sp", "tp-text", own["tp-text"]),
        ("tokenizer", "space", "tp-text", own["tp-text"]),
        ("processor", "bert", "tp-text", own["tp-text"]),
        ("optimizer", "adamw", "tp-core", own["tp-core"]),
        ("schedule", "linear", "tp-core", own["tp-core"]),
        ("strategy", "auto", "tp-core", own["tp-core"]),
        ("hooks", "acme.listen", "acme-hooks", "1.5"),
    ]
    assert all(m["portable"] for m in written)


def test_a_module_from_a_local_file_is_recorded_as_not_portable_and_its_model_can_be_used(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", steps=1)
    (project / "my_encoder.py").write_text(ENCODER)
    spec = read_spec(project)
    spec["model"]["encoder"] = "my_encoder:Config"
    write_spec(project, spec)
    checked = tp("check", str(project / "spec.yaml"))
    assert checked.exit_code == 0
    assert "from a local file: not portable" in checked.output
    train(load_spec(project / "spec.yaml"), tmp_path / "run")
    (mine,) = [m for m in json.loads((tmp_path / "run" / "provenance.json").read_text()) if not m["portable"]]
    assert (mine["kind"], mine["name"], mine["distribution"]) == ("encoder", "my_encoder:Config", "local file")
    for model in ("run", "run/model", "run/checkpoints/step_000001"):
        run_tp(tmp_path, "evaluate", model, "--trust-code", "--data", "project/held_out.txt")


def test_a_local_file_that_is_not_there_is_a_message(tmp_path: Path) -> None:
    with pytest.raises(TPError, match=r"there is no file .*my_encoder\.py and no module my_encoder"):
        load_spec(model_spec(tmp_path, "my_encoder:Config"))
