"""Tests of hooks that change what a micro-batch is trained on: R-Drop, adversarial training, state with tensors."""

from __future__ import annotations

import contextlib
import enum
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.core import own_passes, runs
from tests.core.hooked_steps import WORDS, prepared, step
from tp_core import TPError
from tp_core.model import Model
from tp_core.testing.batches import random_batch
from tp_core.training.hook_state import kept
from tp_core.training.nonfinite import NonfiniteWatch
from tp_core.training.optimizers.groups import checked_groups, parameter_groups
from tp_core.training.step import training_step


def assert_gradients(found: dict[str, Tensor], model: Model, loss: Tensor) -> None:
    expected = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    for (name, parameter), gradient in zip(model.named_parameters(), expected):
        wanted = torch.zeros_like(parameter) if gradient is None else gradient
        torch.testing.assert_close(found[name], wanted, rtol=1e-4, atol=2e-6)


def test_r_drop_has_the_gradients_of_its_formula(tmp_path: Path) -> None:
    model, strategy, config = prepared(tmp_path, dropout=0.3)
    weights = {name: value.clone() for name, value in model.weights().items()}
    batch = random_batch(model, [7, 5, 6])
    torch.manual_seed(11)
    found = step(model, strategy, config, own_passes.RDrop("sp", 0.7), [batch])
    model.load_weights(weights)
    torch.manual_seed(11)
    losses, logits = [], []
    for _ in range(2):
        features = model.encode(batch)
        outputs = {name: target(features, batch) for name, target in model.named_targets().items()}
        losses.append(sum(each.loss_sum / each.denominator for each in outputs.values()))
        logits.append(model.named_targets()["sp"].logits(features, batch)[0].softmax(dim=-1))
    p, q = logits
    apart = (p * (p / q).log()).sum() + (q * (q / p).log()).sum()
    assert apart > 1e-4  # dropout is another in the second pass
    assert_gradients(found, model, (losses[0] + losses[1]) / 2 + 0.7 * apart / 2 / len(p))


@pytest.mark.parametrize("count", [1, 2])
def test_adversarial_training_adds_the_gradients_at_the_moved_weights(tmp_path: Path, count: int) -> None:
    model, strategy, config = prepared(tmp_path, dropout=0.0)
    weights = {name: value.clone() for name, value in model.weights().items()}
    batches = [random_batch(model, [7, 5, 6]), random_batch(model, [4, 8, 3])][:count]
    found = step(model, strategy, config, own_passes.Adversarial(0.5), batches)
    model.load_weights(weights)
    counts = sum(model.denominators(batch) for batch in batches)
    denominators = dict(zip(model.named_targets(), counts))
    parameters = [each for _, each in model.named_parameters()]
    words = dict(model.named_parameters())[WORDS]
    total = [torch.zeros_like(each) for each in parameters]
    before = words.detach().clone()
    for further in (False, True):
        if further:  # along the gradient of all micro-batches
            gradient = next(each for each, own in zip(total, parameters) if own is words)
            words.data += 0.5 * gradient / gradient.norm()
        for batch in batches:
            own = torch.autograd.grad(model(batch, denominators).loss, parameters, allow_unused=True)
            total = [each if new is None else each + new for each, new in zip(total, own)]
    words.data.copy_(before)
    for (name, _), expected in zip(model.named_parameters(), total):
        torch.testing.assert_close(found[name], expected, rtol=1e-4, atol=2e-6)


def test_a_wrapper_adds_to_what_the_model_gives(tmp_path: Path) -> None:
    model, strategy, config = prepared(tmp_path, dropout=0.0)
    weights = {name: value.clone() for name, value in model.weights().items()}
    batch = random_batch(model, [7, 5])
    found = step(model, strategy, config, own_passes.Louder(), [batch])
    model.load_weights(weights)
    assert_gradients(found, model, model(batch).loss * 2)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("passes")
    runs.write_project(folder, steps=6, checkpoint_every=3, log_every=1)
    spec = runs.read_spec(folder)
    spec["model"]["dropout"] = 0.0
    runs.write_spec(folder, spec)
    shutil.copy(Path(__file__).with_name("own_passes.py"), folder)
    return folder


@pytest.mark.parametrize("hook", ["own_passes:AdversarialConfig", "own_passes:RDropConfig"])
def test_two_processes_train_as_one_does_with_further_passes(home: Path, hook: str) -> None:
    name = hook.partition(":")[2]
    runs.train(home, "--run", f"{name}-one", f"train.hooks=[{hook}]")
    runs.train_pair(home, "--run", f"{name}-two", f"train.hooks=[{hook}]")
    runs.train(home, "--run", f"{name}-none")
    one, two, none = (runs.metrics(home / f"{name}-{which}") for which in ("one", "two", "none"))
    for ours, theirs in zip(two, one, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
    norms = [[line["grad_norm"] for line in lines] for lines in (one, none)]
    assert (norms[0] != pytest.approx(norms[1], rel=0.01)) == ("Adversarial" in hook)  # without dropout, R-Drop adds 0


ONE_SIDED = """
import contextlib
import torch
from tp_core import HooksConfig, hookimpl

class OneSided:
    @hookimpl
    def tp_further_passes(self, trainer):
        return [self.read(trainer)]

    @contextlib.contextmanager
    def read(self, trainer):
        weight, rank = next(trainer.model.parameters()), trainer.strategy.rank
        own = weight.grad.clone()
        if rank == 1:
            weight.grad = None
        found = trainer.strategy.gradient(weight)
        if rank == 0:
            assert own.any() and torch.equal(found, own / 2)
        else:
            assert found.any()
        weight.grad = None
        assert trainer.strategy.gradient(weight) is None
        yield

class Config(HooksConfig):
    def build(self):
        return OneSided()
"""


def test_the_gradient_is_that_of_the_processes_whose_batches_reach_the_weight(home: Path) -> None:
    (home / "one_sided.py").write_text(ONE_SIDED)
    runs.train_pair(home, "--run", "one-sided", "train.hooks=[one_sided:Config]", "train.steps=2")


def test_the_state_of_hooks_holds_tensors_and_goes_on_bit_for_bit(home: Path) -> None:
    hooks = "train.hooks=[own_passes:AverageConfig]"
    runs.train(home, "--run", "averaged", hooks)
    run = home / "averaged-again"
    shutil.copytree(home / "averaged", run)
    for gone in ("checkpoints/step_000006", "model"):
        shutil.rmtree(run / gone)
    (run / "average.pt").unlink()
    runs.train(home, "--run", run.name, "--resume", hooks)
    runs.assert_same_run(run, home / "averaged")
    found, expected = (torch.load(each / "average.pt", weights_only=True) for each in (run, home / "averaged"))
    runs.assert_same_weights(found, expected)
    last = runs.weights(home / "averaged")
    assert any(not torch.equal(value.float(), last[name]) for name, value in found.items())


def test_what_a_checkpoint_cannot_hold_is_named_with_its_place() -> None:
    held = kept({"a": [1, (2.5, None)], "t": torch.ones(2)}, "own")
    assert held["a"] == [1, [2.5, None]]
    assert torch.equal(held["t"], torch.ones(2))
    with pytest.raises(TPError, match=r"hooks save: own\.a\[1\]: expected a tensor or a JSON value, got \{2\}"):
        kept({"a": [1, {2}]}, "own")
    with pytest.raises(TPError, match="expected a tensor or a JSON value, got nan"):
        kept(float("nan"), "own")
    with pytest.raises(
        TPError, match=r"hooks save: own: expected .*, got a dictionary with the key 3, which is no text"
    ):
        kept({"own": {3: 1}}, "")


def test_the_state_of_hooks_has_plain_types_which_torch_loads_without_unpickling_classes(tmp_path: Path) -> None:
    class Phase(enum.IntEnum):
        WARM = 3

    class Name(str):
        pass

    found = kept({Name("phase"): Phase.WARM, "best": np.float64(2.5), "names": (Name("a"), True)}, "")
    torch.save(found, tmp_path / "state.pt")
    assert torch.load(tmp_path / "state.pt", weights_only=True) == {"phase": 3, "best": 2.5, "names": ["a", True]}


WRONG = """
import contextlib
import torch
from tp_core import HooksConfig, hookimpl

class Forward:
    def __init__(self, change):
        self.change = change

    @hookimpl(wrapper=True)
    def tp_forward(self):
        return self.change((yield))

class Passes:
    def __init__(self, context):
        self.context = context

    @hookimpl
    def tp_further_passes(self, trainer):
        return [self.context(trainer)]

def with_loss(output, loss, **losses):
    output.loss = loss
    output.losses |= losses
    return output

@contextlib.contextmanager
def weights_are_nan(trainer):
    weights = [weight.detach().clone() for weight in trainer.model.parameters()]
    with torch.no_grad():
        for weight in trainer.model.parameters():
            weight.fill_(float("nan"))
    yield
    with torch.no_grad():
        for weight, before in zip(trainer.model.parameters(), weights):
            weight.copy_(before)

def config(make, *arguments):
    class Config(HooksConfig):
        def build(self):
            return make(*arguments)
    return Config

Number = config(Forward, lambda output: 3)
Vector = config(Forward, lambda output: with_loss(output, output.loss.expand(2)))
Detached = config(Forward, lambda output: with_loss(output, output.loss.detach()))
Named = config(Forward, lambda output: with_loss(output, output.loss, penalty=1.5))
NanLoss = config(Forward, lambda output: with_loss(output, output.loss * float("nan"), penalty=output.loss.detach()))
Contexts = config(Passes, lambda trainer: 3)
NanPass = config(Passes, weights_are_nan)
"""


@pytest.mark.parametrize(
    ("hook", "message"),
    [
        ("Number", "a hook's tp_forward gave back 3; expected the ModelOutput of the batch"),
        ("Vector", "a hook's tp_forward gave an output whose loss is a tensor of shape (2,); expected a scalar tensor"),
        ("Detached", "a hook's tp_forward gave an output whose loss has no gradient"),
        ("Named", "a hook's tp_forward gave an output whose losses['penalty'] is 1.5; expected a scalar tensor"),
        ("NanLoss", "step 1: a loss that a hook makes is not finite; the update was not applied"),
        ("Contexts", "a hook's tp_further_passes gave 3; expected context managers"),
        ("NanPass", "step 1: a loss that a hook makes is not finite; the update was not applied"),
    ],
)
def test_what_a_hook_gives_back_wrongly_is_one_message(home: Path, hook: str, message: str) -> None:
    (home / "wrong_hooks.py").write_text(WRONG)
    said = runs.train(home, "--run", hook, f"train.hooks=[wrong_hooks:{hook}]", status=2)
    assert message in said
    assert "Traceback" not in said


def test_half_precision_reports_a_further_pass_that_is_not_finite(tmp_path: Path) -> None:
    """An overflow of half-precision gradients is normal; a loss that is not finite in a further pass is no overflow."""
    model, strategy, config = prepared(tmp_path, dropout=0.0)
    strategy.options = strategy.options.model_copy(update={"precision": "fp16"})
    batch = random_batch(model, [7, 5])
    strategy.make_optimizer(config, checked_groups(model, parameter_groups(model, config)))

    @contextlib.contextmanager
    def moved() -> Iterator[None]:
        weight = next(model.parameters())
        before = weight.detach().clone()
        with torch.no_grad():
            weight.fill_(float("nan"))
        yield
        with torch.no_grad():
            weight.copy_(before)

    watch = NonfiniteWatch(strategy, list(model.named_targets()))
    watch.record(1, training_step(model, strategy.wrap(model), strategy, [batch], 1.0, lambda _: [moved()]))
    assert watch.report() == "step 1: a loss that a hook makes is not finite; the update was not applied"
