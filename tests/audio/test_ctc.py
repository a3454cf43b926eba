"""The target ctc: its loss, its greedy search, its error rates."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.building import batch_of, build, randomised
from tp_audio.error_rate import character_errors, token_errors, word_errors
from tp_core import Model
from tp_core.interfaces import IGNORE, Batch

VOCABULARY = 7


def model(folder: Path, **options: Any) -> Model:
    parts = {
        "hidden_size": 8,
        "vocab_size": VOCABULARY,
        "embedding": {
            "modules": [{"speech": {"num_mel_bins": 6, "kernel_sizes": [3], "strides": [2]}}],
            "norm": "none",
        },
        "encoder": {"identity": {}},
        "target": [{"ctc": options}],
    }
    return randomised(build(folder, parts), std=0.7)


def example(lengths: list[int], labels: list[list[int]]) -> Batch:
    width = max(lengths)
    features = torch.randn(len(lengths), width, 6, generator=torch.Generator().manual_seed(1))
    mask = (torch.arange(width) < torch.tensor(lengths).unsqueeze(1)).long()
    longest = max(map(len, labels))
    rows = torch.tensor([row + [IGNORE] * (longest - len(row)) for row in labels])
    return batch_of({"ctc": {"labels": rows}}, input_features=features, attention_mask=mask)


def logits_of(made: Model, batch: Batch) -> tuple[Tensor, Tensor]:
    features = made.encode(batch)
    target: Any = made.targets["ctc"]
    return target.frame_logits(features.sequence), features.sequence.real().sum(dim=1)


def by_enumeration(logits: Tensor, text: list[int], blank: int) -> float:
    """Minus the log of the summed probability of every path that spells a text, in float64."""
    found = logits.double().log_softmax(dim=-1)
    total = []
    for path in itertools.product(range(VOCABULARY), repeat=len(found)):
        kept = [token for token, _ in itertools.groupby(path) if token != blank]
        if kept == text:
            total.append(sum(found[i, token] for i, token in enumerate(path)))
    return -torch.logsumexp(torch.stack(total), 0).item()  # type: ignore[arg-type]


@pytest.mark.parametrize("blank", [0, 6])
def test_the_loss_is_that_of_all_paths_that_spell_the_text(tmp_path: Path, blank: int) -> None:
    made = model(tmp_path, blank=blank, average="samples")
    labels = [[1, 2], [3, 3], [4]]
    batch = example([10, 7, 3], labels)
    logits, lengths = logits_of(made, batch)
    expected = [by_enumeration(row[:n], text, blank) for row, n, text in zip(logits, lengths.tolist(), labels)]
    assert lengths.tolist() == [5, 4, 2]
    assert made(batch).loss.item() == pytest.approx(sum(expected) / 3, abs=1e-5)


@pytest.mark.parametrize("average", ["tokens", "samples", "mean"])
def test_the_loss_is_averaged_as_the_option_says(tmp_path: Path, average: str) -> None:
    made = model(tmp_path, average=average)
    batch = example([20, 15, 9], [[1, 2, 2, 4], [3], [5, 6]])
    logits, lengths = logits_of(made, batch)
    labels, sizes = batch.labels["ctc"]["labels"], torch.tensor([4, 1, 2])
    found = logits.log_softmax(dim=-1).transpose(0, 1)
    each = F.ctc_loss(found, labels.clamp(min=0), lengths, sizes, reduction="none")
    mean = F.ctc_loss(found, labels.clamp(min=0), lengths, sizes, reduction="mean")
    expected = {"tokens": each.sum() / 7, "samples": each.mean(), "mean": mean}[average]
    assert made(batch).loss.item() == pytest.approx(expected.item(), abs=1e-5)


def test_a_text_that_is_too_long_for_its_states_is_counted_and_does_no_harm(tmp_path: Path) -> None:
    made = model(tmp_path)
    batch = example([6, 20, 6], [[1, 1, 2], [1, 2, 3], [1, 2, 3]])
    output = made(batch)
    output.loss.backward()
    total, count = output.outputs["ctc"].metrics["too_long"]
    assert (total.item(), count.item()) == (1, 3)  # three states are too few for 1 _ 1 2
    assert all(bool(p.grad.isfinite().all()) for p in made.parameters() if p.grad is not None)


def test_greedy_search_drops_repetitions_and_blanks_and_stops_at_the_end(tmp_path: Path) -> None:
    target: Any = model(tmp_path).targets["ctc"]
    best = torch.tensor([[1, 1, 0, 1, 2, 2, 3], [0, 5, 5, 5, 0, 4, 4], [6, 0, 0, 1, 1, 1, 1]])
    logits = F.one_hot(best, VOCABULARY).float()
    assert target.decode(logits, torch.tensor([7, 5, 2])) == [[1, 1, 2, 3], [5], [6]]


def test_the_token_error_rate_is_measured_in_evaluation_only(tmp_path: Path) -> None:
    made = model(tmp_path)
    batch = example([20, 15], [[1, 2, 2, 4], [3]])
    assert "token_error_rate" not in made.train()(batch).outputs["ctc"].metrics
    output = made.eval()(batch).outputs["ctc"]
    errors, count = output.metrics["token_error_rate"]
    predicted = [each["token_ids"] for each in made.predict(batch)]
    assert (errors.item(), count.item()) == token_errors([[1, 2, 2, 4], [3]], predicted)


def test_error_rates_add_up_and_know_empty_texts() -> None:
    assert word_errors(["one two three", "four"], ["one too three  extra", "four"]) == (2, 4)
    assert word_errors(["one", ""], ["", "two three"]) == (3, 1)
    assert word_errors([], []) == (0, 0)
    assert character_errors(["ab c"], ["ab  c"]) == (0, 4)
    assert character_errors(["ab c"], ["abc"]) == (1, 4)
    assert token_errors([[1, 2, 3]], [[1, 3, 3, 4]]) == (2, 3)
    with pytest.raises(ValueError, match="shorter"):
        word_errors(["one"], [])


def test_a_sample_without_labels_is_predicted(tmp_path: Path) -> None:
    found = model(tmp_path).predict(batch_of(input_features=torch.zeros(2, 9, 6)))
    assert len(found) == 2
    assert all(0 <= token < VOCABULARY and token for each in found for token in each["token_ids"])
