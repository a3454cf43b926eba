"""Options name their modules by text, which no type checker reads: each name leads to a module that takes them."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tp_core import BuildContext, EmbeddingConfig, ModuleConfig, discovery
from tp_core.options.base import imported
from tp_core.testing.implementation import BUILT_WITH, check_implementation

#: Kinds whose modules are their options: nothing is built.
NOT_BUILT = {"converter"}

#: Kinds whose entries name no options.
WITHOUT_OPTIONS = {"presets", "commands"}

#: Classes that choose another one, and have no implementation.
CHOOSING = {"AutoConfig"}


def option_classes() -> list[type[ModuleConfig]]:
    """The options of all installed modules, each class once."""
    kinds = [kind for kind in discovery.index().kinds if kind not in WITHOUT_OPTIONS]
    entries = (entry for kind in kinds for entry in discovery.index().entries(kind))
    return list(dict.fromkeys(discovery.load(entry) for entry in entries))


@pytest.mark.parametrize("options", option_classes(), ids=lambda cls: cls.__name__)
def test_an_implementation_takes_what_it_is_built_with(options: type[ModuleConfig]) -> None:
    built = options.kind not in NOT_BUILT and options.__name__ not in CHOOSING
    assert bool(options.implementation) == built, f"{options.__name__} names no implementation"
    check_implementation(options)


def test_all_kinds_of_modules_that_are_built_are_looked_at() -> None:
    kinds = {cls.kind for cls in option_classes()}
    assert {*BUILT_WITH} <= kinds
    # A kind without a line of its own has a base that passes what only it knows.
    assert kinds - {*BUILT_WITH} <= NOT_BUILT | {"source"}
    assert len(option_classes()) > 100


@pytest.mark.parametrize("kind", BUILT_WITH)
def test_what_a_kind_passes_is_what_its_base_has(kind: str) -> None:
    """``build`` of the base takes what it passes on, but for what it computes."""
    base = imported(discovery.index().find(discovery.KINDS, kind).value)
    taken = list(inspect.signature(base.build).parameters)[1:]
    passed = [each for each in BUILT_WITH[kind] if each != "{config}"]
    assert len(taken) == len(passed), f"{base.__name__}.build takes {taken}, and passes {passed}"


class Unfitting:
    """Modules that cannot be built."""

    def __init__(self, config: TwoConfig, context: BuildContext, more: int) -> None:
        """Takes one argument more."""


class Misplaced:
    """Modules with the arguments the other way."""

    def __init__(self, context: BuildContext, config: ModuleConfig) -> None:
        """Takes the context first."""


class TwoConfig(EmbeddingConfig):
    """Takes too much."""

    implementation: ClassVar[str] = "Unfitting"


class ThreeConfig(EmbeddingConfig):
    """Takes the context first."""

    implementation: ClassVar[str] = "Misplaced"


class FourConfig(EmbeddingConfig):
    """Is nowhere."""

    implementation: ClassVar[str] = "Missing"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (TwoConfig, "Unfitting is built with (options, BuildContext) but takes"),
        (ThreeConfig, "is built with (options, BuildContext), but its 'context' is annotated as BuildContext"),
        (FourConfig, "its implementation 'Missing' cannot be imported: AttributeError"),
    ],
)
def test_an_implementation_that_cannot_be_built_is_named(options: Any, message: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_implementation(options)
    assert message in str(caught.value)


def test_options_without_an_implementation_say_so() -> None:
    class Bare(EmbeddingConfig):
        pass

    with pytest.raises(TypeError, match=r"Bare has neither an implementation nor a build\(\) of its own"):
        Bare().build(BuildContext())


def test_a_name_of_an_implementation_is_a_module_and_a_name_in_it() -> None:
    assert imported("tp_core.options.context:BuildContext") is BuildContext
    with pytest.raises(AttributeError):
        imported("tp_core.options.context:Missing")


def test_tensors_of_a_file_that_is_first_imported_when_a_model_is_built_have_their_values(tmp_path: Path) -> None:
    (tmp_path / "late_options.py").write_text(
        "from typing import ClassVar\n"
        "from tp_core import EncoderConfig\n\n\n"
        "class LateConfig(EncoderConfig):\n"
        '    """Adds numbers of its file."""\n\n'
        '    implementation: ClassVar[str] = "late:Late"\n'
    )
    (tmp_path / "late.py").write_text(
        "import torch\n"
        "from tp_core import Encoder\n\n"
        "NUMBERS = torch.arange(16.0)\n\n\n"
        "class Late(Encoder):\n"
        "    def __init__(self, config, context):\n"
        "        super().__init__()\n\n"
        "    def forward(self, sequence, kv_cache=None):\n"
        "        return sequence.with_states(sequence.states + NUMBERS)\n"
    )
    code = (
        "from tp_core import build_model, load_spec\n"
        "model = {'hidden_size': 16, 'vocab_size': 9, 'embedding': 'word', 'target': []}\n"
        "built = build_model(load_spec({'model': model | {'encoder': 'late_options:LateConfig'}}))\n"
        "import sys\n"
        "print(sys.modules[type(built.encoder).__module__].NUMBERS.sum().item())\n"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.stdout == "120.0\n", found.stderr
