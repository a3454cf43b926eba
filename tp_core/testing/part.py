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

    The model is built from a spec around the module. It gets random batches of the fields that its modules require.
    Checks:

    - config: the resolved options load to the same spec;
    - weights: they are built on the meta device, set by ``reset_parameters`` from the seed alone, trained, saved and
      loaded;
    - computation: shapes and masks fit, padding and batch-mates have no influence, states are causal if the module
      provides this, losses add up over batches, predictions are JSON.

    Args:
        subject: the module.
        model: keys of the spec's ``model:`` part that replace the kit's defaults, for modules that need particular
            modules around them.
        length: number of positions of the longest sample, for modules that need long samples. The other samples have
            at most two thirds.
        independent: False for modules that compare samples by design, such as contrastive losses. Batch-mates are then
            not checked.
        unused: prefixes of names of weights that need no gradient.
        tolerance: maximum difference of features that count as equal.
    """
    tree = minimal_model(subject.kind, subject.name, subject.options, subject.cls) | dict(model or {})
    if "streams" in tree:
        beside = ("encoder",) if getattr(subject.cls, "joins_streams", False) else ()
        tree = {key: value for key, value in tree.items() if key not in ("embedding", "encoder") or key in beside}
    check_tree(subject.kind, tree, length, independent, unused, tolerance)


def check_tree(
    kind: str, tree: Mapping[str, Any], length: int, independent: bool, unused: Iterable[str], tolerance: float
) -> None:
    """Check a module of the given kind in a model that is built from the given ``model:`` part of a spec."""
    spec = minimal_spec(tree)
    again = reloaded(spec.dump())
    assert again.dump() == spec.dump(), (
        "the resolved spec loads to another one; options must be plain values that validation does not change: "
        f"{difference(spec.dump(), again.dump())}"
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
        features.check_read_positions(model, lengths)
        features.check_vectors(model, lengths)
        features.check_predictions(model, lengths)
        return
    if kind != "embedding":
        features.check_some_positions(model, lengths, tolerance)
        if independent:
            features.check_packing(model, lengths, tolerance)
    spec = model.spec
    context = context_of(spec, side="target")
    after = spec.model.decoder or next(iter(spec.model.streams.values())).encoder
    if kind != "embedding" and spec.model.fusion is None and CAUSAL in after.config.provides(context):
        features.check_causality(model, lengths[0], tolerance)
        features.check_pieces(model, lengths[0], tolerance)
