"""Comparing our models with those of ``transformers``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.building import batch_of, build, randomised, tokens, worst
from tp_core import Model
from tp_core.interfaces import IGNORE, Batch

VOCABULARY = 37
TOLERANCE = 1e-5
Record = Callable[[str, Any], None]


def reference(kind: str, config: dict[str, Any]) -> Any:
    """A model of ``transformers`` with random weights, on its plainest code path."""
    import transformers

    cls = getattr(transformers, kind)
    made = cls.config_class(vocab_size=VOCABULARY, attn_implementation="eager", **config)
    return randomised(cls(made), std=0.15).eval()


def ours(folder: Path, model: dict[str, Any], weights: dict[str, Tensor]) -> Model:
    built = build(folder, {"vocab_size": VOCABULARY, **model})
    missing, left = built.load_weights(weights)
    assert (missing, left) == ([], [])
    return built


def layer_outputs(model: Model, batch: Batch) -> list[Tensor]:
    """The states after the embeddings and after each layer, and the final ones."""
    found: list[Tensor] = []
    handles = [
        layer.register_forward_hook(lambda _, args, output: found.append(output[0]))
        for layer in model.encoder.layers  # type: ignore[union-attr]
    ]
    with torch.no_grad():
        found.append(model.embedding(batch.inputs).states)
        final = model.encode(batch).sequence.states
    for handle in handles:
        handle.remove()
    return [*found, final]


def check_states(model: Model, batch: Batch, theirs: Any, mask: Tensor, record: Record) -> None:
    """Compare after every layer. The last of theirs is normalised where there is a final norm, as our last is."""
    states, hidden = layer_outputs(model, batch), list(theirs.hidden_states)
    if getattr(model.encoder, "projection", None) is not None:  # theirs come after the projection (ALBERT, FNet)
        states[0] = model.encoder.projection(states[0])  # type: ignore[operator]
    states = [*states[: len(hidden) - 1], states[-1]]
    gaps = [worst(a, b, mask) for a, b in zip(states, hidden, strict=True)]
    record("hidden states", max(gaps))
    assert max(gaps) < TOLERANCE, gaps


def check(record: Record, **pairs: tuple[Tensor, Tensor]) -> None:
    for name, (left, right) in pairs.items():
        gap = worst(left, right)
        record(name, gap)
        assert gap < TOLERANCE, f"{name} differs by {gap}"


def masked_labels(ids: Tensor, mask: Tensor, every: int = 2) -> Tensor:
    places = (torch.arange(ids.numel()).view_as(ids) % every == 0) & mask.bool()
    return torch.where(places, tokens(*ids.shape, high=VOCABULARY, seed=5), IGNORE)


def next_labels(ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Labels as ``transformers`` shifts them itself, and as ours stand."""
    theirs = ids.masked_fill(mask == 0, IGNORE)
    shifted = torch.full_like(theirs, IGNORE)
    shifted[:, :-1] = torch.where(mask[:, :-1].bool(), theirs[:, 1:], IGNORE)
    return torch.where(torch.cat([torch.zeros_like(mask[:, :1]), mask[:, :-1]], 1).bool(), theirs, IGNORE), shifted


def vocabulary_logits(model: Model, batch: Batch) -> Tensor:
    """Scores of all tokens at all positions."""
    with torch.no_grad():
        states = model.encode(batch).sequence.states
        target: Any = model.targets["mlm" if "mlm" in model.targets else "lm"]
        logits: Tensor = (
            target.output(target.transform(states)) if hasattr(target, "transform") else target.token_logits(states)
        )
    return logits


def real(logits: Tensor, mask: Tensor) -> Tensor:
    return logits[mask.bool()]


def check_language_model(
    model: Model, theirs: Any, mask: Tensor, record: Record, position_ids: Tensor | None = None
) -> None:
    """States, logits and next-token loss; without padding also without any mask, on the fast causal path."""
    ids = tokens(*mask.shape, high=VOCABULARY)
    extra = {} if position_ids is None else {"position_ids": position_ids}
    expected, labels = next_labels(ids, mask)
    output = theirs(input_ids=ids, attention_mask=mask, labels=expected, output_hidden_states=True, **extra)
    batch = batch_of({"lm": {"labels": labels}}, input_ids=ids, attention_mask=mask, **extra)
    check_states(model, batch, output, mask, record)
    check(record, logits=(real(vocabulary_logits(model, batch), mask), real(output.logits, mask)))
    if bool((labels != IGNORE).any()):
        check(record, loss=(model(batch).loss, output.loss))
    whole = theirs(input_ids=ids)
    check(record, unpadded=(vocabulary_logits(model, batch_of(input_ids=ids)), whole.logits))
