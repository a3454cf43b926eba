"""``linear_cross_entropy`` against torch's ``cross_entropy`` of all logits, in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tp_core.interfaces import IGNORE
from tp_core.modules.layers import cross_entropy
from tp_core.modules.layers.cross_entropy import linear_cross_entropy
from tp_core.modules.layers.maxima import row_maxima

ROWS, SIZE, VOCABULARY = 11, 6, 13


def data(bias: bool = True, ignored: bool = True) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
    generator = torch.Generator().manual_seed(0)
    states, weight = (torch.randn(n, SIZE, generator=generator) for n in (ROWS, VOCABULARY))
    labels = torch.randint(0, VOCABULARY, (ROWS,), generator=generator)
    if ignored:
        labels[::3] = IGNORE
    return states, weight, torch.randn(VOCABULARY, generator=generator) if bias else None, labels


def in_float64(
    states: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    labels: Tensor,
    smoothing: float = 0.0,
    z: float = 0.0,
    cap: float | None = None,
) -> tuple[Tensor, list[Tensor]]:
    """The loss and the gradients, from all logits."""
    leaves = [t.detach().double().requires_grad_() for t in (states, weight, bias) if t is not None]
    logits = F.linear(*leaves)
    logits = logits if cap is None else cap * torch.tanh(logits / cap)
    loss = F.cross_entropy(logits, labels, reduction="sum", ignore_index=IGNORE, label_smoothing=smoothing)
    loss = loss + z * (logits.logsumexp(1).square() * (labels != IGNORE)).sum()
    return loss.detach(), list(torch.autograd.grad(3 * loss, leaves))


def ours(
    states: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor, **options: Any
) -> tuple[Tensor, list[Tensor], Tensor]:
    leaves = [None if t is None else t.detach().clone().requires_grad_() for t in (states, weight, bias)]
    assert leaves[0] is not None
    assert leaves[1] is not None
    loss, correct = linear_cross_entropy(leaves[0], leaves[1], leaves[2], labels, **options)
    (3 * loss).backward()  # type: ignore[no-untyped-call]
    given = [leaf.grad for leaf in leaves if leaf is not None and leaf.grad is not None]
    return loss.detach(), given, correct


def gap(found: list[Tensor], wanted: list[Tensor]) -> float:
    assert len(found) == len(wanted)
    return max((a.double() - b).abs().max().item() for a, b in zip(found, wanted))


@pytest.mark.parametrize("rows_per_chunk", [1, 4, 5, 11, 100])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("z_loss", [0.0, 0.01])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("soft_cap", [None, 1.5, 30.0])
def test_value_and_gradients_are_those_of_all_logits(
    monkeypatch: pytest.MonkeyPatch,
    record_property: Any,
    rows_per_chunk: int,
    smoothing: float,
    z_loss: float,
    bias: bool,
    soft_cap: float | None,
) -> None:
    monkeypatch.setattr(cross_entropy, "_CPU_ELEMENTS", rows_per_chunk * VOCABULARY)
    inputs = data(bias)
    loss, wanted = in_float64(*inputs, smoothing, z_loss, soft_cap)
    value, found, _ = ours(*inputs, label_smoothing=smoothing, z_loss=z_loss, soft_cap=soft_cap)
    difference = max(abs(value.item() - loss.item()) / abs(loss.item()), gap(found, wanted))
    record_property("difference", difference)
    assert difference < 1e-5


def test_a_vocabulary_larger_than_a_chunk_is_done_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_entropy, "_CPU_ELEMENTS", 3)
    inputs = data()
    loss, wanted = in_float64(*inputs)
    value, found, _ = ours(*inputs)
    assert value.item() == pytest.approx(loss.item(), rel=1e-6)
    assert gap(found, wanted) < 1e-5


def test_large_scores_do_not_overflow() -> None:
    states, weight, bias, labels = data()
    loss, wanted = in_float64(100 * states, 30 * weight, bias, labels)
    value, found, _ = ours(100 * states, 30 * weight, bias, labels)
    assert value.item() == pytest.approx(loss.item(), rel=1e-5)
    assert all(each.isfinite().all() for each in found)
    assert gap(found[:1], wanted[:1]) < 1e-2


def test_all_labels_ignored_gives_zero_and_zero_gradients() -> None:
    states, weight, bias, labels = data()
    value, found, correct = ours(states, weight, bias, torch.full_like(labels, IGNORE), label_smoothing=0.1, z_loss=1.0)
    assert (value.item(), correct.item()) == (0, 0)
    assert len(found) == 3
    assert not any(each.any() for each in found)


def test_no_rows_give_zero() -> None:
    states, weight, bias, labels = data()
    value, found, _ = ours(states[:0], weight, bias, labels[:0])
    assert value.item() == 0
    assert [tuple(each.shape) for each in found] == [(0, SIZE), (VOCABULARY, SIZE), (VOCABULARY,)]


@pytest.mark.parametrize("wanted", [(True, False, False), (False, True, False), (False, False, True)])
def test_only_what_requires_a_gradient_gets_one(wanted: tuple[bool, ...]) -> None:
    states, weight, bias, labels = data()
    assert bias is not None
    leaves = [t.clone().requires_grad_(w) for t, w in zip((states, weight, bias), wanted)]
    linear_cross_entropy(leaves[0], leaves[1], leaves[2], labels)[0].backward()  # type: ignore[no-untyped-call]
    assert tuple(leaf.grad is not None for leaf in leaves) == wanted
    (found,) = [leaf.grad for leaf in leaves if leaf.grad is not None]
    expected = in_float64(states, weight, bias, labels)[1][wanted.index(True)] / 3
    assert gap([found], [expected]) < 1e-5


def test_without_gradients_the_value_is_the_same() -> None:
    states, weight, bias, labels = data()
    with torch.no_grad():
        loss, correct = linear_cross_entropy(states, weight, bias, labels)
    assert not loss.requires_grad
    assert loss.item() == pytest.approx(in_float64(states, weight, bias, labels)[0].item(), rel=1e-6)
    best = F.linear(states, weight, bias).argmax(1)
    assert correct.item() == (best == labels).sum().item()


def test_without_gradients_nothing_is_computed_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a gradient was computed")

    states, weight, bias, labels = data()
    states.requires_grad_()
    monkeypatch.setattr(torch, "mm", refuse)
    with torch.no_grad():
        linear_cross_entropy(states, weight, bias, labels)
    with pytest.raises(AssertionError, match="a gradient was computed"):
        linear_cross_entropy(states, weight, bias, labels)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("rows_per_chunk", [2, 100])
def test_autocast_stays_within_the_lower_precision(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, rows_per_chunk: int
) -> None:
    monkeypatch.setattr(cross_entropy, "_CPU_ELEMENTS", rows_per_chunk * VOCABULARY)
    inputs = data()
    loss, wanted = in_float64(*inputs, 0.1, 0.01)
    with torch.autocast("cpu", dtype=dtype):
        value, found, _ = ours(*inputs, label_smoothing=0.1, z_loss=0.01)
    unit = torch.finfo(dtype).eps
    assert [each.dtype for each in found] == [torch.float32] * 3
    assert value.item() == pytest.approx(loss.item(), rel=2 * unit)
    for each, reference in zip(found, wanted):
        scale = reference.abs().max().item()
        assert (each.double() - reference).abs().max().item() < 4 * unit * scale


def test_states_of_a_lower_precision_keep_it_and_the_weights_keep_theirs() -> None:
    states, weight, bias, labels = data()
    value, found, _ = ours(states.bfloat16(), weight, bias, labels)
    assert [each.dtype for each in found] == [torch.bfloat16, torch.float32, torch.float32]
    assert value.dtype == torch.float32
    assert math.isfinite(value.item())


# -- right predictions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [1, 2, 1000, 2048, 2049, 5000, 8191, 30522])
@pytest.mark.parametrize("levels", [1, 2, 200])
def test_the_first_of_equal_maxima_is_found(classes: int, levels: int) -> None:
    scores = torch.randint(0, levels, (50, classes), generator=torch.Generator().manual_seed(classes)).float()
    highest, place = row_maxima(scores)
    assert np.array_equal(place.squeeze(1), scores.numpy().argmax(axis=1))
    assert torch.equal(place.squeeze(1), scores.argmax(dim=1))
    assert torch.equal(highest, scores.amax(dim=1, keepdim=True))


@pytest.mark.parametrize("negative", [True, False])
def test_the_last_class_of_an_odd_number_is_found_and_no_other_in_its_place(negative: bool) -> None:
    scores = torch.full((3, 2051), -torch.inf if negative else 0.0)
    scores[0, 2050], scores[1, 2049], scores[2, 0] = 1.0, 1.0, 1.0
    assert row_maxima(scores)[1].squeeze(1).tolist() == [2050, 2049, 0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("vocabulary", [7, 3001])
def test_a_tie_is_right_only_where_argmax_says_so(vocabulary: int, dtype: torch.dtype) -> None:
    """Scores of few different values: of nearly every row, several classes share the highest."""
    generator = torch.Generator().manual_seed(0)
    states = torch.randint(-1, 2, (400, 4), generator=generator).to(dtype)
    weight = torch.randint(-1, 2, (vocabulary, 4), generator=generator).to(dtype)
    scores = states.float() @ weight.float().T
    best = scores.numpy().argmax(axis=1)
    tied = (scores == scores.amax(dim=1, keepdim=True)).sum(dim=1) > 1
    assert tied.float().mean() > 0.5
    # Half of the labels are what argmax finds, and half the last of the classes that are tied.
    last = vocabulary - 1 - scores.flip(1).numpy().argmax(axis=1)
    labels = torch.where(torch.arange(400) % 2 == 0, torch.from_numpy(best), torch.from_numpy(last))
    labels[::7] = IGNORE
    _, correct = linear_cross_entropy(states, weight, None, labels)
    assert correct.item() == (labels.numpy() == best).sum()
    highest = scores.gather(1, labels.clamp(min=0).unsqueeze(1)) == scores.amax(dim=1, keepdim=True)
    assert correct.item() < 0.8 * (highest.squeeze(1) & (labels != IGNORE)).sum()
