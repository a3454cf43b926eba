"""The hook rdrop has the loss of its formula (Wu et al., 2021), and says what it cannot do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.core import runs
from tests.core.hooked_steps import prepared, result_of, step
from tp_core import TPError, load_spec
from tp_core.hookspecs import hook_manager, run_checks
from tp_core.model import Model, build_model
from tp_core.testing.batches import random_batch
from tp_core.training.hooks.options import RDropConfig
from tp_core.training.hooks.rdrop import RDrop


def scores(model: Model, features: Any) -> Tensor:
    """The logits of the sentence prediction, with its dropout."""
    target: Any = model.named_targets()["sp"]
    pooled = torch.tanh(target.dense(features.sequence.states[:, 0]))
    return target.classifier(target.dropout(pooled))


def losses(model: Model, batches: list[Any], alpha: float) -> Tensor:
    """The loss of a step by the formula, the logits of each pass computed once: those of loss and divergence."""
    counts = [sum(model.denominators(batch)[number] for batch in batches) for number in range(2)]
    loss = torch.zeros((), dtype=torch.float64)
    for batch in batches:
        passes = []
        for _ in range(2):
            features = model.encode(batch, readers=model.active(batch))
            masked = model.named_targets()["mlm"](features, batch).loss_sum
            chances = scores(model, features).softmax(dim=-1)
            labels = batch.labels["sp"]["labels"]
            known = labels != -100
            loss = loss + masked / counts[0] / 2
            loss = loss - chances[known, labels[known]].log().sum() / counts[1] / 2
            passes.append(chances[known])
        p, q = passes
        apart = ((p * (p / q).log()).sum() + (q * (q / p).log()).sum()) / 2
        loss = loss + alpha * apart / counts[1]
    return loss


@pytest.mark.parametrize("count", [1, 2])
def test_the_gradients_are_those_of_the_formula_with_dropout_also_before_the_logits(tmp_path: Path, count: int) -> None:
    model, strategy, config = prepared(tmp_path, dropout=0.3)
    model.double()
    target: Any = model.named_targets()["sp"]
    assert target.dropout.p > 0
    batches = [random_batch(model, lengths) for lengths in ([7, 5, 6], [4, 8])[:count]]
    batches[0].labels["sp"]["labels"][1] = -100  # a row without a label counts nowhere
    weights = {name: value.clone() for name, value in model.weights().items()}
    torch.manual_seed(11)
    found = step(model, strategy, config, RDrop(RDropConfig(target="sp", alpha=0.7)), batches)
    model.load_weights(weights)
    torch.manual_seed(11)
    expected = torch.autograd.grad(losses(model, batches, 0.7), list(model.parameters()), allow_unused=True)
    for (name, weight), gradient in zip(model.named_parameters(), expected):
        wanted = torch.zeros_like(weight) if gradient is None else gradient
        # A target's loss and the divergence are computed in float32.
        torch.testing.assert_close(found[name], wanted, rtol=1e-5, atol=1e-6, msg=name)


def test_the_reported_losses_are_means_of_the_passes_and_the_divergence(tmp_path: Path) -> None:
    model, strategy, config = prepared(tmp_path, dropout=0.3)
    batch = random_batch(model, [7, 5, 6])
    weights = {name: value.clone() for name, value in model.weights().items()}
    torch.manual_seed(5)
    result, _ = result_of(model, strategy, config, [RDrop(RDropConfig(target="sp", alpha=0.7))], [batch])
    model.load_weights(weights)
    torch.manual_seed(5)
    with torch.no_grad():
        torch.testing.assert_close(result.loss.double(), losses(model, [batch], 0.7), rtol=1e-5, atol=1e-6)
    assert result.losses["rdrop"] > 0
    total = result.losses["mlm"] + result.losses["sp"] + 0.7 * result.losses["rdrop"]
    torch.testing.assert_close(result.loss, total)


def test_a_position_without_a_label_is_not_compared() -> None:
    """Masked language model: each row is a position; logits of padding and of other positions count nowhere."""
    spec = load_spec({"model": {**MODEL, "target": "mlm"}})
    model = build_model(spec).train()
    batch = random_batch(model, [7, 4])
    denominators = {"mlm": model.denominators(batch)[0]}
    torch.manual_seed(3)
    with torch.no_grad():
        output = RDrop(RDropConfig()).tp_forward(model=model, batch=batch, denominators=denominators)
        assert output is not None
        torch.manual_seed(3)
        passes = []
        for _ in range(2):
            features = model.encode(batch, readers=model.active(batch))
            chances, labelled = model.named_targets()["mlm"].logits(features, batch)
            passes.append(chances[labelled].double().softmax(dim=-1))
        p, q = passes
        assert 0 < len(p) < 11
        apart = ((p * (p / q).log()).sum() + (q * (q / p).log()).sum()) / 2 / len(p)
        assert float(apart) > 1e-5
        torch.testing.assert_close(output.losses["rdrop"].double(), apart, rtol=1e-4, atol=1e-7)


def test_without_dropout_the_loss_is_the_usual_one() -> None:
    spec = load_spec({"model": {**MODEL, "target": ["mlm", {"sp": {"weight": 0.5}}]}})
    model = build_model(spec).eval()
    batch = random_batch(model, [7, 4])
    denominators = dict(zip(model.named_targets(), model.denominators(batch)))
    output = RDrop(RDropConfig(target="sp")).tp_forward(model=model, batch=batch, denominators=denominators)
    assert output is not None
    torch.testing.assert_close(output.loss, model(batch).loss)
    assert float(output.losses["rdrop"]) < 1e-6


def test_the_divergence_has_the_weight_of_its_target() -> None:
    found = []
    for weight in (1.0, 0.25):
        spec = load_spec({"model": {**MODEL, "target": [{"mlm": {"weight": weight}}]}})
        model = build_model(spec).train()
        torch.manual_seed(1)
        batch = random_batch(model, [7, 4])
        denominators = {"mlm": model.denominators(batch)[0]}
        output = RDrop(RDropConfig(alpha=2.0)).tp_forward(model=model, batch=batch, denominators=denominators)
        assert output is not None
        found.append(output.loss.detach())
    torch.testing.assert_close(found[0] * 0.25, found[1])


def test_a_batch_that_does_not_train_the_target_has_the_usual_loss() -> None:
    spec = load_spec({"model": {**MODEL, "target": ["mlm", "sp"]}})
    model = build_model(spec)
    batch = random_batch(model, [7, 4])
    batch.targets = ("mlm",)
    hook = RDrop(RDropConfig(target="sp"))
    assert hook.tp_forward(model=model, batch=batch, denominators={}) is None


MODEL: dict[str, Any] = {
    "hidden_size": 16,
    "num_layers": 1,
    "num_heads": 2,
    "feed_forward_size": 32,
    "vocab_size": 40,
    "embedding": ["word", "seg"],
    "encoder": "transformer",
}
CLR = {**MODEL, "target": "clr", "streams": {"a": {key: MODEL[key] for key in ("embedding", "encoder")}, "b": "a"}}
PAIR = {key: value for key, value in CLR.items() if key not in ("embedding", "encoder")}


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (
            {**MODEL, "target": ["mlm", "sp"]},
            {},
            "train.hooks.rdrop.target: several targets have logits; choose one of: mlm, sp",
        ),
        (
            {**MODEL, "target": ["mlm", "sp"]},
            {"target": "mln"},
            "train.hooks.rdrop.target: the model has no target 'mln' with logits; did you mean 'mlm'?",
        ),
        (PAIR, {}, "train.hooks.rdrop: no target of the model has logits, whose distributions could be compared"),
    ],
)
def test_a_target_without_distributions_is_a_message_of_the_check(
    model: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    assert checked(model, {"hooks": [{"rdrop": options}]}) == message


def test_a_compiled_model_is_refused() -> None:
    message = checked({**MODEL, "target": "mlm"}, {"hooks": ["rdrop"], "compile": True})
    assert message == "train.hooks.rdrop: has passes of its own, which train.compile does not reach; leave compile out"


def checked(model: dict[str, Any], train: dict[str, Any]) -> str:
    spec = load_spec({"model": model, "train": train})
    with pytest.raises(TPError) as caught:
        run_checks(hook_manager((hook.name, hook.config.build()) for hook in spec.train.hooks), spec)
    return str(caught.value)


def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    """Without dropout, all passes of all processes are equal: the loss is the usual one, divided exactly."""
    runs.write_project(tmp_path, steps=3, log_every=1, hooks=[{"rdrop": {"target": "mlm"}}])
    spec = runs.read_spec(tmp_path)
    spec["model"]["dropout"] = 0.0
    runs.write_spec(tmp_path, spec)
    runs.train(tmp_path, "--run", "one")
    runs.train_pair(tmp_path, "--run", "two", "train.accumulate=2")
    runs.train(tmp_path, "--run", "usual", "train.hooks=[]")
    one, two, usual = (runs.metrics(tmp_path / name) for name in ("one", "two", "usual"))
    for ours, theirs, plain in zip(two, one, usual, strict=True):
        assert ours.pop("loss/rdrop") == pytest.approx(theirs.pop("loss/rdrop"), abs=1e-6)
        assert ours == pytest.approx(theirs, rel=1e-4)
        assert theirs == pytest.approx(plain, rel=1e-4)
