"""The last layer computes only the positions that targets read; losses and gradients are those of all positions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tp_core import model as composition
from tp_core.interfaces import Sequence
from tp_core.model import build_model
from tp_core.modules.layers import transformer_stack
from tp_core.modules.layers.positions_read import states_among, states_at
from tp_core.packages.plugin_errors import PluginError
from tp_core.testing.batches import random_batch
from tp_core.testing.specs import minimal_spec

LENGTHS = [24, 3, 9, 17, 1, 12, 5, 22]


def model_of(layers: dict[str, Any], targets: list[Any], **more: Any) -> Any:
    layers = {"num_layers": 2, **layers}
    if "mixer" not in layers:
        layers["num_heads"] = 2
    tree = {"hidden_size": 16, "embedding": ["word"], "encoder": {"transformer": layers}, "target": targets, **more}
    return build_model(minimal_spec(tree), seed=3).eval()


def loss_and_gradients(model: Any, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
    model.zero_grad()
    torch.manual_seed(0)
    loss = model(batch).loss
    loss.backward()
    return loss.detach(), {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of positions per sample that last layers have computed."""
    found: list[int] = []

    def spread(states: Tensor, positions: Tensor, length: int) -> Tensor:
        found.append(states.shape[1])
        return states_among(states, positions, length)

    monkeypatch.setattr(transformer_stack, "states_among", spread)
    return found


def check(model: Any, monkeypatch: pytest.MonkeyPatch, lengths: list[int] = LENGTHS) -> None:
    batch = random_batch(model, lengths)
    some = loss_and_gradients(model, batch)
    monkeypatch.setattr(composition, "for_readers", lambda sequence, *_: sequence)
    whole = loss_and_gradients(model, batch)
    assert torch.allclose(some[0], whole[0], rtol=1e-5)
    for name in {*some[1], *whole[1]}:
        one, other = (each[1].get(name, torch.zeros(())) for each in (some, whole))
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-5), name


CLS = {"cls": {"num_labels": 3}}
LAST = {"cls": {"num_labels": 3, "pooling": "last"}}


@pytest.mark.parametrize("target", [CLS, LAST])
@pytest.mark.parametrize(
    "layers",
    [
        {},
        {"norm_position": "pre"},
        {"norm_position": "both", "layer_scale": 0.5},
        {"parallel": True, "norm_position": "pre"},
        {"share_layers": True},
        {"mixer": {"attention": {"num_heads": 2, "positions": "rotary"}}},
        {"mixer": {"attention": {"num_heads": 2, "positions": "relative"}}},
        {"mixer": {"attention": {"num_heads": 4, "num_key_value_heads": 2, "window": 3}}},
        {"mixer": {"attention": {"num_heads": 2, "residual": True}}},
        {"mixer": {"attention": {"num_heads": 2, "soft_cap": 5.0}}},
        {"mixer": {"fourier": {"padding": False}}},
        {"mixer": "tests.core.odd_compositions:MeanSoFarConfig"},
    ],
)
def test_losses_and_gradients_are_those_of_all_positions(
    layers: dict[str, Any], target: Any, computed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    check(model_of(layers, [target]), monkeypatch)
    assert computed == [1]


@pytest.mark.parametrize("options", [{}, {"soft_cap": 5.0}, {"positions": "alibi"}])
@pytest.mark.parametrize("lengths", [LENGTHS, [8, 8, 8]])
def test_causal_models_are_read_at_their_last_positions(
    options: dict[str, Any], lengths: list[int], computed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    mixer = {"attention": {"num_heads": 2, "mask": "causal", **options}}
    check(model_of({"mixer": mixer}, [LAST]), monkeypatch, lengths)
    assert computed == [1]


def test_targets_that_read_the_same_position_both_train_the_encoder(
    computed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    check(
        model_of({}, [CLS, {"cls": {"name": "two", "num_labels": 3}}, {"regression": {"pooling": "last"}}]), monkeypatch
    )
    assert computed == [3]


def test_masked_language_models_read_the_masked_positions(computed: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of({}, ["mlm", "sp"])
    batch = random_batch(model, LENGTHS)
    labels = torch.full((len(LENGTHS), 3), -100)
    positions = torch.zeros(len(LENGTHS), 3, dtype=torch.int64)
    for row, length in enumerate(LENGTHS):  # the other places are unused
        count = min(3, length)
        positions[row, :count], labels[row, :count] = torch.arange(length - count, length), 5
    batch.labels["mlm"] = {"labels": labels, "positions": positions}
    some = loss_and_gradients(model, batch)
    assert computed == [4]
    monkeypatch.setattr(composition, "for_readers", lambda sequence, *_: sequence)
    whole = loss_and_gradients(model, batch)
    assert torch.allclose(some[0], whole[0], rtol=1e-5)
    assert all(torch.allclose(some[1][name], whole[1][name], rtol=1e-4, atol=1e-5) for name in whole[1])


@pytest.mark.parametrize(
    "target", [{"cls": {"name": "mean", "num_labels": 3, "pooling": "mean"}}, {"token_cls": {"num_labels": 3}}]
)
def test_a_target_that_reads_all_positions_gets_all(target: Any, computed: list[int]) -> None:
    model = model_of({}, [CLS, target])
    assert model(random_batch(model, LENGTHS)).loss.isfinite()
    assert computed == []


def test_the_decoder_computes_what_targets_read_and_the_encoder_everything(
    computed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = {"transformer": {"num_layers": 2, "num_heads": 2}}
    check(model_of({}, [LAST], target_embedding=["word"], decoder=decoder), monkeypatch)
    assert computed == [1]


def test_recomputed_activations_give_the_same_gradients() -> None:
    model = model_of({}, [CLS]).train()
    batch = random_batch(model, LENGTHS)
    kept = loss_and_gradients(model, batch)
    model.checkpoint_activations()
    again = loss_and_gradients(model, batch)
    assert all(torch.equal(kept[1][name], again[1][name]) for name in kept[1])


def test_the_features_of_other_readers_have_all_positions(computed: list[int]) -> None:
    model = model_of({}, [CLS])
    states = model.encode(random_batch(model, LENGTHS)).sequence.states
    assert computed == []
    assert bool((states[0] != 0).any(dim=-1).all())


def test_repeated_positions_count_once() -> None:
    states = torch.randn(2, 5, 3, requires_grad=True)
    positions = torch.tensor([[4, 4, 0], [1, 2, 1]])
    spread = states_among(states_at(states, positions), positions, 5)
    expected = torch.zeros(2, 5)
    expected[0, [0, 4]] = expected[1, [1, 2]] = 1
    assert torch.equal(spread, states * expected.unsqueeze(-1))
    spread.sum().backward()
    assert states.grad is not None
    assert torch.equal(states.grad[..., 0], expected)


def test_positions_of_another_shape_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of({}, [CLS])

    def wrong(sequence: Sequence, *_: Any) -> Tensor:
        return sequence.real().long().argmax(dim=1)

    monkeypatch.setattr(model.named_targets()["cls"], "read_positions", wrong)
    with pytest.raises(PluginError, match=r"read_positions.*expected int64 \(batch, number\)"):
        model(random_batch(model, LENGTHS))


def test_positions_of_padding_may_be_read(computed: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of({}, [CLS])

    def far(sequence: Sequence, *_: Any) -> Tensor:
        first = torch.zeros(len(sequence.states), 1, dtype=torch.int64)
        return torch.cat([first, first + sequence.states.shape[1] - 1], dim=1)

    monkeypatch.setattr(model.named_targets()["cls"], "read_positions", far)
    check(model, monkeypatch)
    assert computed == [2]
