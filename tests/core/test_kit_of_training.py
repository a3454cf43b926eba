"""The conformance kit on optimizers, schedules, loggers, strategies, hooks, presets and commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.core import odd_training
from tests.core.shelf import Shelf
from tests.core.shelf import shelf as shelf
from tp_core import discovery
from tp_core.testing import check_module


def names(kind: str) -> list[str]:
    return discovery.index().names(kind)


@pytest.mark.parametrize("name", names("optimizer"))
def test_the_optimizers_conform(name: str) -> None:
    check_module(name)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("adamw", {"bias_correction": False}),
        ("adafactor", {"beta1": 0.9, "scale_parameter": True, "relative_step": True}),
        ("sgd", {"nesterov": True}),
        ("sgd", {"momentum": 0.0}),
    ],
)
def test_variants_of_the_optimizers_conform(name: str, options: dict[str, Any]) -> None:
    check_module(name, "optimizer", options)


@pytest.mark.parametrize("name", names("schedule"))
def test_the_schedules_conform(name: str) -> None:
    check_module(name)
    check_module(name, "schedule", {"warmup": 0.2})


def test_the_logger_of_tensorboard_conforms() -> None:
    check_module("tensorboard")


@pytest.mark.parametrize("name", names("strategy"))
def test_the_strategies_conform(name: str) -> None:
    check_module(name)


@pytest.mark.parametrize("name", names("commands"))
def test_the_commands_conform(name: str) -> None:
    check_module(name, "commands")


@pytest.mark.parametrize("name", ["bert-tiny", "vit-tiny", "clip-vit-base-patch32"])
def test_presets_conform(name: str) -> None:
    check_module(name, "presets")


def test_modules_of_a_kind_of_another_package_conform(shelf: Shelf) -> None:
    check_module("random_projection")
    check_module(odd_training.PlainCodecConfig)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Climbs", "100 steps change the quadratic from"),
        ("Rests", "step() does not change a matrix of weights"),
        ("KeepsRate", "a step with the learning rate 0 changes the weights; read group['lr']"),
        ("OneGroup", "a group's own learning rate has no effect; read the options of each group"),
        ("NoDecay", "weights with weight_decay 0.5 and a zero gradient do not change"),
        ("NeedsGradients", "step() with a weight that has no gradient raises AttributeError"),
        ("HiddenMomentum", "after its state is saved and loaded, its updates differ"),
        ("UndeclaredState", "its state for 42 weights has 168 bytes; state_memory() says 0"),
        ("IgnoresScale", "gradients times 4 with grad_scale 4 give another update"),
        ("IgnoresFlag", "a step with found_inf 1 changes the weights or the state"),
        ("Counts", "if the steps are computed in another order; a resumed run"),
        ("Negative", "of a run of 2 steps is -0.5; expected a number from 0 to 1"),
        ("FailsAtTheEnd", "the factor at step 1 of a run of 1 steps raises ZeroDivisionError"),
        ("GoesOn", "the factor after a run of 1 steps changes from"),
        ("NoWarmup", "the factors of a warm-up of 4 steps are 1, 1, 1, 1, 1"),
        ("Nothing", "all steps of a run of 1 steps have the factor 0"),
        ("Truncates", "after the run is resumed at step 19; a logger must keep everything"),
        ("Overwrites", "it changes metrics.jsonl, a file of the run itself"),
        ("NoPictures", "logging a run that begins raises NotImplementedError: no pictures"),
        ("Created", "logging a run that goes on from step 19 raises FileExistsError"),
        ("NoLogger", "build() gives a list; expected a tp_core.Logger"),
        ("HalfGradients", "forward_backward() makes another gradient of"),
        ("OtherStart", "place() gives other initial values than the strategy single"),
        ("LosesState", "restore() gives another state of the optimizer than that of the snapshot"),
        ("Deaf", "Deaf implements no hook; mark its methods with tp_core.hookimpl: tp_check"),
        ("Misheard", "there is no hook 'tp_step_ended'; did you mean 'tp_step_end'?"),
        ("WrongArguments", "is built with (options) but takes (config: 'Any', context: 'Any')"),
        (
            "MissingImplementation",
            "its implementation 'tests.core.nowhere:Odd' cannot be imported: ModuleNotFoundError",
        ),
        ("SetOption", "the resolved options cannot be written to a spec"),
        ("ChangesOption", "the resolved options load to others"),
        ("NoDocstring", "the config class has no docstring"),
    ],
)
def test_a_broken_contract_is_named(name: str, message: str) -> None:
    config = getattr(odd_training, f"{name}Config")
    with pytest.raises(AssertionError) as caught:
        check_module(config)
    assert str(caught.value).startswith(f"{config.kind} 'tests.core.odd_training:{name}Config': ")
    assert message in str(caught.value)


def test_options_that_are_refused_are_named() -> None:
    with pytest.raises(AssertionError, match="nesterov: looks ahead along the momentum, which is 0"):
        check_module("sgd", options={"nesterov": True, "momentum": 0.0})
    with pytest.raises(AssertionError, match=r"optimizer 'adamw': the options are refused: (.|\n)*lr"):
        check_module("adamw", options={"lr": -1.0})


def test_arguments_that_a_kind_does_not_take_or_lacks_are_named() -> None:
    with pytest.raises(TypeError, match="of the kind schedule takes no 'records'; it only takes options"):
        check_module("linear", records=[])
    with pytest.raises(TypeError, match="of the kind processor takes no 'text'; it takes records, tokenizer, data"):
        check_module("image", "processor", text="")
    with pytest.raises(TypeError, match="of the kind processor needs 'records'"):
        check_module("image", "processor")


PRESETS = {
    "acme-bare": ("extends: bert-tiny\n", "has no description; its first line must be a comment"),
    "acme-wrong": ("# A model.\nmodel: {hidden_sise: 3}\n", "did you mean 'hidden_size'"),
}


@pytest.mark.parametrize("name", PRESETS)
def test_what_is_wrong_with_a_preset_is_named(shelf: Shelf, name: str) -> None:
    content, message = PRESETS[name]
    shelf.add("acme", {"presets": {name: "acme_presets"}})
    folder = shelf.folder / "acme_presets"
    folder.mkdir()
    (folder / "__init__.py").touch()
    Path(folder, f"{name}.yaml").write_text(content)
    with pytest.raises(AssertionError, match=f"presets '{name}': (.|\n)*{message}"):
        check_module(name)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("hello = print\n", "it is a builtin_function_or_method; expected a click command"),
        ("import click\n@click.command()\ndef hello(): pass\n", "it has no docstring"),
        ("hello = 1 / 0\n", "division by zero"),
    ],
)
def test_what_is_wrong_with_a_command_is_named(shelf: Shelf, code: str, message: str) -> None:
    shelf.add("acme", {"commands": {"hello": "acme:hello"}}, code)
    with pytest.raises(AssertionError, match=f"commands 'hello': (.|\n)*{message}"):
        check_module("hello")
