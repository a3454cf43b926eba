"""The classification of tokens, with and without a conditional random field."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
import torch

from tp_core.interfaces import IGNORE, Batch, Features, Sequence
from tp_core.modules.layers.crf import LinearChainCRF
from tp_core.modules.targets.token_classification_options import TokenClassificationConfig
from tp_core.options.context import BuildContext
from tp_core.testing import check_module


@pytest.mark.parametrize("options", [{}, {"num_labels": 5, "label_smoothing": 0.1}, {"num_labels": 4, "crf": True}])
def test_the_target_conforms(options: dict[str, Any]) -> None:
    check_module("token_cls", "target", options)


def scored(crf: LinearChainCRF, emissions: np.ndarray, labels: tuple[int, ...]) -> float:
    """The score of a sequence of labels, by its definition."""
    start, end, steps = (each.detach().double().numpy() for each in (crf.start, crf.end, crf.transitions))
    inside = sum(emissions[place, label] for place, label in enumerate(labels))
    return float(start[labels[0]] + inside + sum(steps[a, b] for a, b in pairwise(labels)) + end[labels[-1]])


@pytest.mark.parametrize(("labels", "lengths"), [(2, [1, 4, 3]), (3, [5, 0, 1, 2]), (4, [4])])
def test_a_crf_sums_over_all_sequences_and_finds_the_best(labels: int, lengths: list[int]) -> None:
    rng = np.random.default_rng(labels)
    crf = LinearChainCRF(labels)
    with torch.no_grad():
        for weight in crf.parameters():
            weight.copy_(torch.from_numpy(rng.normal(size=weight.shape)))
    width = max(lengths)
    emissions = rng.normal(size=(len(lengths), width, labels))
    gold = rng.integers(0, labels, (len(lengths), width))
    real = torch.arange(width) < torch.tensor(lengths)[:, None]
    expected, best = 0.0, []
    for row, length in enumerate(lengths):
        if not length:
            best.append(())
            continue
        every = {each: scored(crf, emissions[row], each) for each in product(range(labels), repeat=length)}
        expected += np.logaddexp.reduce(list(every.values())) - every[tuple(gold[row, :length])]
        best.append(max(every, key=lambda each: every[each]))
    marked = torch.from_numpy(gold).masked_fill(~real, IGNORE)
    found = crf(torch.from_numpy(emissions).float(), marked, real)
    assert found.item() == pytest.approx(expected, rel=1e-5)
    decoded = crf.decode(torch.from_numpy(emissions).float(), real).tolist()
    assert [tuple(row[:length]) for row, length in zip(decoded, lengths)] == best


def made(**options: Any) -> Any:
    torch.manual_seed(0)
    target = TokenClassificationConfig(num_labels=3, dropout=0.0, **options).build(BuildContext(hidden_size=6))
    target.name = "token_cls"
    return target.eval()


@pytest.mark.parametrize("crf", [False, True])
def test_only_given_positions_count(crf: bool) -> None:
    """Labels at positions are those of the whole sequence with the other places taken out."""
    target = made(crf=crf)
    states = torch.randn(2, 7, 6)
    positions = torch.tensor([[1, 2, 5], [3, -1, -1]])
    labels = torch.tensor([[0, 2, 1], [2, IGNORE, IGNORE]])
    batch = Batch.of({}, 2, labels={"token_cls": {"positions": positions, "labels": labels}})
    found = target(Features(Sequence(states, torch.ones(2, 7, dtype=torch.bool))), batch)
    short = torch.stack([states[0, [1, 2, 5]], states[1, [3, 3, 3]]])
    mask = torch.tensor([[True] * 3, [True, False, False]])
    alone = target(Features(Sequence(short, mask)), Batch.of({}, 2, labels={"token_cls": {"labels": labels}}))
    assert float(found.denominator) == 4
    assert torch.allclose(found.loss_sum, alone.loss_sum, atol=1e-6)
    predicted = target.predict(Features(Sequence(states, torch.ones(2, 7, dtype=torch.bool))), batch)
    assert [len(each["labels"]) for each in predicted] == [3, 1]
    right = sum(a == b for a, b in zip(predicted[0]["labels"] + predicted[1]["labels"], [0, 2, 1, 2]))
    assert float(found.metrics["accuracy"][0]) == right


def test_the_loss_is_the_mean_cross_entropy_of_labelled_tokens() -> None:
    target = made()
    states, labels = torch.randn(2, 5, 6), torch.tensor([[0, 1, 2, 0, 1], [2, 1, IGNORE, IGNORE, IGNORE]])
    mask = torch.tensor([[True] * 5, [True] * 2 + [False] * 3])
    found = target(Features(Sequence(states, mask)), Batch.of({}, 2, labels={"token_cls": {"labels": labels}}))
    logits = (states.double() @ target.classifier.weight.double().T + target.classifier.bias.double()).log_softmax(-1)
    expected = -sum(logits[row, place, labels[row, place]] for row in range(2) for place in range([5, 2][row]))
    assert float(found.loss_sum) == pytest.approx(expected.item(), rel=1e-5)
    assert float(found.denominator) == 7
