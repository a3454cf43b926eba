"""Drawing specs with hypothesis, and what must hold of every model that a valid one makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tp_core.testing import features, weights
from tp_core.testing.specs import minimal_spec

WIDTH, HEADS = 16, 4


def picks(count: int) -> Callable[[Any], Any]:
    """So many draws, the same every time."""
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=count, deadline=None, derandomize=True, database=None, suppress_health_check=slow)


def check_pick(tree: dict[str, Any], lengths: list[int], unused: tuple[str, ...] = (), losses: bool = True) -> None:
    """A model builds, trains every weight, keeps samples and padding apart, and its state survives a round trip.

    Args:
        tree: the ``model:`` part of a spec.
        lengths: of the samples.
        unused: prefixes of names of weights that this pick does not train.
        losses: whether random labels fit the states, so that losses and metrics of samples can be added up.
    """
    spec = minimal_spec(tree)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = weights.check_initialisation(spec)
        features.check_shapes(model, lengths)
        weights.check_gradients(model, lengths, unused)
        weights.check_round_trip(spec, model, lengths)
        features.check_independence(model, lengths, 1e-5)
        features.check_lengths(model, lengths, 1e-5)
        if losses:
            compares = any(target.config.least_samples > 1 for target in spec.model.targets)
            features.check_losses(model, lengths, not compares, 1e-4)


@st.composite
def transformers(draw: st.DrawFn, masks: tuple[str, ...], parallel: bool = False) -> dict[str, Any]:
    """The options that a transformer encoder and a decoder share.

    Args:
        parallel: whether mixer and feed-forward layer may stand side by side, as in an encoder.
    """
    mask = draw(st.sampled_from(masks))
    norm_position = draw(st.sampled_from(["pre", "post", "both"]))
    dense = {
        "activation": draw(st.sampled_from(["gelu", "gelu_tanh", "relu", "silu", "tanh"])),
        "bias": draw(st.booleans()),
    }
    options: dict[str, Any] = {
        "num_layers": draw(st.integers(1, 2)),
        "num_heads": HEADS,
        "feed_forward_size": 24,
        "mask": mask,
        "mixer": {"attention": draw(attentions(mask))},
        "feed_forward": {draw(st.sampled_from(["dense", "gated"])): dense},
        "norm": draw(st.sampled_from(["layernorm", "rmsnorm", {"rmsnorm": {"offset": True}}])),
        "norm_position": norm_position,
        "final_norm": draw(st.sampled_from([None, True, False])),
        "layer_scale": draw(st.sampled_from([None, 0.1])),
        "share_layers": draw(st.booleans()),
    }
    if norm_position != "post":
        options["parallel"] = parallel and draw(st.booleans())
        options["first_norm"] = options["share_layers"] or draw(st.booleans())
    return {name: value for name, value in options.items() if value is not None}


@st.composite
def attentions(draw: st.DrawFn, mask: str) -> dict[str, Any]:
    """The options of attention with a mask."""
    rotary = {"interleaved": draw(st.booleans()), "factor": draw(st.sampled_from([1.0, 2.0]))}
    positions = ["none", {"rotary": rotary}, "rotary_llama3", "relative", "alibi"]
    options: dict[str, Any] = {
        "num_key_value_heads": draw(st.sampled_from([None, 1, 2])),
        "head_size": draw(st.sampled_from([None, 6])),
        "window": None if mask == "causal_with_prefix" else draw(st.sampled_from([None, 3])),
        "positions": draw(st.sampled_from(positions)),
        "bias": draw(st.booleans()),
        "key_bias": draw(st.booleans()),
        "scale": draw(st.sampled_from([None, 1.0])),
        # The bias of a layer norm of the keys changes no attention weight, and would not be trained.
        "query_key_norm": draw(st.sampled_from([None, "rmsnorm"])),
        "soft_cap": draw(st.sampled_from([None, 2.0])),
        "residual": draw(st.booleans()),
    }
    return {name: value for name, value in options.items() if value is not None}
