"""The command line: help, listing, checking, the schema, and how errors end a command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.core.shelf import Shelf
from tests.core.shelf import shelf as shelf
from tp_core.cli.main import BUILT_IN, cli

SPEC = """\
model:
  hidden_size: 32
  vocab_size: 100
  embedding: [word, pos: {max_length: 64}]
  encoder:
    transformer: {num_layers: 2, num_heads: 4}
  target: mlm
"""

PAPER_BERT = '{"embedding": ["word", "pos", "seg"], "encoder": "transformer", "target": ["mlm", "sp"]}'

IMPORTED = (
    "import sys; from tp_core.cli.main import cli\n"
    "try: cli.main(sys.argv[1:], standalone_mode=False)\n"
    "finally: print('IMPORTED', *sorted(m for m in sys.modules if '.' not in m), file=sys.stderr)\n"
)


def call(*args: str) -> Result:
    return CliRunner().invoke(cli, list(args), prog_name="tp")


def tp(*args: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, with a folder of distributions before the installed ones."""
    environment = {**os.environ, **({"PYTHONPATH": str(path)} if path else {})}
    command = [sys.executable, "-m", "tp_core", *args]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def distribution(folder: Path, name: str, group: str, entries: dict[str, str], code: str = "") -> None:
    """A distribution as an installer leaves it: metadata, entry points and one module."""
    info = folder / f"{name.replace('-', '_')}-1.5.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
    lines = [f"{key} = {value}" for key, value in entries.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[tp.v1.{group}]", *lines, ""]))
    (folder / f"{name.replace('-', '_')}.py").write_text(code)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    file = tmp_path / "small.yaml"
    file.write_text(SPEC)
    return file


# -- the frame -------------------------------------------------------------------------------------


def test_the_help_lists_every_command_with_a_line_and_shows_examples() -> None:
    result = call("--help")
    assert result.exit_code == 0
    for name, built_in in BUILT_IN.items():
        assert f"  {name} " in result.output
        assert built_in.help in result.output
    assert "\n    tp show bert-base  " in result.output


@pytest.mark.parametrize("name", ["check", "show", "modules", "schema", "doctor"])
def test_each_commands_help_shows_an_example_on_a_line_of_its_own(name: str) -> None:
    result = call(name, "--help")
    assert result.exit_code == 0
    assert f"Examples:\n    tp {name}" in result.output


def test_the_same_command_runs_as_a_module_and_as_a_script() -> None:
    assert tp("--version").stdout.startswith("tp ")


def test_an_unknown_command_is_answered_with_the_nearest_one() -> None:
    result = tp("chekc")
    assert result.returncode == 2
    assert "unknown command 'chekc'; did you mean 'check'?" in result.stderr
    assert "Traceback" not in result.stderr


def test_every_command_prints_the_traceback_of_an_error_where_it_is_asked_to(tmp_path: Path) -> None:
    folder = str(tmp_path / "none")
    for args in (["cache", "list", "--folder", folder], ["cache", "clear", "--folder", folder], ["show", folder]):
        assert "Traceback" not in call(*args).stderr
        result = call(*args, "--traceback")
        assert result.exit_code == 2
        assert "Traceback (most recent call last)" in result.stderr


@pytest.mark.parametrize(
    ("args", "forbidden"),
    [
        (["modules"], {"torch", "rich", "transformers", "tokenizers", "numpy"}),
        (["check", "bert-tiny"], {"torch", "rich", "transformers", "numpy", "difflib"}),
        (["schema"], {"torch", "rich", "transformers", "numpy"}),
        (["--version"], {"torch", "rich", "pydantic", "yaml"}),
        (["check", "--help"], {"torch", "rich", "pydantic", "yaml"}),
    ],
)
def test_inspecting_commands_import_nothing_heavy(args: list[str], forbidden: set[str]) -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTED, *args], capture_output=True, text=True, check=False)
    imported = set(done.stderr.rpartition("IMPORTED")[2].split())
    assert "click" in imported, done.stderr
    assert not imported & forbidden


def test_the_help_imports_only_click_and_the_metadata_reader_when_no_plugin_has_commands() -> None:
    code = f"import tp_core.discovery as d; d.scan = lambda path=None: iter(())\n{IMPORTED}"
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True)
    assert not set(done.stderr.split()) & {"torch", "pydantic", "yaml", "rich", "numpy"}


def test_a_plugins_command_stands_in_the_help_and_runs(tmp_path: Path) -> None:
    code = "import click\n@click.command()\ndef hello():\n    'Greet.'\n    click.echo('hello from acme')\n"
    distribution(tmp_path, "tp-acme", "commands", {"hello": "tp_acme:hello"}, code)
    assert "hello Greet." in " ".join(tp("--help", path=tmp_path).stdout.split())
    assert tp("hello", path=tmp_path).stdout == "hello from acme\n"


@pytest.mark.parametrize(
    "declared", [pytest.param(False, marks=pytest.mark.slow), True], ids=["not declared", "declared"]
)
def test_a_plugins_command_is_refused_in_several_processes_unless_it_is_declared_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, declared: bool
) -> None:
    code = "import click\nfrom tp_core.cli.processes import in_several_processes\n"
    code += "@in_several_processes\n" * declared + "@click.command()\ndef hello():\n    click.echo('hello from acme')\n"
    distribution(tmp_path, "tp-acme", "commands", {"hello": "tp_acme:hello"}, code)
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # as torchrun keeps one
    given = {"WORLD_SIZE": "2", "TORCHELASTIC_USE_AGENT_STORE": "True"}
    for name, value in {**given, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port)}.items():
        monkeypatch.setenv(name, value)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tp_core", "hello"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**environment, "RANK": rank, "LOCAL_RANK": rank},
        )
        for rank in ("0", "1")
    ]
    said = [process.communicate(timeout=60)[0] for process in started]
    if declared:
        assert said == ["hello from acme\n"] * 2
        return
    assert [process.returncode for process in started] == [2, 2]
    message = "error: 'hello' runs in one process, and WORLD_SIZE says 2; call it without torchrun: tp hello\n"
    assert sorted(said) == ["", message]


def test_a_broken_command_is_listed_with_its_cause_and_fails_only_when_called(tmp_path: Path) -> None:
    distribution(
        tmp_path,
        "tp-acme",
        "commands",
        {"hello": "tp_acme:hello"},
        "raise OSError('libacme.so is missing')\n",
    )
    listed = tp("--help", path=tmp_path)
    assert listed.returncode == 0
    assert "[broken] OSError: libacme.so is missing" in " ".join(listed.stdout.split())
    called = tp("hello", "world", "--option", path=tmp_path)
    assert called.returncode == 2
    assert called.stderr.startswith("error: command 'hello' of tp-acme 1.5 (tp_acme:hello) cannot be loaded")
    assert "Traceback" not in called.stderr


def test_a_plugin_cannot_replace_a_command_of_the_core(tmp_path: Path) -> None:
    distribution(tmp_path, "tp-acme", "commands", {"check": "tp_acme:nothing"})
    assert tp("check", "bert-tiny", path=tmp_path).returncode == 0


def test_a_reader_that_goes_away_leaves_no_traceback() -> None:
    command = f"{sys.executable} -m tp_core schema | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout == "{\n"
    assert done.stderr == ""


@pytest.mark.parametrize(("error", "status"), [("KeyboardInterrupt", 130), ("EOFError('cut off')", 1)])
def test_an_interrupt_ends_with_status_130_and_an_error_that_click_takes_for_one_is_told(
    error: str, status: int
) -> None:
    code = (
        "import sys; from tp_core.cli import main\n"
        f"def interrupted(**_): raise {error}\n"
        "import click; main.cli.add_command(click.Command('wait', callback=interrupted))\n"
        "main.Commands.get_command = lambda self, ctx, name: self.commands[name]\n"
        "sys.argv = ['tp', 'wait']; sys.exit(main.run())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert ("EOFError: cut off" in done.stderr) is (status == 1)
    assert ("Traceback" in done.stderr) is (status == 1)


# -- check -----------------------------------------------------------------------------------------


def test_checking_a_good_spec_prints_its_components_and_sizes(spec: Path) -> None:
    result = call("check", str(spec), "model.encoder.transformer.num_layers=3")
    assert result.exit_code == 0, result.output
    assert "checked as a model" in result.output
    assert "transformer (num_layers 3, hidden_size 32, num_heads 4)" in result.output
    assert "100 (model.vocab_size)" in result.output


def test_the_spec_of_a_model_needs_no_files_to_train_on(spec: Path) -> None:
    spec.write_text(f"{SPEC}\ndata: {{processor: mlm}}\n")
    alone = call("check", str(spec))
    assert alone.exit_code == 2
    assert "data.train: is required" in alone.stderr
    (spec.parent / "model.safetensors").touch()
    beside = call("check", str(spec))
    assert beside.exit_code == 0, beside.output
    assert "checked as a model" in beside.output
    spec.write_text(f"{SPEC}\ndata: {{processor: mlm, train: missing.txt}}\n")
    assert call("check", str(spec)).exit_code == 2


def test_every_problem_is_reported_with_its_place_and_a_caret(spec: Path) -> None:
    spec.write_text(SPEC.replace("hidden_size", "hiden_size").replace("num_heads: 4", "num_heads: four"))
    done = tp("check", str(spec))
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"{spec}:6:45: model.encoder.transformer.num_heads: expected an integer" in done.stderr
    assert "^" in done.stderr
    assert "Traceback" not in done.stderr


def test_problems_as_json_carry_path_message_file_line_and_column(spec: Path) -> None:
    spec.write_text(SPEC.replace("num_heads: 4", "num_heads: 5"))
    result = call("check", str(spec), "--json")
    assert result.exit_code == 2
    report = json.loads(result.stdout)
    assert not report["ok"]
    (problem,) = report["problems"]
    assert problem["path"] == "model.encoder.transformer.mixer.attention.num_heads"
    assert "does not divide" in problem["message"]
    assert (problem["file"], problem["line"], problem["column"]) == (str(spec), 6, 45)


def test_a_good_spec_as_json_has_no_problems(spec: Path) -> None:
    result = call("check", str(spec), "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"ok": True, "problems": [], "notes": []}


def test_a_data_part_makes_check_look_at_the_data(spec: Path, tmp_path: Path) -> None:
    result = call(
        "check", str(spec), f"data.train={tmp_path / 'missing.txt'}", "data.processor={mlm: {max_length: 32}}"
    )
    assert result.exit_code == 2
    assert "missing.txt" in result.output
    assert "train.steps" in result.output


def test_a_spec_that_is_not_there_is_a_message_and_status_2() -> None:
    done = tp("check", "nosuch.yaml")
    assert done.returncode == 2
    assert done.stderr == "nosuch.yaml: there is no such file\n"


# -- modules ---------------------------------------------------------------------------------------


def test_modules_are_listed_with_package_version_status_and_description() -> None:
    result = call("modules", "--kind", "encoder")
    assert result.exit_code == 0
    head, *lines = result.output.splitlines()
    assert head.split() == ["KIND", "NAME", "PACKAGE", "VERSION", "STATUS", "DESCRIPTION"]
    (line,) = [line for line in lines if " transformer " in line]
    assert line.split()[2] == "tp-core"
    assert "Transformer encoder (Vaswani et al., 2017)" in line


def test_presets_are_described_by_the_first_line_of_their_file() -> None:
    listed = json.loads(call("modules", "--kind", "presets", "--json").stdout)
    described = {row["name"]: row["description"] for row in listed}
    assert described["bert-base"].startswith("BERT base")


def test_an_unknown_kind_is_answered_with_the_nearest_one() -> None:
    result = call("modules", "--kind", "encodr")
    assert result.exit_code == 2
    assert "did you mean 'encoder'?" in result.output


def test_a_broken_module_is_listed_with_its_cause_beside_the_working_ones(tmp_path: Path) -> None:
    distribution(tmp_path, "tp-acme", "encoder", {"acme.x": "tp_acme:X"}, "import nothing_of_that_name\n")
    done = tp("modules", "--json", path=tmp_path)
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows["acme.x"]["status"] == "broken"
    assert "nothing_of_that_name" in rows["acme.x"]["note"]
    assert rows["transformer"]["status"] == "ok"
    assert tp("check", "bert-tiny", path=tmp_path).returncode == 0


def test_a_name_that_another_distribution_offers_too_stays_ours_and_theirs_is_listed_with_how_to_choose_it(
    tmp_path: Path,
) -> None:
    code = "from tp_core.modules.encoders.transformer_options import TransformerConfig\n"
    distribution(tmp_path, "tp-acme", "encoder", {"transformer": "tp_acme:TransformerConfig"}, code)
    rows = json.loads(tp("modules", "--kind", "encoder", "--json", path=tmp_path).stdout)
    found = {row["distribution"]: (row["status"], row["note"]) for row in rows if row["name"] == "transformer"}
    note = "transformer alone is that of tp-core; write transformer@tp-acme for this one"
    assert found == {"tp-core": ("ok", ""), "tp-acme": ("shadowed", note)}


def test_the_doctor_names_what_is_broken_and_ends_with_status_1(shelf: Shelf) -> None:
    shelf.encoder("tp-acme", "import nothing_of_that_name\n", offers="acme.x")
    result = call("doctor")
    assert result.exit_code == 1
    assert "encoder 'acme.x' of tp-acme 1.5" in result.stdout


def test_the_doctor_is_content_with_a_whole_installation() -> None:
    result = call("doctor")
    assert result.exit_code == 0, result.output
    for topic in ("python", "torch", "tp-core", "cpu", "memory", "disk"):
        assert topic in result.output


# -- show ------------------------------------------------------------------------------------------


def test_the_papers_bert_is_shown_at_base_size_with_the_default_vocabulary(tmp_path: Path) -> None:
    file = tmp_path / "bert.json"
    file.write_text(PAPER_BERT)
    result = call("show", str(file))
    assert result.exit_code == 0, result.output
    assert "110,106,428" in result.output
    assert "the vocabulary size is the default, 30522" in result.output
    assert "weight tied to embedding.parts.word.table.weight" in result.output
    assert "12 × 7,087,872" in result.output


@pytest.mark.parametrize(
    ("preset", "line"),
    [
        ("t5-small", "word 0 Word; shared with embedding.parts.word"),
        ("simcse-base", "second 0 Stream; shared with streams.first"),
    ],
)
def test_a_module_that_stands_in_two_places_is_shown_in_both_and_counted_in_one(preset: str, line: str) -> None:
    result = call("show", preset)
    assert any(" ".join(shown.split()).endswith(f"─ {line}") for shown in result.output.splitlines())


def test_show_takes_the_folder_of_a_run_or_of_a_model(spec: Path, tmp_path: Path) -> None:
    for inner in ("model_folder", "run_folder/model"):
        (tmp_path / inner).mkdir(parents=True)
        (tmp_path / inner / "spec.yaml").write_text(SPEC)
    counts = [
        json.loads(call("show", str(tmp_path / folder), "--json").stdout)["price"]["parameters"]
        for folder in ("model_folder", "run_folder")
    ]
    assert counts[0] == counts[1] == json.loads(call("show", str(spec), "--json").stdout)["tree"]["parameters"]


def test_show_of_a_folder_without_a_spec_says_what_it_looked_for(tmp_path: Path) -> None:
    result = call("show", str(tmp_path))
    assert result.exit_code == 2
    assert "it has no spec.yaml" in result.output


def test_the_shown_spec_loads_again_to_the_same_spec(spec: Path, tmp_path: Path) -> None:
    shown = call("show", str(spec)).output.partition("\nmodel  ")[0]
    again = tmp_path / "again.yaml"
    again.write_text(shown)
    assert call("show", str(again)).output.partition("\nmodel  ")[0].splitlines() == shown.splitlines()


def test_show_refuses_options_that_would_do_nothing_and_sizes_that_no_tensor_has(spec: Path, tmp_path: Path) -> None:
    for args in (["--overwrite"], ["--image", str(tmp_path / "x.svg"), "--length", "8"], ["--batch-size", str(10**21)]):
        result = call("show", str(spec), *args)
        assert (result.exit_code, type(result.exception)) == (2, SystemExit)
        assert args[0] in result.output or "--length" in result.output
    assert not (tmp_path / "x.svg").exists()


def test_show_refuses_a_length_that_the_positions_do_not_reach(spec: Path) -> None:
    result = call("show", str(spec), "--length", "65")
    assert result.exit_code == 2
    assert "sequences of 65 are longer than the model's 64 positions" in result.output


def test_the_list_of_commands_needs_no_pydantic_and_no_torch() -> None:
    code = (
        "import sys\nfrom tp_core.cli.main import run\nsys.argv = ['tp', '--help']\n"
        "try: run()\nexcept SystemExit: pass\nassert not {'pydantic', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
