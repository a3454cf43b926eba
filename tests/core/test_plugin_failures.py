"""An exception of a plugin is one message with the plugin's name and version, wherever and whatever it raises."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.core.runs import read_spec, write_project, write_spec
from tests.core.shelf import Shelf
from tests.core.shelf import shelf as shelf
from tp_core import load_spec, train
from tp_core.cli.main import cli

#: Modules that fail where their option says: in a method of the options, in building, in use.
CODE = """\
from typing import Any
from pydantic import field_validator
from tp_core import HooksConfig, hookimpl
from tp_core.modules.encoders.transformer_options import TransformerConfig
from tp_text.processors.bert import BertProcessor
from tp_text.processors.bert_options import BertProcessorConfig

class Stop(BaseException):
    pass

class Silent(Exception):
    def __str__(self):
        raise ValueError("no words")

KINDS = {"error": ZeroDivisionError("by zero"), "key": KeyError("colour"), "exit": SystemExit(0), "base": Stop("stop"),
         "silent": Silent(), "file": FileNotFoundError(2, "No such file or directory", "acme.dat")}

class Failing:
    def fail(self, place):
        if self.at == place:
            raise KINDS[self.how]

class Encoder(TransformerConfig, Failing):
    "An encoder that fails."
    at: str = ""
    how: str = "error"

    @field_validator("how")
    @classmethod
    def known(cls, value: str) -> str:
        if value == "broken validator":
            raise ZeroDivisionError("by zero")
        return value

    def check(self, context):
        self.fail("check")
        yield from super().check(context)

    def requires(self, context):
        self.fail("requires")
        return super().requires(context)

    def provides(self, context):
        self.fail("provides")
        return super().provides(context)

    def build(self, context):
        self.fail("build")
        built = super().build(context)
        if self.at == "forward":
            built.forward = lambda *_, **__: self.fail("forward")
        return built

class Processor(BertProcessorConfig, Failing):
    "A processor that fails."
    at: str = ""
    how: str = "error"

    def build(self, data, tokenizer):
        self.fail("build")
        return Made(self, data, tokenizer)

class Made(BertProcessor):
    def __init__(self, config, data, tokenizer):
        super().__init__(config, data, tokenizer)
        self.own = config

    def prepare(self, *arguments):
        self.own.fail("prepare")
        yield from super().prepare(*arguments)

    def sample(self, rows, index, generator):
        self.own.fail("sample")
        return super().sample(rows, index, generator)

    def collate(self, samples):
        self.own.fail("collate")
        return super().collate(samples)

class Hooks(HooksConfig, Failing):
    "Hooks that fail."
    at: str = ""
    how: str = "error"

    def build(self):
        self.fail("build")
        return Listener(self)

class Listener:
    def __init__(self, own):
        self.own = own

    @hookimpl
    def tp_check(self, spec):
        self.own.fail("check")

    @hookimpl
    def tp_model_built(self, model, spec):
        self.own.fail("model_built")

    @hookimpl
    def tp_step_end(self, trainer, step):
        self.own.fail("step_end")

    @hookimpl
    def tp_train_end(self, trainer):
        self.own.fail("train_end")
"""


@pytest.fixture
def project(shelf: Shelf, tmp_path: Path) -> Path:
    """A project whose encoder, processor and hook are those of acme 2.5."""
    points = {
        "encoder": {"acme.encoder": "acme:Encoder"},
        "processor": {"acme.processor": "acme:Processor"},
        "hooks": {"acme.hooks": "acme:Hooks"},
    }
    shelf.add("acme", points, CODE, version="2.5")
    folder = write_project(tmp_path / "project", steps=1, hooks=["acme.hooks"])
    spec = read_spec(folder)
    spec["model"]["encoder"] = "acme.encoder"
    spec["data"]["processor"] = {"acme.processor": {"max_length": 32}}
    write_spec(folder, spec)
    return folder


def tp(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), prog_name="tp")


def failing(project: Path, module: str, at: str, how: str = "error") -> list[str]:
    """The arguments of a command for the project with one module that fails."""
    place = {
        "encoder": "model.encoder.acme.encoder",
        "processor": "data.processor.acme.processor",
    }.get(module)
    if place is None:
        return [str(project / "spec.yaml"), f"train.hooks=[{{acme.hooks: {{at: {at}, how: {how}}}}}]"]
    start, _, name = place.partition(".acme.")
    sizes = "max_length: 32, " if module == "processor" else ""
    return [str(project / "spec.yaml"), f"{start}={{acme.{name}: {{{sizes}at: {at}, how: {how}}}}}"]


def is_one_message(result: Result, error: str) -> None:
    """The message of a failed command, which has the plugin's name and version, and no traceback."""
    said = result.output
    assert result.exit_code == 2, (said, result.exception)
    assert "acme 2.5 failed: " + error in said
    assert "Traceback" not in said
    assert said.count("acme 2.5 failed") == 1


@pytest.mark.parametrize("at", ["check", "requires", "provides"])
@pytest.mark.parametrize("verb", ["check", "show"])
def test_what_fails_while_a_spec_is_checked_is_told_at_its_module(project: Path, verb: str, at: str) -> None:
    result = tp(verb, *failing(project, "encoder", at))
    is_one_message(result, "ZeroDivisionError: by zero")
    assert "model.encoder.acme.encoder: acme 2.5" in result.output


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("key", "KeyError: 'colour'"),
        ("exit", "SystemExit: 0"),
        ("base", "Stop: stop"),
        ("silent", "Silent"),
    ],
)
@pytest.mark.parametrize(("verb", "module", "at"), [("check", "encoder", "check"), ("train", "hooks", "step_end")])
def test_any_exception_but_an_interrupt_is_a_message(
    project: Path, monkeypatch: pytest.MonkeyPatch, verb: str, module: str, at: str, how: str, said: str
) -> None:
    monkeypatch.chdir(project)
    is_one_message(tp(verb, *failing(project, module, at, how)), said)


@pytest.mark.parametrize(
    ("verb", "module", "at"),
    [
        ("check", "encoder", "check"),
        ("train", "hooks", "step_end"),
        ("train", "encoder", "forward"),
        ("train", "processor", "prepare"),
    ],
)
def test_a_file_that_a_plugin_does_not_find_is_its_failure(
    project: Path, monkeypatch: pytest.MonkeyPatch, verb: str, module: str, at: str
) -> None:
    monkeypatch.chdir(project)
    result = tp(verb, *failing(project, module, at, "file"))
    is_one_message(result, "FileNotFoundError: [Errno 2] No such file")


def test_a_validator_that_fails_is_told_at_its_options(project: Path) -> None:
    result = tp("check", *failing(project, "encoder", "nowhere", "broken validator"))
    is_one_message(result, "ZeroDivisionError: by zero")
    assert "model.encoder.acme.encoder: " in result.output


@pytest.mark.parametrize("at", ["build", "check"])
def test_what_a_hook_raises_in_a_check_is_a_message(project: Path, at: str) -> None:
    is_one_message(tp("check", *failing(project, "hooks", at)), "ZeroDivisionError")


@pytest.mark.parametrize(
    ("module", "at", "workers"),
    [
        ("encoder", "build", 0),
        ("encoder", "forward", 0),
        ("processor", "build", 0),
        ("processor", "prepare", 0),
        ("processor", "sample", 0),
        ("processor", "sample", 1),
        ("processor", "collate", 1),
        ("hooks", "build", 0),
        ("hooks", "model_built", 0),
        ("hooks", "train_end", 0),
    ],
)
def test_what_fails_in_training_is_a_message(
    project: Path, monkeypatch: pytest.MonkeyPatch, module: str, at: str, workers: int
) -> None:
    monkeypatch.chdir(project)
    is_one_message(tp("train", *failing(project, module, at), f"train.workers={workers}"), "ZeroDivisionError: by zero")


def test_an_exit_of_a_processor_in_a_worker_is_a_message(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    result = tp("train", *failing(project, "processor", "sample", "exit"), "train.workers=1")
    is_one_message(result, "SystemExit: 0")


def test_the_traceback_is_behind_an_option_and_in_a_file_of_the_run(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    shown = tp("train", *failing(project, "hooks", "train_end"), "--traceback")
    written = (project / "runs" / "spec" / "traceback.txt").read_text()
    for text in (shown.output, written):
        assert 'in tp_train_end\n    self.own.fail("train_end")' in text
        assert text.startswith("Traceback") or "\nTraceback" in text
    assert "acme 2.5 failed" in shown.output
    checked = tp("check", *failing(project, "encoder", "check"), "--traceback")
    assert 'self.fail("check")' in checked.output


def test_training_from_python_raises_what_a_hook_raises_so_that_a_caller_can_catch_it(
    project: Path, tmp_path: Path
) -> None:
    spec = load_spec(project / "spec.yaml", ["train.hooks=[{acme.hooks: {at: step_end}}]"])
    with pytest.raises(ZeroDivisionError):
        train(spec, tmp_path / "run")
    assert "ZeroDivisionError" in (tmp_path / "run" / "traceback.txt").read_text()


def test_a_file_beside_the_spec_that_fails_is_a_message_with_its_line(tmp_path: Path) -> None:
    code = (
        "from tp_core.modules.encoders.transformer_options import TransformerConfig\nclass Config(TransformerConfig):\n"
    )
    (tmp_path / "mine.py").write_text(code + "    def check(self, context):\n        return 1 // 0\n")
    spec = "model: {hidden_size: 16, vocab_size: 50, embedding: word, encoder: {mine:Config: {num_heads: 2}}}\n"
    (tmp_path / "spec.yaml").write_text(spec)
    result = tp("check", str(tmp_path / "spec.yaml"))
    assert result.exit_code == 2
    assert "model.encoder.mine:Config: the local file mine.py failed: ZeroDivisionError: " in result.output
    assert "mine.py, line 4, in check)" in result.output


def test_a_method_that_a_module_lacks_is_the_plugins_failure(shelf: Shelf, tmp_path: Path) -> None:
    code = "from tp_core import EncoderConfig\nclass Config(EncoderConfig):\n    hidden_size: int = 16\n"
    shelf.encoder("acme", code, version="2.5")
    folder = write_project(tmp_path / "project", steps=1)
    spec = read_spec(folder)
    spec["model"] = {"hidden_size": 16, "embedding": ["word"], "encoder": "acme.gates", "target": ["mlm", "sp"]}
    write_spec(folder, spec)
    result = tp("train", str(folder / "spec.yaml"), "--run", str(tmp_path / "run"))
    is_one_message(result, "TypeError: Config has neither an implementation nor a build() of its own")


def test_a_method_that_takes_other_arguments_is_the_plugins_failure(project: Path, shelf: Shelf) -> None:
    file = shelf.folder / "acme.py"
    file.write_text(file.read_text().replace("def prepare(self, *arguments):", "def prepare(self):"))
    result = tp("preprocess", str(project / "spec.yaml"))
    is_one_message(result, "TypeError: Made.prepare() takes 1 positional argument but 3 were given")


@pytest.mark.parametrize("ending", ["raise SystemExit(3)", "ctx.exit(3)"])
def test_a_plugins_command_ends_as_it_likes(shelf: Shelf, ending: str) -> None:
    code = f"import click\n@click.command()\n@click.pass_context\ndef run(ctx):\n    {ending}\n"
    shelf.add("acme", {"commands": {"acme": "acme:run"}}, code)
    assert tp("acme").exit_code == 3


def test_an_exception_of_a_plugins_command_is_a_message(shelf: Shelf) -> None:
    code = "import click\n@click.command()\ndef run():\n    {}['colour']\n"
    shelf.add("acme", {"commands": {"acme": "acme:run"}}, code, version="2.5")
    is_one_message(tp("acme"), "KeyError: 'colour'")


@pytest.mark.parametrize(
    "noise", ["print('hello')", "import os; os.system('echo hello')", "import sys; sys.stdout.write('hello\\n')"]
)
def test_what_a_plugin_prints_at_import_does_not_spoil_json(
    shelf: Shelf, capfd: pytest.CaptureFixture[str], noise: str
) -> None:
    from tests.core.runs import command

    shelf.encoder(
        "acme", noise + "\nfrom tp_core.modules.encoders.transformer_options import TransformerConfig as Config\n"
    )
    done = command("-m", "tp_core", "modules", "--kind", "encoder", "--json", folder=shelf.folder)
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    assert "acme" in {row["distribution"] for row in rows}
    assert "hello" in done.stderr


@pytest.mark.parametrize(
    ("method", "value", "expected"),
    [
        ("check", "['too narrow']", "gave back 'too narrow'; expected an iterable of Problem(option, message)"),
        ("check", "3", "gave back 3; expected an iterable of Problem(option, message)"),
        ("requires", "None", "gave back None; expected a dict of Ports and FieldSpecs"),
        ("provides", "[]", "gave back a list; expected a dict of Ports and FieldSpecs"),
        ("withdraws", "None", "gave back None; expected a collection of published Ports"),
        ("files", "None", "gave back None; expected a dict of options and paths"),
    ],
)
def test_a_method_that_gives_back_something_else_is_told_at_its_module(
    project: Path, shelf: Shelf, method: str, value: str, expected: str
) -> None:
    code = f"\nclass Encoder(TransformerConfig):\n    def {method}(self, *arguments):\n        return {value}\n"
    (shelf.folder / "acme.py").write_text(CODE + code)
    result = tp("check", str(project / "spec.yaml"))
    assert result.exit_code == 2, result.output
    assert f"model.encoder.acme.encoder: acme 2.5 failed: Encoder.{method}() {expected}" in result.output


@pytest.mark.parametrize("method", ["length_limit", "published_facts"])
def test_what_fails_while_the_facts_of_the_model_are_gathered_is_told_at_its_module(
    project: Path, shelf: Shelf, method: str
) -> None:
    code = f"""
from tp_core.modules.embeddings.position_options import LearnedPositionConfig

class Position(LearnedPositionConfig):
    "Positions that fail."

    def {method}(self):
        raise ZeroDivisionError("by zero")
"""
    (shelf.folder / "acme.py").write_text(CODE + code)
    spec = read_spec(project)
    spec["model"]["embedding"] = ["word", "acme:Position"]
    write_spec(project, spec)
    result = tp("check", str(project / "spec.yaml"))
    is_one_message(result, "ZeroDivisionError: by zero")
    assert "model.embedding.acme:Position: acme 2.5" in result.output


BUILDS = """
from tp_core import LoggerConfig, OptimizerConfig, ScheduleConfig, SourceConfig, StrategyConfig, TokenizerConfig
from tp_core import NormConfig, Strategy

def config(base, made=lambda self: 3):
    class Config(base):
        def build(self, *arguments):
            return made(self)
    return Config

Log, Times, Optim, Tokens, Records, Plan, Norm = map(
    config, (LoggerConfig, ScheduleConfig, OptimizerConfig, TokenizerConfig, SourceConfig, StrategyConfig, NormConfig)
)

class Own(Strategy):
    pass

def strategy(**methods):
    class Altered(Own):
        pass
    for name, value in methods.items():
        setattr(Altered, name, lambda self, *arguments, value=value: value)
    return config(StrategyConfig, lambda self: Altered())

Wraps, Makes, Passes = strategy(wrap=3), strategy(make_optimizer=None), strategy(forward_backward=())
Applies, States = strategy(apply=(1, 2)), strategy(snapshot=None)
"""


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("train.loggers=[wrong:Log]", "build() gave back 3; expected a Logger"),
        ("train.schedule=wrong:Times", "build() gave back 3; expected a Schedule"),
        ("train.optimizer=wrong:Optim", "build() gave back 3; expected an Optimizer"),
        ("data.tokenizer=wrong:Tokens", "build() gave back 3; expected a Tokenizer"),
        ("data.train={wrong:Records: {}}", "build() gave back 3; expected a Source"),
        ("model.encoder={transformer: {norm: wrong:Norm}}", "build() gave back 3; expected a torch module"),
        ("train.strategy=wrong:Plan", "build() gave back 3; expected a Strategy"),
        ("train.strategy=wrong:Wraps", "wrap() gave back 3; expected a torch module"),
        ("train.strategy=wrong:Makes", "make_optimizer() gave back None; expected a torch optimizer"),
        ("train.strategy=wrong:Passes", "forward_backward() gave back a tuple; expected a ModelOutput"),
        ("train.strategy=wrong:Applies", "apply() gave back a tuple; expected an Applied"),
        ("train.strategy=wrong:States", "snapshot() gave back None; expected a Snapshot"),
    ],
)
def test_what_a_module_of_a_run_gives_back_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, said: str
) -> None:
    write_project(tmp_path, steps=2)
    (tmp_path / "wrong.py").write_text(BUILDS)
    monkeypatch.chdir(tmp_path)
    result = tp("train", str(tmp_path / "spec.yaml"), "--run", str(tmp_path / "run"), option)
    assert result.exit_code == 2
    assert "the local file wrong.py failed: " in result.output
    assert said in result.output
    assert "Traceback" not in result.output


def test_a_build_that_gives_back_nothing_is_the_plugins_failure(project: Path, shelf: Shelf, tmp_path: Path) -> None:
    code = "\nclass Encoder(TransformerConfig):\n    def build(self, context):\n        pass\n"
    (shelf.folder / "acme.py").write_text(CODE + code)
    result = tp("train", str(project / "spec.yaml"), "--run", str(tmp_path / "run"))
    assert result.exit_code == 2
    assert "acme 2.5 failed: Encoder.build() gave back None; expected a torch module" in result.output


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("'no licence'", "error: no licence\n"),
        ("3", "error: a hook's tp_check gave back 3; expected messages, or None\n"),
    ],
)
def test_what_a_check_of_a_hook_gives_back_is_messages(project: Path, shelf: Shelf, value: str, said: str) -> None:
    (shelf.folder / "acme.py").write_text(CODE.replace('self.own.fail("check")', f"return {value}"))
    assert tp("check", str(project / "spec.yaml")).output == said
