"""Any valid pick of modules for pictures works, as tests/core/test_any_valid_pick.py says of those for texts."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.picks import WIDTH, check_pick, picks, transformers

#: A grid of 2 x 4 patches of 4 x 2 pixels; MAE sees a quarter, and attention to one patch alone would train no queries.
SIZES: dict[str, Any] = {"image_size": [8, 8], "patch_size": [4, 2]}
SEEN = ("fully_visible",)
PROJECTION = {"random_projection": {"num_tokens": 32, "code_size": 4}}


@st.composite
def encoders(draw: st.DrawFn) -> dict[str, Any]:
    """A transformer with or without a bias of the grid."""
    options = draw(transformers(SEEN))
    attention = options["mixer"]["attention"]
    attention.pop("window", None)  # the class token's may end before the first patch
    if draw(st.booleans()):
        attention |= {"positions": {"grid": {"per_layer": draw(st.booleans())}}, "residual": False}
        options["share_layers"] = False
    return {"transformer": options}


@st.composite
def models(draw: st.DrawFn) -> dict[str, Any]:
    """The ``model:`` part of a valid spec: classification, masked patches, MAE, or VQ-VAE."""
    form = draw(st.sampled_from(["classes", "classes", "masked", "mae", "codes"]))
    channels = draw(st.sampled_from([1, 3]))
    model: dict[str, Any] = {"hidden_size": WIDTH, "dropout": 0.1, "channels": channels, **SIZES}
    positions = draw(st.sampled_from([[], ["patch_pos"], ["patch_sinusoidal"]]))
    norm = draw(st.sampled_from(["layernorm", "rmsnorm", "none"]))
    if form == "codes":
        grid = {"image_size": [8, 6], "patch_size": 2}
        modules = [{"conv_patch": {"width": 6, "blocks": draw(st.integers(0, 2))}}]
        target = {"vq": {"num_tokens": 9, "code_size": 4, "width": 6, "blocks": draw(st.integers(0, 2))}}
        return {
            **model,
            **grid,
            "embedding": {"modules": modules, "norm": norm},
            "encoder": "identity",
            "target": target,
        }
    patch = {"class_token": draw(st.booleans()), "bias": draw(st.booleans()), "registers": draw(st.integers(0, 2))}
    encoder = draw(encoders())
    if form == "mae":
        modules = [{"patch": patch}, "patch_sinusoidal", "visible"]
        if "per_layer" in str(encoder):
            encoder["transformer"]["mixer"]["attention"]["positions"] = "none"
        decoder = draw(transformers(SEEN))
        pixels = {"normalize": draw(st.booleans()), "loss": draw(st.sampled_from(["l1", "mse"]))}
        embedding = {"modules": modules, "norm": norm}
        return {
            **model,
            "embedding": embedding,
            "encoder": encoder,
            "decoder": {"mae": decoder},
            "target": {"pixels": pixels},
        }
    if form == "masked":
        embedding = {"modules": [{"masked_patch": patch}, *positions], "norm": norm}
        target = draw(
            st.sampled_from(
                [{"pixels": {}}, {"visual_tokens": {"tokenizer": PROJECTION}}, {"visual_tokens": {"num_tokens": 5}}]
            )
        )
        return {**model, "embedding": embedding, "encoder": encoder, "target": target}
    targets: list[Any] = [{"cls": {"num_labels": 3, "pooling": draw(st.sampled_from(["mean", "max", "first"]))}}]
    if draw(st.booleans()):
        targets = [{"patch_cls": {"num_labels": 3, "hidden_layer": draw(st.booleans())}}]
    elif patch["class_token"] and draw(st.booleans()):
        patch["distillation_token"], targets = True, [{"deit": {"num_labels": 3}}]
    embedding = {"modules": [{"patch": patch}, *positions], "norm": norm}
    return {**model, "embedding": embedding, "encoder": encoder, "target": targets}


@picks(50)
@given(models())
def test_any_valid_pick_for_pictures_trains_keeps_samples_apart_and_survives_a_round_trip(tree: dict[str, Any]) -> None:
    # The nearest code is another where rounding differs by little.
    check_pick(tree, [3, 3, 3], losses="vq" not in tree["target"])
