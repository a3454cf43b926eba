"""Any valid pick of modules of two modalities works, as tests/core/test_any_valid_pick.py says of those for texts."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.picks import HEADS, WIDTH, check_pick, picks, transformers

LENGTHS = [7, 4, 6]
SIZES: dict[str, Any] = {"image_size": [8, 6], "patch_size": [4, 2]}
REGIONS = {"region": {"size": 5}}


@st.composite
def joint(draw: st.DrawFn) -> dict[str, Any]:
    """One sequence of words and a picture."""
    positions = draw(st.sampled_from([[], ["pos"], ["seg"], ["pos", "seg"]]))
    if draw(st.booleans()):
        name = draw(st.sampled_from(["word_patch", "patch_word"]))
        options = {**SIZES, "text_length": 9, "parts": draw(st.sampled_from(["bare", "complete"]))}
        modules: list[Any] = [{name: options | {"class_token": draw(st.booleans())}}, *positions]
    else:
        region = {"size": 5, "boxes": draw(st.booleans()), "segment": draw(st.booleans()), "text_length": 9}
        before = draw(st.booleans())
        modules = ["word", *(positions if before else []), {"region": region}, *([] if before else positions)]
    targets = draw(st.lists(st.sampled_from(["mlm", "itm", "cls"]), unique=True, min_size=1))
    embedding = {"modules": modules, "norm": draw(st.sampled_from(["layernorm", "none"]))}
    layers = draw(transformers(("fully_visible",)))
    layers["mixer"]["attention"].pop("window", None)  # the text would not see the picture
    encoder = {"transformer": layers}
    return {"hidden_size": WIDTH, "embedding": embedding, "encoder": encoder, "target": targets}


@st.composite
def streams(draw: st.DrawFn) -> dict[str, Any]:
    """A stream of each modality, of their own widths, with or without co-attention between them."""
    picture: Any = draw(st.sampled_from([[REGIONS], [{"patch": SIZES}, "patch_pos"], [{"patch": SIZES}]]))
    other = draw(st.sampled_from([8, WIDTH]))
    sides = {
        "text": {"hidden_size": WIDTH, "embedding": ["word", "pos"], "encoder": draw(side())},
        "image": {"hidden_size": other, "embedding": picture, "encoder": draw(side())},
    }
    model: dict[str, Any] = {"streams": sides, "target": draw(st.sampled_from([["clr"], ["itm"], ["clr", "itm"]]))}
    if draw(st.booleans()):
        options = {"num_layers": draw(st.integers(1, 2)), "num_heads": 2, "co_heads": 2, "co_size": 12}
        model["encoder"] = {"co_attention": options}
    model["target"] = [{"clr": {"projection_size": 6}} if name == "clr" else name for name in model["target"]]
    return model


@st.composite
def side(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "transformer": {"num_layers": 1, "num_heads": HEADS, "norm_position": draw(st.sampled_from(["pre", "post"]))}
    }


@picks(25)
@given(joint() | streams())
def test_any_valid_pick_of_two_modalities_trains_keeps_samples_apart_and_survives_a_round_trip(
    tree: dict[str, Any],
) -> None:
    check_pick({"vocab_size": 31, "dropout": 0.1, **tree}, LENGTHS)
