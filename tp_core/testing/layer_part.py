"""The contracts of the parts of transformer layers: mixers, positions of attention, feed-forward layers, norms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tp_core.interfaces.layer_parts import Positions
from tp_core.model import build_model
from tp_core.modules.encoders.transformer_options import TransformerConfig
from tp_core.modules.mixers.attention import Attention
from tp_core.options.context import BuildContext
from tp_core.options.facts import HeadFacts
from tp_core.testing import part
from tp_core.testing.batches import random_batch
from tp_core.testing.explained import explained
from tp_core.testing.specs import SIZES, minimal_model, minimal_spec
from tp_core.testing.subject import Subject

_HEADS = 2


def check(
    subject: Subject,
    *,
    model: Mapping[str, Any] | None = None,
    length: int = 12,
    independent: bool = True,
    unused: Iterable[str] = (),
    tolerance: float = 1e-5,
) -> None:
    """Check a part inside the layers of a transformer encoder.

    A part must keep the shape and type of the states, and a bias of positions must fit the scores. The encoder then
    gets the checks of any encoder (:mod:`tp_core.testing.part`): weights, padding, batch-mates, causality, reading in
    pieces. A mixer or positions that support several masks are checked in a fully visible and in a causal encoder.

    Args:
        subject: the part.
        model: as for an encoder. Positions on a grid of patches need an embedding that makes such a grid.
        length: as for an encoder.
        independent: as for an encoder.
        unused: as for an encoder.
        tolerance: as for an encoder.
    """
    for mask in _masks(subject):
        transformer = {"num_layers": 2, "num_heads": _HEADS, "mask": mask, **_around(subject)}
        tree = minimal_model("encoder", "transformer", transformer, TransformerConfig) | dict(model or {})
        _check_shapes(subject.kind, tree, length)
        part.check_tree("encoder", tree, length, independent, unused, tolerance)


def _masks(subject: Subject) -> Iterator[str]:
    """The masks of the encoders in which a part is checked."""
    yield subject.options.get("mask", "fully_visible")
    if subject.kind == "mixer" and "mask" in subject.cls.model_fields and "mask" not in subject.options:
        causal = subject.cls(**{**subject.options, "mask": "causal"})
    elif subject.kind == "positions":
        causal = subject.cls(**subject.options)
    else:
        return
    size = SIZES["hidden_size"]
    heads = HeadFacts(_HEADS, _HEADS, size // _HEADS, two_way=False)
    if not list(causal.check(BuildContext(hidden_size=size).with_facts(heads))):
        yield "causal"


def _around(subject: Subject) -> dict[str, Any]:
    """The transformer option that selects the part."""
    chosen = {subject.kind: {subject.name: subject.options}}
    return {"mixer": {"attention": chosen}} if subject.kind == "positions" else chosen


@torch.no_grad()
def _check_shapes(kind: str, tree: Mapping[str, Any], length: int) -> None:
    model = build_model(minimal_spec(tree), seed=0).eval()
    batch = random_batch(model, [length, max(1, length // 2)])
    for dtype in (torch.float32, torch.float64):
        sequence = model.to(dtype).embedding(batch.inputs)
        encoder: Any = model.encoder
        layer: Any = encoder.layers[0]
        with explained(f"the {kind.replace('_', '-')} part"):
            if kind in ("mixer", "positions"):
                prepared = layer.mixer.prepare(encoder.shared.begin(sequence))
            if kind == "positions":
                _check_positions(layer.mixer, sequence.states, prepared.values)
            elif kind == "mixer":
                _check_same(sequence.states, layer.mixer(sequence.states, prepared)[0], "the states")
            else:
                made: nn.Module = layer.feed_forward if kind == "feed_forward" else layer.mixer_residual.after
                _check_same(sequence.states, made(sequence.states), "the states")


def _check_positions(attention: Attention, states: Tensor, values: Any) -> None:
    batch, length, _ = states.shape
    positions = attention.get_submodule("positions")
    assert isinstance(positions, Positions), f"it builds a {type(positions).__name__}; expected a Positions"
    queries = states.new_ones(batch, attention.heads, length, attention.size)
    keys = states.new_ones(batch, attention.groups, length, attention.size)
    for what, before, after in zip(("queries", "keys"), (queries, keys), positions.rotate(queries, keys, values)):
        _check_same(before, after, f"the {what} from rotate()")
    bias = positions.bias(states, queries, values)
    scores = (batch, attention.heads, length, length)
    assert bias is None or (bias.dim() == 4 and all(own in (1, full) for own, full in zip(bias.shape, scores))), (
        f"bias() gives the shape {tuple(bias.shape)}; the scores are (batch, heads, queries, keys), {scores}"
    )


def _check_same(before: Tensor, after: Tensor, what: str) -> None:
    assert after.shape == before.shape, (
        f"{what} have the shape {tuple(after.shape)}; expected the shape of the input, {tuple(before.shape)}"
    )
    assert after.dtype == before.dtype, f"{what} are {after.dtype}; expected the type of the input, {before.dtype}"
