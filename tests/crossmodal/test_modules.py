"""The cross-modal modules keep their contracts and compute what their papers say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.building import build, mask_of, randomised, tokens, worst
from tests.crossmodal.mistakes import problems_of
from tp_core import Model
from tp_core.errors import TPError
from tp_core.interfaces import Batch, Sequence
from tp_core.testing import check_module, random_batch
from tp_core.testing.features import check_independence

PATCHES = {"image_size": 8, "patch_size": 4, "text_length": 16}
REGIONS = {"region": {"size": 5}}
#: Two streams of different widths.
STREAMS = {
    "text": {"embedding": ["word"], "encoder": {"identity": {"hidden_size": 8}}},
    "image": {"embedding": [REGIONS], "encoder": {"identity": {"hidden_size": 16}}},
}
CO_ATTENTION = {"num_layers": 2, "num_heads": {"text": 2, "image": 4}, "co_heads": 2, "co_size": 12}


@pytest.mark.parametrize(
    ("name", "options", "behind"),
    [
        ("word_patch", {}, []),
        ("word_patch", {"parts": "complete"}, ["seg"]),
        ("word_patch", {}, ["pos", "seg"]),
        ("patch_word", {"channels": 1, "bias": False, "class_token": False, "registers": 2}, ["pos"]),
    ],
    ids=["bare", "complete", "with positions and segments behind", "the paper's other spelling"],
)
def test_words_and_patches_keep_the_contracts_of_embeddings(
    name: str, options: dict[str, Any], behind: list[str]
) -> None:
    model = {"embedding": [{name: PATCHES | options}, *behind]}
    check_module(name, "embedding", PATCHES | options, model=model)


@pytest.mark.parametrize("embedding", [["region"], ["word", "pos", "seg", "region"], ["word", "region", "pos", "seg"]])
def test_regions_keep_the_contracts_of_embeddings(embedding: list[str]) -> None:
    options = {"size": 5, "boxes": True, "segment": True}
    modules = [{"region": options} if name == "region" else name for name in embedding]
    check_module("region", "embedding", options, model={"embedding": modules})


def test_matching_and_co_attention_keep_their_contracts() -> None:
    check_module("itm")
    check_module("itm", options={"size": 6}, model={"streams": STREAMS})
    check_module("co_attention", "encoder", {"num_layers": 2, "num_heads": 2, "co_heads": 2})
    check_module("co_attention", "encoder", CO_ATTENTION, model={"streams": STREAMS, "target": ["itm"]})


def joined(folder: Path, *modules: Any, **sizes: Any) -> Model:
    model = {
        "hidden_size": 8,
        "vocab_size": 41,
        "embedding": {"modules": list(modules), "norm": "none", "dropout": 0.0},
        "encoder": "identity",
        "target": ["itm"],
    }
    return randomised(build(folder, model | sizes))


def test_the_mask_follows_and_positions_do_not_depend_on_the_longest_text(tmp_path: Path) -> None:
    model = joined(tmp_path, {"word_patch": PATCHES}, {"pos": {"max_length": 30}}, "seg")
    pixels = torch.randn(2, 3, 8, 8)
    found = {}
    for width in (5, 9):
        mask = mask_of([3, 5], width)
        ids, types = tokens(2, 9)[:, :width], torch.zeros(2, width, dtype=torch.int64)
        source = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types, "pixel_values": pixels}
        sequence = model.embedding(source)
        assert sequence.mask.tolist() == torch.cat([mask, torch.ones(2, 5)], dim=1).bool().tolist()
        found[width] = sequence.states[:, width:]
        assert sequence.published["token_type_ids"].tolist() == [[0] * width + [1] * 5]
        assert sequence.published["patches"].flatten().tolist() == [width + 1 + n for n in range(4)]
    assert worst(found[5], found[9]) == 0.0
    parts: Any = model.embedding.parts
    first = (
        parts["word_patch"].picture.parts["patch"].class_token[0]
        + parts["pos"].table.weight[16]
        + parts["seg"].table.weight[1]
    )
    assert worst(found[5][:, 0], first.expand(2, -1)) < 1e-6


def test_without_padding_there_is_no_mask(tmp_path: Path) -> None:
    model = joined(tmp_path, {"word_patch": PATCHES})
    assert model.embedding({"input_ids": tokens(2, 4), "pixel_values": torch.randn(2, 3, 8, 8)}).mask is None


def test_a_text_that_is_longer_than_its_places_is_refused(tmp_path: Path) -> None:
    for parts in ("bare", "complete"):
        model = joined(tmp_path, {"word_patch": PATCHES | {"parts": parts, "text_length": 3}})
        ids = tokens(1, 4)
        source = {"input_ids": ids, "token_type_ids": ids * 0, "pixel_values": torch.randn(1, 3, 8, 8)}
        with pytest.raises(TPError, match=r"4 (tokens|positions) are longer than the 3"):
            model.embedding(source)


def test_positions_that_do_not_reach_over_text_and_picture_are_found_before_training(tmp_path: Path) -> None:
    spec = {"embedding": [{"word_patch": PATCHES}, {"pos": {"max_length": 20}}], "encoder": "transformer"}
    found = problems_of(tmp_path, {"model": {"hidden_size": 12, **spec, "target": ["itm"]}})
    assert "model.embedding.pos: has 20 positions, and the sequences of 'word_patch' reach to 21" in found


def test_regions_stand_behind_the_words_with_their_mask(tmp_path: Path) -> None:
    model = joined(tmp_path, "word", "pos", {"region": {"size": 5, "boxes": True, "segment": True}})
    source = {
        "input_ids": tokens(2, 4),
        "visual_embeds": torch.randn(2, 3, 5),
        "visual_boxes": torch.rand(2, 3, 5),
        "visual_attention_mask": mask_of([3, 1], 3),
    }
    sequence = model.embedding(source)
    assert sequence.mask.tolist() == [[True] * 7, [True] * 5 + [False] * 2]
    region: Any = model.embedding.parts["region"]
    expected = region.projection(source["visual_embeds"]) + region.boxes(source["visual_boxes"]) + region.segment
    assert worst(sequence.states[:, 4:], expected) == 0.0


def test_matching_reads_the_first_state_or_the_product_of_two(tmp_path: Path) -> None:
    one = joined(tmp_path, "word", "pos")
    batch = random_batch(one, [4, 4])
    itm: Any = one.targets["itm"]
    states = one.encode(batch).sequence.states[:, 0]
    pooled = torch.tanh(states @ itm.dense.weight.T + itm.dense.bias)
    logits = pooled @ itm.classifier.weight.T + itm.classifier.bias
    assert worst(itm.class_logits(one.encode(batch)), logits) < 1e-6
    labels = batch.labels["itm"]["labels"]
    assert worst(one(batch).loss, F.cross_entropy(logits, labels)) < 1e-6

    both = randomised(build(tmp_path, {"vocab_size": 41, "streams": STREAMS, "target": ["itm"]}))
    features, itm = both.encode(random_batch(both, [4, 4])), both.targets["itm"]
    pooled = torch.ones(2, 16)
    for name, dense in itm.sides.items():
        first = features.streams[name].pooled("first")
        pooled = pooled * (first @ dense.weight.T + dense.bias).clamp(min=0)
    logits = pooled @ itm.classifier.weight.T + itm.classifier.bias
    assert worst(itm.class_logits(features), logits) < 1e-5


# -- co-attention ------------------------------------------------------------------------------------------------


def attended(queries: Tensor, keys: Tensor, values: Tensor, heads: int, seen: Tensor) -> Tensor:
    """Attention of one sample in float64, position by position."""
    size = queries.shape[-1] // heads
    found = torch.zeros(len(queries), values.shape[-1], dtype=torch.float64)
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        for place in range(len(queries)):
            scores = (keys[seen][:, part] @ queries[place, part]) / size**0.5
            found[place, part] = scores.softmax(0) @ values[seen][:, part]
    return found


def linear(layer: Any, states: Tensor) -> Tensor:
    return states @ layer.weight.double().T + layer.bias.double()


def by_kind(rows: Tensor, heads: int, kinds: int) -> list[Tensor]:
    """Queries, keys, values, which stand by head, each for all heads."""
    return [each.flatten(-2) for each in rows.unflatten(-1, (heads, kinds, -1)).unbind(-2)]


def normed(layer: Any, states: Tensor) -> Tensor:
    return F.layer_norm(states, states.shape[-1:], layer.weight.double(), layer.bias.double(), layer.eps)


def fed_forward(layer: Any, norm: Any, states: Tensor) -> Tensor:
    return normed(norm, states + linear(layer.output, F.gelu(linear(layer.input, states))))


def reference(fusion: Any, states: list[Tensor], seen: list[Tensor]) -> list[Tensor]:
    """Figure 2 of the paper, of one sample: co-attention of both streams, then a layer of each."""
    heads = [2, 4]
    for layer in fusion.layers:
        crossed = []
        for side in (0, 1):
            part, own, other = layer.across[side], states[side], states[1 - side]
            keys, values = by_kind(linear(part.attention.key_value, other), 2, 2)
            mixed = attended(linear(part.attention.query, own), keys, values, 2, seen[1 - side])
            own = normed(part.attention_residual.after, own + linear(part.attention.output, mixed))
            crossed.append(fed_forward(part.feed_forward, part.feed_forward_residual.after, own))
        for side in (0, 1):
            part, own = layer.within[side], crossed[side]
            mixed = attended(*by_kind(linear(part.mixer.qkv, own), heads[side], 3), heads[side], seen[side])
            own = normed(part.mixer_residual.after, own + linear(part.mixer.output, mixed))
            states[side] = fed_forward(part.feed_forward, part.feed_forward_residual.after, own)
    return states


def co_model(folder: Path, **options: Any) -> Model:
    model = {
        "vocab_size": 41,
        "dropout": 0.0,
        "streams": STREAMS,
        "encoder": {"co_attention": CO_ATTENTION | options},
        "target": ["itm"],
    }
    return randomised(build(folder, model))


def test_co_attention_is_the_papers_formula_in_float64_with_padding_on_both_sides(tmp_path: Path) -> None:
    model = co_model(tmp_path)
    generator = torch.Generator().manual_seed(1)
    states = {"text": torch.randn(3, 6, 8, generator=generator), "image": torch.randn(3, 4, 16, generator=generator)}
    masks = {"text": mask_of([6, 2, 5], 6).bool(), "image": mask_of([4, 3, 1], 4).bool()}
    with torch.no_grad():
        assert model.fusion is not None
        found = model.fusion({name: Sequence(states[name], masks[name]) for name in states})
        for number in range(3):
            seen = [masks[name][number] for name in states]
            expected = reference(model.fusion, [states[name][number].double() for name in states], seen)
            for name, own, theirs in zip(states, seen, expected):
                assert worst(found[name].states[number][own], theirs[own]) < 1e-5


def test_neither_padding_nor_batch_mates_change_what_co_attention_gives(tmp_path: Path) -> None:
    check_independence(co_model(tmp_path), [9, 4, 6], 1e-5)


def test_recomputing_activations_changes_no_gradient_of_co_attention(tmp_path: Path) -> None:
    model = co_model(tmp_path).train()
    batch = random_batch(model, [5, 3])
    grads = []
    for enabled in (False, True):
        model.checkpoint_activations(enabled)
        model.zero_grad()
        model(batch).loss.backward()
        grads.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    assert all(worst(a, b) < 1e-6 for a, b in zip(*grads, strict=True))


def test_co_attention_says_which_stream_a_batch_lacks(tmp_path: Path) -> None:
    model = co_model(tmp_path)
    with pytest.raises(TPError, match="co_attention reads text and image together; the batch has no 'image'"):
        model.encode(Batch({"text": {"input_ids": tokens(2, 3)}}, 2))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"num_heads": {"words": 2}}, "num_heads: names 'words'; the streams are text and image"),
        ({"num_heads": 3}, "num_heads: of the stream 'text': 3 does not divide hidden_size 8"),
        ({"co_heads": 5}, "co_heads: 5 does not divide the width, 12"),
        ({"feed_forward_size": {"text": 0}}, "feed_forward_size: must be greater than 0, got 0"),
    ],
)
def test_options_of_co_attention_that_cannot_work_are_named(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    model = {"vocab_size": 9, "streams": STREAMS, "encoder": {"co_attention": CO_ATTENTION | options}, "target": "itm"}
    assert f"model.encoder.co_attention.{said}" in problems_of(tmp_path, {"model": model})
