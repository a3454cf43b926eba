"""Any valid pick of modules for sound works, as tests/core/test_any_valid_pick.py says of those for texts."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.picks import HEADS, WIDTH, check_pick, picks, transformers

#: Of filter banks, or of samples: padded and unpadded.
LENGTHS = [30, 17, 24]


@st.composite
def encoders(draw: st.DrawFn) -> dict[str, Any]:
    """A conformer, a transformer, WavLM's or a recurrent encoder."""
    name = draw(st.sampled_from(["conformer", "conformer", "transformer", "wavlm", "bilstm", "gru"]))
    layers = draw(st.integers(1, 2))
    if name == "transformer":
        return {name: draw(transformers(("fully_visible",)))}
    if name == "conformer":
        return {
            name: {
                "num_layers": layers,
                "num_heads": HEADS,
                "kernel_size": draw(st.sampled_from([3, 5])),
                "convolution_norm": draw(st.sampled_from(["batch", "layer"])),
                "convolution_bias": draw(st.booleans()),
                "mixer": {"attention": {"positions": draw(st.sampled_from(["distance", "rotary", "none"]))}},
                "final_norm": draw(st.booleans()),
            }
        }
    if name == "wavlm":
        position = draw(st.sampled_from(["pre", "post"]))
        mixer = {"attention": {"positions": {"gated_relative": {"buckets": 8, "max_distance": 12}}}}
        layer = {"mixer": mixer, "num_heads": HEADS, "norm_position": position}
        return {"transformer": {"num_layers": layers, **layer}}
    return {name: {"num_layers": layers}}


@st.composite
def embeddings(draw: st.DrawFn, raw: bool) -> dict[str, Any]:
    """Raw samples, or filter banks."""
    if raw:
        layers = draw(st.sampled_from([([6], [3], [1]), ([6, 8], [3, 2], [2, 1])]))
        waveform = {
            **dict(zip(("channels", "kernels", "strides"), layers)),
            "conv_norm": draw(st.sampled_from(["group", "layer"])),
            "conv_bias": draw(st.booleans()),
            "projection_norm": draw(st.booleans()),
            "mask_vector": False,
        }
        behind = draw(st.sampled_from([[], [{"conv_pos": {"kernel_size": 4, "groups": 2}}]]))
        return {"modules": [{"waveform": waveform}, *behind], "norm": draw(st.sampled_from(["layernorm", "none"]))}
    layers = draw(st.sampled_from([([3], [2]), ([5, 3], [2, 2])]))
    speech = {"num_mel_bins": 6, "channels": 8, **dict(zip(("kernel_sizes", "strides"), layers))}
    behind = draw(st.sampled_from([[], ["sinusoidal"], [{"pos": {"max_length": 40}}]]))
    modules = [{"speech": {**speech, "scale": draw(st.booleans())}}, *behind]
    return {"modules": modules, "norm": draw(st.sampled_from(["layernorm", "none"]))}


@st.composite
def models(draw: st.DrawFn) -> dict[str, Any]:
    """The ``model:`` part of a valid spec: transcription by CTC or a decoder, cluster units, classes."""
    form = draw(st.sampled_from(["ctc", "units", "classes", "decoder"]))
    model: dict[str, Any] = {
        "hidden_size": WIDTH,
        "vocab_size": 13,
        "dropout": 0.1,
        "embedding": draw(embeddings(raw=draw(st.booleans()))),
        "encoder": draw(encoders()),
    }
    if form == "decoder":
        kind = draw(st.sampled_from(["transformer", "lstm"]))
        decoder = draw(transformers(("causal",))) if kind == "transformer" else {"num_layers": 1}
        words = {"modules": ["word", "sinusoidal"], "norm": draw(st.sampled_from(["layernorm", "none"]))}
        return {
            **model,
            "target_embedding": words,
            "decoder": {kind: decoder},
            "target": [{"lm": {"tie": draw(st.booleans())}}],
        }
    targets = {
        "ctc": {"ctc": {"average": draw(st.sampled_from(["tokens", "samples", "mean"]))}},
        "units": {
            "units": {"num_units": 5, "projection_size": 6, "unmasked_weight": draw(st.sampled_from([0.0, 0.5]))}
        },
        "classes": {"cls": {"num_labels": 3, "pooling": draw(st.sampled_from(["mean", "max"]))}},
    }
    if form == "units":  # its labels have the length of the states, which random batches know for one length only
        layers = {"channels": [6, 8], "kernels": [3, 1], "strides": [1, 1], "mask_vector": False}
        model["embedding"] = {"modules": [{"waveform": layers}], "norm": "none"}
    return {**model, "target": [targets[form]]}


@picks(25)
@given(models())
def test_any_valid_pick_for_sound_trains_keeps_samples_apart_and_survives_a_round_trip(tree: dict[str, Any]) -> None:
    check_pick(tree, LENGTHS, losses="units" not in tree["target"][0])  # a waveform has fewer states than samples
