"""Kinds of modules are declared by distributions, ours and others', and work alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from tests.core import runs
from tests.core.shelf import Shelf
from tests.core.shelf import shelf as shelf
from tp_core import SpecError, discovery, load_spec
from tp_core.cli.main import cli
from tp_core.options.base import ModuleConfig, imported
from tp_core.packages.defects import defects
from tp_core.spec.sections.train import TrainOptions

CODEC = """\
from typing import ClassVar

from tp_core import Chosen, EncoderConfig, ModuleConfig


class CodecConfig(ModuleConfig):
    "Base of codecs."

    kind: ClassVar[str] = "acme_codec"


class ZigzagConfig(CodecConfig):
    "To and fro."

    width: int = 3


class Config(EncoderConfig):
    "An encoder with a codec."

    codec: Chosen[CodecConfig]
"""

POINTS = {
    "kinds": {"acme_codec": "acme:CodecConfig"},
    "acme_codec": {"acme.zigzag": "acme:ZigzagConfig"},
    "encoder": {"acme.coded": "acme:Config"},
}


def spec(**encoder: Any) -> dict[str, Any]:
    return {"model": {"embedding": ["word"], "encoder": {"acme.coded": encoder}, "target": ["mlm"], "vocab_size": 20}}


@pytest.mark.parametrize("kind", ["optimizer", "schedule", "strategy", "logger", "source", "encoder", "processor"])
def test_a_kind_names_the_base_of_the_options_of_its_modules(kind: str) -> None:
    base = imported(discovery.index().find(discovery.KINDS, kind).value)
    for entry in discovery.index().entries(kind):
        assert issubclass(discovery.load(entry), base)
        assert issubclass(base, ModuleConfig)
        assert base.kind == kind


def test_a_package_opens_a_kind_and_an_option_chooses_from_it(shelf: Shelf) -> None:
    shelf.add("acme", POINTS, CODEC)
    assert "acme.zigzag" in CliRunner().invoke(cli, ["modules", "--kind", "acme_codec"]).output
    assert defects([str(shelf.folder)]) == []
    found = load_spec(spec(codec={"acme.zigzag": {"width": 5}})).model.streams[""].encoder
    assert found.config.codec.dump() == {"acme.zigzag": {"width": 5}}
    with pytest.raises(SpecError, match=r"unknown acme codec 'acme\.zigzak'; did you mean 'acme\.zigzag'"):
        load_spec(spec(codec="acme.zigzak"))
    with pytest.raises(SpecError, match=r"acme\.coded\.codec\.acme\.zigzag\.width: expected an integer"):
        load_spec(spec(codec={"acme.zigzag": {"width": "wide"}}))


def test_a_group_of_a_kind_that_nobody_declares_is_a_defect_and_its_modules_are_passed_over(shelf: Shelf) -> None:
    shelf.add("acme", {**POINTS, "kinds": {}}, CODEC)
    (defect,) = [each for each in defects([str(shelf.folder)]) if "acme_codec" in each.text]
    assert "unknown group 'tp.v1.acme_codec'" in defect.text
    assert "acme_codec" not in discovery.index().kinds


OWN = '''
from typing import ClassVar

import torch

from tp_core import OptimizerConfig, Schedule, ScheduleConfig


class SignConfig(OptimizerConfig):
    """The sign of the gradient."""

    implementation: ClassVar[str] = "Sign"


class Sign(torch.optim.Optimizer):
    def __init__(self, params):
        super().__init__(params, {})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    weight.sub_(weight.grad.sign(), alpha=group["lr"])


class HalvesConfig(ScheduleConfig):
    """Half the rate in the second half."""

    implementation: ClassVar[str] = "Halves"


class Halves(Schedule):
    def __init__(self, config, warmup, total_steps):
        super().__init__(warmup, total_steps)

    def after_warmup(self, step):
        return 1.0 if self.progress(step) < 0.5 else 0.5
'''


def test_an_optimizer_and_a_schedule_of_a_file_beside_the_spec_train_and_resume_exactly(tmp_path: Path) -> None:
    home = runs.write_project(tmp_path, steps=8, checkpoint_every=4, log_every=1)
    (home / "own.py").write_text(OWN)
    written = runs.read_spec(home)
    written["train"]["optimizer"] = {"own:SignConfig": {"lr": 0.001, "weight_decay": 0.0}}
    written["train"]["schedule"] = "own:HalvesConfig"
    runs.write_spec(home, written)
    runs.train(home, "--run", "whole")
    assert (home / "whole" / "own.py").read_text() == OWN  # the run has what it needs with it
    rates = [each["lr"] for each in runs.metrics(home / "whole") if "lr" in each]
    assert rates == [0.001] * 4 + [0.0005] * 4
    before, after = (runs.checkpoint_weights(home / "whole", step) for step in (4, 8))
    # Each of the four steps in between moves a weight by its rate, one way or the other.
    moved = {name: (after[name] - before[name]).abs().max().item() for name in before}
    assert max(moved.values()) == pytest.approx(4 * 0.0005, rel=1e-3)
    run = runs.start(home, "--run", "killed")
    run.wait_for(lambda: (home / "killed" / "checkpoints" / "step_000004").is_dir())
    run.kill()
    run.wait()
    runs.train(home, "--run", "killed", "--resume")
    runs.assert_same_run(home / "killed", home / "whole")


def test_an_optimizer_of_torch_leaves_out_a_step_that_is_not_finite() -> None:
    from tp_core.training.strategies.options import SingleConfig
    from tp_core.training.strategies.update import Update

    weight = nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([{"params": [weight], "lr": 0.1, "lr_factor": 1.0}], lr=0.1)
    strategy = SingleConfig().build()
    strategy.setup(TrainOptions(device="cpu"))
    update = Update(optimizer, strategy, clip_norm=1.0, half=False)
    weight.grad = torch.full((3,), float("nan"))
    assert update(0.1)[1].item() == 1
    assert torch.equal(weight.detach(), torch.ones(3))
    weight.grad = torch.tensor([3.0, 0.0, 4.0])  # of norm 5, clipped to 1
    assert update(0.1)[1].item() == 0
    assert torch.allclose(weight.detach(), torch.tensor([0.94, 1.0, 0.92]))
