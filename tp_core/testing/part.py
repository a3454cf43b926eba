"""The contracts of the parts of a model: embeddings, encoders, decoders and targets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from tp_core.model import Model
from tp_core.options.ports import CAUSAL
from tp_core.testing import features, weights
from tp_core.testing.plain_options import difference
from tp_core.testing.specs import minimal_model, minimal_spec, reloaded
from tp_core.testing.subject import Subject


def check(
    subject: Subject,
    *,
    model: Mapping[str, Any] | None = None,
    length: int = 12,
    independent: bool = True,
    unused: Iterable[str] = (),
    tolerance: float = 1e-5,
) -> None:
    """Check an embedding, encoder, decoder or target inside a minimal model.

    The model is built from a spec around the module and fed random batches of the fields that its modules
    require. Checked are: the config (resolved options load again to the same spec), the weights (built on the meta
    device, all drawn by ``reset_parameters`` from the seed alone, all trained, saved and loaded) and the computation
    (shapes and masks; padding and batch-mates change nothing; causality where it is provided; losses that add up over
    batches; predictions that are JSON).

    Args:
        model: keys of the spec's ``model:`` part that replace the kit's own, for modules that need particular
            surroundings.
        length: positions of the longest sample, for modules that need long ones; others have two thirds and
            less.
        independent: false for what compares samples with each other by design, such as contrastive losses;
            nothing about batch-mates is then checked.
        unused: beginnings of names of weights that may stay without a gradient.
        tolerance: largest difference of features that counts as none.
    """
    tree = minimal_model(subject.kind, subject.name, subject.options, subject.cls) | dict(model or {})
    if "streams" in tree:
        beside = ("encoder",) if getattr(subject.cls, "joins_streams", False) else ()
        tree = {key: value for key, value in tree.items() if key not in ("embedding", "encoder") or key in beside}
    check_tree(subject.kind, tree, length, independent, unused, tolerance)


def check_tree(
    kind: str, tree: Mapping[str, Any], length: int, independent: bool, unused: Iterable[str], tolerance: float
) -> None:
    """Check a part of this kind inside the model of a spec with this ``model:`` part."""
    spec = minimal_spec(tree)
    again = reloaded(spec.dump())
    assert again.dump() == spec.dump(), (
        "the resolved spec loads to another one; options must be plain values that stay as they are "
        f"when they are validated again: {difference(spec.dump(), again.dump())}"
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        built = weights.check_initialisation(spec)
        lengths = [length, max(1, length // 2), max(1, length * 2 // 3)]
        features.check_shapes(built, lengths)
        weights.check_gradients(built, lengths, tuple(unused))
        weights.check_round_trip(spec, built, lengths)
        if independent:
            features.check_independence(built, lengths, tolerance)
            features.check_lengths(built, lengths, tolerance)
        _check_kind(kind, built, lengths, independent, tolerance)


def _check_kind(kind: str, model: Model, lengths: list[int], independent: bool, tolerance: float) -> None:
    from tp_core.spec.context import context_of

    if kind == "target":
        features.check_losses(model, lengths, independent, tolerance)
        features.check_vectors(model, lengths)
        features.check_predictions(model, lengths)
        return
    spec = model.spec
    behind = context_of(spec, side="target")
    after = spec.model.decoder or next(iter(spec.model.streams.values())).encoder
    if kind != "embedding" and spec.model.fusion is None and CAUSAL in after.config.provides(behind):
        features.check_causality(model, lengths[0], tolerance)
        features.check_pieces(model, lengths[0], tolerance)
