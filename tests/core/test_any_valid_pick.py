"""Any valid pick of modules works: it builds, trains every weight, keeps samples apart, and is saved and loaded.

Picks are drawn by hypothesis from all installed text and modality-neutral modules: embeddings × encoder and its
options × (decoder) or streams × targets.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.picks import WIDTH, check_pick, picks, transformers

LENGTHS = [7, 4, 6]
CELLS = ("rnn", "lstm", "gru")


@st.composite
def embeddings(draw: st.DrawFn) -> dict[str, Any]:
    """``word`` and what is added to it, with the options of the component."""
    added = draw(st.lists(st.sampled_from(["pos", "sinusoidal", "seg", "task"]), unique=True, max_size=3))
    options = {
        "word": {"scale": draw(st.booleans())},
        "pos": {"max_length": 12, "offset": draw(st.sampled_from([0, 2]))},
        "sinusoidal": {"layout": draw(st.sampled_from(["interleaved", "halves"]))},
        "seg": {"num_segments": 3},
        "task": {"num_tasks": 3},
    }
    norm = draw(st.sampled_from(["layernorm", "rmsnorm", "none"]))
    return {"modules": [{name: options[name]} for name in ["word", *added]], "norm": norm}


@st.composite
def encoders(draw: st.DrawFn, causal: bool) -> tuple[str, dict[str, Any]]:
    """An encoder that gives causal states, or any."""
    names = ["transformer", *CELLS, "gatedcnn"]
    name = draw(st.sampled_from(names if causal else [*names, "bilstm", "bigru", "birnn", "cnn", "fourier"]))
    if name == "transformer":
        masks = ("causal", "causal_with_prefix") if causal else ("fully_visible", "causal", "causal_with_prefix")
        return name, draw(transformers(masks, parallel=True))
    if name == "fourier":
        return "transformer", {"num_layers": draw(st.integers(1, 2)), "mixer": "fourier", "feed_forward_size": 24}
    options: dict[str, Any] = {}
    if name != "cnn":
        options["num_layers"] = draw(st.integers(1, 2))
    if name in CELLS and not causal:
        options["bidirectional"] = draw(st.booleans())
    if name == "cnn":
        options["kernel_sizes"] = draw(st.sampled_from([[3], [2, 3], [1, 3, 4, 5]]))
    return name, options


@st.composite
def targets(draw: st.DrawFn, kinds: tuple[str, ...], tied: bool) -> list[dict[str, Any]]:
    """One or more targets; matrices are tied where the widths allow it."""
    names = draw(st.lists(st.sampled_from(kinds), unique=True, min_size=1, max_size=3))
    options: dict[str, dict[str, Any]] = {
        "mlm": {"tie": draw(st.booleans())},
        "lm": {"tie": tied and draw(st.booleans()), "bias": draw(st.booleans())},
        "cls": {"num_labels": 3, "hidden_layer": draw(st.booleans())},
        "bilm": {"tie": False},
        "clr": {"normalize": draw(st.booleans()), "symmetric": draw(st.booleans())},
    }
    return [{name: options.get(name, {})} for name in names]


def poolings(name: str, options: dict[str, Any]) -> list[str]:
    """The poolings whose vectors every weight has a part in: a first state that saw nothing else trains little."""
    if options.get("bidirectional") or name in ("bilstm", "bigru", "birnn"):
        return ["mean", "max"]
    ahead = name in ("transformer", "cnn") and options.get("mask", "fully_visible") == "fully_visible"
    return ["last", "mean", "max", *(["first"] if ahead else [])]


@st.composite
def models(draw: st.DrawFn) -> dict[str, Any]:
    """The ``model:`` part of a valid spec."""
    form = draw(st.sampled_from(["encoder", "encoder", "causal", "decoder", "streams"]))
    narrow = draw(st.booleans())
    name, options = draw(encoders(causal=form == "causal"))
    suitable = poolings(name, options) if form != "decoder" else ["last", "mean", "max"]
    pooling = draw(st.sampled_from(suitable))
    model: dict[str, Any] = {"hidden_size": WIDTH, "vocab_size": 31, "pooling": pooling, "dropout": 0.1}
    if narrow:
        model["embedding_size"] = 8
    if form == "streams":
        model["streams"] = {"one": {"embedding": draw(embeddings()), "encoder": {name: options}, "pooling": pooling}}
        if draw(st.booleans()):
            model["streams"]["two"] = "one"
        else:
            other, others = draw(encoders(causal=False))
            own = {"embedding": draw(embeddings()), "encoder": {other: others}, "pooling": "mean"}
            model["streams"]["two"] = own
        return {**model, "target": draw(targets(("cls", "clr"), tied=False))}
    model |= {"embedding": draw(embeddings()), "encoder": {name: options}}
    if form == "decoder":
        kind = draw(st.sampled_from(["transformer", "lstm", "gru"]))
        chosen = draw(transformers(("causal",))) if kind == "transformer" else {"num_layers": draw(st.integers(1, 2))}
        model |= {"target_embedding": draw(embeddings()), "decoder": {kind: chosen}}
        # Sharing puts the encoder side's modules under the same names.
        model["share_embeddings"] = False
        return {**model, "target": draw(targets(("lm", "cls"), tied=not narrow))}
    kinds: tuple[str, ...] = ("mlm", "cls")
    if form == "causal":
        kinds = (*kinds, "lm")
    if "first" in suitable:
        kinds = (*kinds, "sp")
    if name in ("bilstm", "bigru", "birnn"):
        kinds = (*kinds, "bilm")
    return {**model, "target": draw(targets(kinds, tied=not narrow))}


@picks(100)
@given(models())
def test_any_valid_pick_builds_trains_keeps_samples_apart_and_survives_a_round_trip(tree: dict[str, Any]) -> None:
    check_pick(tree, LENGTHS)
