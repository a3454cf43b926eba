"""Adversarial training with the hooks fgm and pgd: the gradients of the papers' formulas, and what the hooks refuse."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from tests.core import own_passes, runs
from tests.core.hooked_steps import WORDS, prepared, result_of, step
from tp_core import TPError, load_spec
from tp_core.hookspecs import hook_manager, run_checks
from tp_core.model import Model, build_model
from tp_core.testing import check_module
from tp_core.testing.batches import random_batch
from tp_core.training.hooks.fgm import Fgm
from tp_core.training.hooks.moves import moved, moved_weights
from tp_core.training.hooks.options import FgmConfig, PgdConfig, RDropConfig
from tp_core.training.hooks.pgd import Pgd
from tp_core.training.hooks.rdrop import RDrop

POSITIONS = "embedding.parts.pos.table.weight"


def batches_of(model: Model, count: int) -> list[Any]:
    """Micro-batches with padding, of different lengths."""
    return [random_batch(model, lengths) for lengths in ([7, 5, 6], [4, 8, 3], [2, 9])[:count]]


def gradients(model: Model, batches: list[Any], moves: dict[str, Tensor]) -> dict[str, Tensor]:
    """The gradient of the loss of all batches together, with constants added to some weights."""
    counts = dict(zip(model.named_targets(), sum(model.denominators(batch) for batch in batches)))
    weights = {name: weight.detach().clone().requires_grad_() for name, weight in model.named_parameters()}
    changed = {name: weight + moves[name] if name in moves else weight for name, weight in weights.items()}
    outputs = [functional_call(model, changed, (batch, counts), tie_weights=True) for batch in batches]
    found = torch.autograd.grad(sum(each.loss for each in outputs), list(weights.values()), allow_unused=True)
    return {
        name: torch.zeros_like(weight) if new is None else new for (name, weight), new in zip(weights.items(), found)
    }


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    for name, wanted in expected.items():
        torch.testing.assert_close(found[name], wanted, rtol=1e-7, atol=1e-10, msg=name)


def double(tmp_path: Path, dropout: float = 0.0) -> tuple[Model, Any, Any, dict[str, Tensor]]:
    """A small BERT with float64 weights, its strategy and optimizer, and a copy of its weights."""
    model, strategy, config = prepared(tmp_path, dropout)
    model.double()
    return model, strategy, config, {name: value.clone() for name, value in model.weights().items()}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_fgm_adds_the_gradient_at_the_weights_moved_along_the_gradient_of_the_whole_step(
    tmp_path: Path, count: int
) -> None:
    model, strategy, config, weights = double(tmp_path)
    batches = batches_of(model, count)
    found = step(model, strategy, config, Fgm(FgmConfig(epsilon=0.7)), batches)
    model.load_weights(weights)
    clean = gradients(model, batches, {})
    further = gradients(model, batches, {WORDS: 0.7 * clean[WORDS] / clean[WORDS].norm()})
    assert not torch.allclose(clean[WORDS], further[WORDS], rtol=1e-2)
    assert_same(found, {name: clean[name] + further[name] for name in clean})


def test_fgm_moves_each_named_module_by_a_length_of_its_own(tmp_path: Path) -> None:
    model, strategy, config, weights = double(tmp_path)
    batches = batches_of(model, 2)
    found = step(model, strategy, config, Fgm(FgmConfig(epsilon=0.4, parts=["embedding.pos", "word"])), batches)
    model.load_weights(weights)
    clean = gradients(model, batches, {})
    moves = {name: 0.4 * clean[name] / clean[name].norm() for name in (WORDS, POSITIONS)}
    further = gradients(model, batches, moves)
    assert_same(found, {name: clean[name] + further[name] for name in clean})


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(("steps", "alpha", "epsilon"), [(1, 0.3, 1.0), (3, 0.3, 1.0), (4, 0.5, 0.8), (1, 0.5, 0.2)])
def test_pgd_adds_the_gradient_after_its_last_step_alone(
    tmp_path: Path, count: int, steps: int, alpha: float, epsilon: float
) -> None:
    model, strategy, config, weights = double(tmp_path)
    batches = batches_of(model, count)
    found = step(model, strategy, config, Pgd(PgdConfig(epsilon=epsilon, alpha=alpha, steps=steps)), batches)
    model.load_weights(weights)
    clean = gradients(model, batches, {})
    move, last = torch.zeros_like(clean[WORDS]), clean
    for _ in range(steps):
        move = move + alpha * last[WORDS] / last[WORDS].norm()
        move = move * min(1.0, epsilon / float(move.norm()))
        last = gradients(model, batches, {WORDS: move})
    assert move.norm() <= epsilon + 1e-9
    assert_same(found, {name: clean[name] + last[name] for name in clean})


def test_with_other_hooks_the_moved_passes_have_their_loss(tmp_path: Path) -> None:
    """R-Drop without dropout has a divergence of 0, and a wrapper doubles the loss: so do the moved passes."""
    model, strategy, config, weights = double(tmp_path)
    batches = batches_of(model, 2)
    hooks = [Fgm(FgmConfig(epsilon=0.7)), RDrop(RDropConfig(target="sp")), own_passes.Louder()]
    _, found = result_of(model, strategy, config, hooks, batches)
    model.load_weights(weights)
    clean = gradients(model, batches, {})
    further = gradients(model, batches, {WORDS: 0.7 * clean[WORDS] / clean[WORDS].norm()})
    assert_same(found, {name: 2 * clean[name] + 2 * further[name] for name in clean})


def with_scale(strategy: Any, scale: float) -> None:
    """Set the scale of the loss in half precision, when the optimizer is made."""
    make = strategy.make_optimizer

    def scaled(*arguments: Any) -> Any:
        made = make(*arguments)
        if strategy.adapts_scale:
            strategy._update.scale.fill_(scale)
        return made

    strategy.make_optimizer = scaled


@pytest.mark.parametrize("hook", [Fgm(FgmConfig()), Pgd(PgdConfig())])
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_reduced_precision_moves_nearly_as_far(tmp_path: Path, hook: object, precision: str) -> None:
    model, strategy, config = prepared(tmp_path, 0.0)
    weights = {name: value.clone() for name, value in model.weights().items()}
    batches = batches_of(model, 2)
    expected = step(model, strategy, config, hook, batches)
    model.load_weights(weights)
    strategy.options = strategy.options.model_copy(update={"precision": precision})
    with_scale(strategy, 128.0)
    found = step(model, strategy, config, hook, batches)
    whole = [torch.cat([each[name].flatten() for name in expected]) for each in (found, expected)]
    assert (whole[0] - whole[1]).norm() < 0.05 * whole[1].norm()


@pytest.mark.parametrize("hook", [Fgm(FgmConfig()), Pgd(PgdConfig())])
def test_an_overflow_of_half_precision_moves_nothing_and_skips_the_step(tmp_path: Path, hook: object) -> None:
    model, strategy, config = prepared(tmp_path, 0.0)
    strategy.options = strategy.options.model_copy(update={"precision": "fp16"})
    batches = batches_of(model, 1)
    with_scale(strategy, 1e38)
    result, found = result_of(model, strategy, config, [hook], batches)
    assert result.skipped
    assert result.finite  # the losses of the further passes too
    assert not any(change.any() for change in found.values())


@pytest.mark.parametrize("hook", [Fgm(FgmConfig(parts=["seg"])), Pgd(PgdConfig(parts=["seg"]))])
def test_weights_that_no_batch_reaches_do_not_move(tmp_path: Path, hook: object) -> None:
    model, strategy, config, weights = double(tmp_path)
    table = dict(model.named_parameters())["embedding.parts.seg.table.weight"]
    table.register_hook(torch.zeros_like)  # a gradient of 0 has no direction
    batches = batches_of(model, 1)
    found = step(model, strategy, config, hook, batches)
    model.load_weights(weights)
    clean = gradients(model, batches, {})
    assert_same(found, {name: 2 * clean[name] for name in clean if ".seg." not in name})
    assert not found["embedding.parts.seg.table.weight"].any()


def test_weights_are_as_before_bit_for_bit_also_after_an_error() -> None:
    weight = torch.nn.Parameter(torch.randn(50, 3))
    before = weight.detach().clone()
    with moved([weight], [torch.randn(50, 3) * 1e3]):
        assert not torch.equal(weight, before)
    assert torch.equal(weight, before)
    with pytest.raises(RuntimeError, match="a pass"), moved([weight], [torch.randn(50, 3)]):
        raise RuntimeError("a pass")
    assert torch.equal(weight, before)


# -- which weights ---------------------------------------------------------------------------------------------------

SMALL = {"hidden_size": 16, "num_layers": 1, "num_heads": 2, "feed_forward_size": 32, "vocab_size": 40}
SIDE = {"embedding": ["word", "seg"], "encoder": "transformer"}
PAIR = {**SMALL, "streams": {"a": SIDE, "b": {**SIDE, "embedding": ["word"]}}, "target": [{"clr": {}}]}
TWINS = {**PAIR, "streams": {"a": SIDE, "b": "a"}}
ONE = {**SMALL, **SIDE, "target": "mlm"}
DECODER = {**SMALL, **SIDE, "target_embedding": ["word", "pos"], "decoder": "transformer", "target": "lm"}
TARGET_WORDS = "target_embedding.parts.word.table.weight"
SEGMENTS = "embedding.parts.seg.table.weight"


@pytest.mark.parametrize(
    ("model", "parts", "expected"),
    [
        (ONE, None, [[WORDS]]),
        (ONE, ["seg", "embedding.word", "seg"], [[SEGMENTS], [WORDS]]),
        (DECODER, None, [[WORDS]]),
        (DECODER, ["word"], [[WORDS], [TARGET_WORDS]]),
        (DECODER, ["target_embedding.word"], [[TARGET_WORDS]]),
        ({**DECODER, "share_embeddings": True}, ["word"], [[WORDS]]),
        (PAIR, None, [[f"streams.a.{WORDS}"], [f"streams.b.{WORDS}"]]),
        (PAIR, ["b.word", "seg"], [[f"streams.b.{WORDS}"], [f"streams.a.{SEGMENTS}"]]),
        (TWINS, None, [[f"streams.a.{WORDS}"]]),
    ],
)
def test_the_weights_that_move_are_chosen_by_the_names_of_the_spec(
    model: dict[str, Any], parts: list[str] | None, expected: list[list[str]]
) -> None:
    built = build_model(load_spec({"model": model}))
    own = {id(weight): name for name, weight in built.named_parameters()}
    assert [[own[id(weight)] for weight in weights] for weights in moved_weights(built, "fgm", parts)] == expected


BERT = {**ONE, "embedding": ["word", "sinusoidal", "seg"]}


@pytest.mark.parametrize(
    ("hooks", "message"),
    [
        (
            [{"fgm": {"parts": ["words"]}}],
            "train.hooks.fgm.parts: the model has no embedding module 'words'; did you mean 'word'?",
        ),
        (
            [{"pgd": {"parts": ["target_embedding.word"]}}],
            "train.hooks.pgd.parts: the model has no embedding module 'target_embedding.word'; did you mean "
            "'embedding.word'?",
        ),
        (
            [{"pgd": {"parts": ["x"]}}],
            "train.hooks.pgd.parts: the model has no embedding module 'x'; they are embedding.word, "
            "embedding.sinusoidal, embedding.seg",
        ),
        (
            [{"fgm": {"parts": ["sinusoidal"]}}],
            "train.hooks.fgm.parts: the embedding module 'embedding.sinusoidal' has no weights that are trained; "
            "name others of: embedding.word, embedding.sinusoidal, embedding.seg",
        ),
        (
            ["fgm", "pgd"],
            "train.hooks: fgm and pgd cannot be used together: each follows the gradient of all passes before it, "
            "also those of the other; choose one",
        ),
    ],
)
def test_what_cannot_work_is_a_message_of_the_check(hooks: list[Any], message: str) -> None:
    spec = load_spec({"model": BERT, "train": {"hooks": hooks}})
    with pytest.raises(TPError) as caught:
        run_checks(hook_manager((hook.name, hook.config.build()) for hook in spec.train.hooks), spec)
    assert str(caught.value) == message


def test_weights_that_another_hook_freezes_are_reported_at_the_start() -> None:
    model = build_model(load_spec({"model": BERT}))
    model.embedding.parts["word"].requires_grad_(False)
    with pytest.raises(TPError, match=r"'embedding.word' has no weights that are trained"):
        moved_weights(model, "fgm", None)


@pytest.mark.parametrize("hook", ["fgm", "pgd", "rdrop"])
def test_the_hooks_meet_the_contracts_of_their_kind(hook: str) -> None:
    check_module(hook, "hooks")


# -- whole runs --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adversarial")
    runs.write_project(folder, steps=6, checkpoint_every=3, log_every=1)
    spec = runs.read_spec(folder)
    spec["model"]["dropout"] = 0.0
    runs.write_spec(folder, spec)
    return folder


@pytest.mark.parametrize("hook", ["fgm", "pgd"])
def test_processes_and_micro_batches_do_not_change_what_is_learned(home: Path, hook: str) -> None:
    own = f"train.hooks=[{hook}: {{epsilon: 0.5}}]"
    runs.train(home, "--run", f"{hook}-one", own)
    runs.train(home, "--run", f"{hook}-parts", own, "train.accumulate=4")
    runs.train_pair(home, "--run", f"{hook}-two", own, "train.accumulate=2")
    runs.train_pair(home, "--run", f"{hook}-static", own, "train.strategy={ddp: {static_graph: true}}")
    runs.train(home, "--run", f"{hook}-none")
    expected, none = (runs.metrics(home / f"{hook}-{name}") for name in ("one", "none"))
    for name in ("parts", "two", "static"):
        for ours, theirs in zip(runs.metrics(home / f"{hook}-{name}"), expected, strict=True):
            assert ours == pytest.approx(theirs, rel=1e-4), name
    assert [line["grad_norm"] for line in expected] != pytest.approx([line["grad_norm"] for line in none], rel=0.01)


def test_a_run_goes_on_bit_for_bit_and_shows_the_divergence(home: Path) -> None:
    own = ("train.hooks=[{pgd: {steps: 2}}, {rdrop: {target: sp}}]", "model.dropout=0.1")
    runs.train(home, "--run", "both", *own)
    assert all(line["loss/rdrop"] > 0 for line in runs.metrics(home / "both") if "loss" in line)
    run = home / "both-again"
    shutil.copytree(home / "both", run)
    for gone in ("checkpoints/step_000006", "model"):
        shutil.rmtree(run / gone)
    runs.train(home, "--run", run.name, "--resume", *own)
    runs.assert_same_run(run, home / "both")


NOT_ADDED = """
from tp_core import HooksConfig, hookimpl

class Passes:
    @hookimpl
    def tp_further_passes(self, trainer):
        return [trainer.strategy.gradients_set_aside()]

class Config(HooksConfig):
    def build(self):
        return Passes()
"""


def test_a_last_pass_whose_gradients_are_set_aside_is_refused(home: Path) -> None:
    (home / "not_added.py").write_text(NOT_ADDED)
    said = runs.train(home, "--run", "not-added", "train.hooks=[not_added:Config]", status=2)
    assert "the last context of a hook's tp_further_passes sets its gradients aside" in said
    assert "Traceback" not in said
