"""The target of extractive question answering: its loss, its metric and its best spans."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.building import CONTENT, batch_of, build, mask_of, randomised, tokens
from tp_core import Model
from tp_core.interfaces import IGNORE, Batch

LENGTHS = [9, 14, 5, 12]


def model_of(folder: Path, **options: Any) -> Model:
    parts = {
        "hidden_size": 16,
        "vocab_size": 41,
        "embedding": [CONTENT],
        "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}},
        "target": {"qa": options},
    }
    return randomised(build(folder, parts), std=0.5)


def batch(lengths: list[int], start: list[int], end: list[int], context: list[list[int]] | None = None) -> Batch:
    labels = {"start": torch.tensor(start), "end": torch.tensor(end)}
    labels["context"] = torch.tensor(context or [[3, length - 1] for length in lengths])
    mask = mask_of(lengths, max(lengths))
    ids = tokens(*mask.shape) if len(set(lengths)) > 1 else tokens(len(lengths), lengths[0])
    return batch_of({"qa": labels}, input_ids=ids, attention_mask=mask)


def logits_of(model: Model, given: Batch) -> Tensor:
    """The logits of all positions, padding included, in float64: (batch, length, 2)."""
    target: Any = model.targets["qa"]
    with torch.no_grad():
        states = model.encode(given).sequence.states.double()
        return states @ target.output.weight.double().T + target.output.bias.double()


def test_the_loss_is_the_mean_cross_entropy_of_both_ends_over_real_positions(tmp_path: Path) -> None:
    model = model_of(tmp_path)
    start, end = [4, 0, 3, 11], [6, 0, 3, 11]
    given = batch(LENGTHS, start, end)
    logits, total = logits_of(model, given), 0.0
    for row, length in enumerate(LENGTHS):
        for place, column in ((start[row], 0), (end[row], 1)):
            total -= float(logits[row, :length, column].log_softmax(0)[place]) / 2
    assert model(given).loss.item() == pytest.approx(total / len(LENGTHS), abs=1e-5)


@pytest.mark.parametrize("lengths", [[7], [12, 12, 12]])
def test_without_padding_the_loss_is_that_of_transformers(tmp_path: Path, lengths: list[int]) -> None:
    transformers = pytest.importorskip("transformers")
    model = model_of(tmp_path)
    given = batch(lengths, [3] * len(lengths), [5] * len(lengths))
    target: Any = model.targets["qa"]
    config = transformers.BertConfig(vocab_size=41, hidden_size=16, num_hidden_layers=0, num_attention_heads=2)
    theirs = transformers.BertForQuestionAnswering(config)
    theirs.qa_outputs.load_state_dict(target.output.state_dict())
    theirs.bert = _Given(model.encode(given).sequence.states)
    labels = given.labels["qa"]
    loss = theirs(torch.zeros(1, 1), start_positions=labels["start"], end_positions=labels["end"]).loss
    assert model(given).loss.item() == pytest.approx(loss.item(), abs=1e-5)


class _Given(torch.nn.Module):
    """A body that gives these states."""

    def __init__(self, states: Tensor) -> None:
        super().__init__()
        self.states = states

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        from transformers.modeling_outputs import BaseModelOutput

        return BaseModelOutput(last_hidden_state=self.states)


def test_unlabelled_samples_count_neither_in_the_loss_nor_in_the_accuracy(tmp_path: Path) -> None:
    model = model_of(tmp_path)
    some = model(batch(LENGTHS, [4, IGNORE, 3, IGNORE], [6, IGNORE, 3, 2]))
    whole = batch(LENGTHS, [4, 0, 3, 0], [6, 0, 3, 0])
    kept = model(
        Batch.of(
            {n: v[[0, 2]] for n, v in whole.inputs.items()},
            2,
            labels={"qa": {n: v[[0, 2]] for n, v in whole.labels["qa"].items()}},
        )
    )
    assert some.loss.item() == pytest.approx(kept.loss.item(), abs=1e-6)
    assert some.outputs["qa"].metrics["accuracy"][1] == 2
    nothing = model.targets["qa"].denominator(batch([5], [IGNORE], [IGNORE]))  # type: ignore[union-attr, operator]
    assert nothing == 0


def test_an_answer_is_right_if_both_of_its_ends_are(tmp_path: Path) -> None:
    model = model_of(tmp_path)
    given = batch(LENGTHS, [0] * 4, [0] * 4)
    logits = logits_of(model, given).masked_fill(~given.inputs["attention_mask"].bool().unsqueeze(-1), -1e9)
    best = logits.argmax(dim=1)
    for wrong_starts, wrong_ends in ((0, 0), (1, 0), (0, 2), (1, 2), (4, 4)):
        start, end = best[:, 0].clone(), best[:, 1].clone()
        start[:wrong_starts] = (start[:wrong_starts] + 1) % 4
        end[:wrong_ends] = (end[:wrong_ends] + 1) % 4
        output = model(batch(LENGTHS, start.tolist(), end.tolist())).outputs["qa"]
        assert tuple(map(float, output.metrics["accuracy"])) == (4 - max(wrong_starts, wrong_ends), 4)


def expected_spans(logits: Tensor, context: tuple[int, int], longest: int, count: int) -> list[tuple[float, int, int]]:
    """The best spans by trying all."""
    first, stop = context
    scored = [
        (float(logits[start, 0] + logits[end, 1]), start, end)
        for start in range(first, stop)
        for end in range(start, min(stop, start + longest))
    ]
    return sorted(scored, key=lambda each: -each[0])[:count]


@pytest.mark.parametrize(("n_best", "longest"), [(20, 30), (3, 2), (1, 1), (500, 4)])
def test_predictions_are_the_best_spans_of_the_context(tmp_path: Path, n_best: int, longest: int) -> None:
    model = model_of(tmp_path, n_best=n_best, max_answer_length=longest)
    contexts = [[3, 8], [1, 14], [2, 3], [5, 5]]
    given = batch(LENGTHS, [IGNORE] * 4, [IGNORE] * 4, contexts)
    logits = logits_of(model, given)
    for row, found in enumerate(model.predict(given)):
        wanted = expected_spans(logits[row], tuple(contexts[row]), longest, n_best)  # type: ignore[arg-type]
        assert [(span["start"], span["end"]) for span in found["spans"]] == [(start, end) for _, start, end in wanted]
        assert [span["score"] for span in found["spans"]] == pytest.approx([score for score, _, _ in wanted], abs=1e-5)
        assert found["null_score"] == pytest.approx(float(logits[row, 0].sum()), abs=1e-5)
    assert model.predict(given)[3]["spans"] == []


def test_a_span_never_ends_in_padding(tmp_path: Path) -> None:
    model = model_of(tmp_path)
    given = batch([4, 10], [IGNORE] * 2, [IGNORE] * 2, [[1, 10], [1, 10]])
    assert max(span["end"] for span in model.predict(given)[0]["spans"]) == 3


def test_padding_changes_no_prediction(tmp_path: Path) -> None:
    model = model_of(tmp_path)
    given = batch(LENGTHS, [IGNORE] * 4, [IGNORE] * 4)
    for row, length in enumerate(LENGTHS):
        inputs = {name: value[row : row + 1, :length] for name, value in given.inputs.items()}
        labels = {name: value[row : row + 1] for name, value in given.labels["qa"].items()}
        alone, found = model.predict(Batch.of(inputs, 1, labels={"qa": labels}))[0], model.predict(given)[row]
        assert [span["start"] for span in alone["spans"]] == [span["start"] for span in found["spans"]]
        assert [s["score"] for s in alone["spans"]] == pytest.approx([s["score"] for s in found["spans"]], abs=1e-5)


@torch.no_grad()
def test_distillation_compares_the_distributions_of_both_ends(tmp_path: Path) -> None:
    """Its rows are the ends, as many as the denominator says; padding adds nothing to the divergence."""
    model = model_of(tmp_path)
    given = batch(LENGTHS, [4, IGNORE, 3, 11], [6, IGNORE, 3, 11])
    target: Any = model.targets["qa"]
    rows, labelled = target.logits(model.encode(given), given)
    assert rows.shape == (8, 14)
    assert labelled.tolist() == [True, True, False, False, True, True, True, True]
    assert target.denominator(given) == labelled.sum()
    student, teacher = rows.log_softmax(-1), (rows + 0.5 * tokens(*rows.shape)).log_softmax(-1)
    divergence = torch.nn.functional.kl_div(student, teacher, reduction="none", log_target=True)
    assert bool(divergence.isfinite().all())
    padding = ~given.inputs["attention_mask"].bool().repeat_interleave(2, dim=0)
    assert float(divergence[padding].abs().max()) == 0
