"""BEiT's options of the transformer: relative positions in a grid, no key bias, layer scale, growing layer drop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from tests.building import batch_of, build, encoder_model, tokens, worst
from tp_core import TPError, load_spec
from tp_vision.positions.grid import GridBias, grid_offsets


def attention(**options: Any) -> dict[str, Any]:
    """The options of a transformer whose attention has these."""
    return {"mixer": {"attention": options}}


def grid(**options: Any) -> dict[str, Any]:
    """Positions in a grid of 2 x 3 patches."""
    return {"grid": {"size": [2, 3], **options}}


@pytest.mark.parametrize(("rows", "columns", "leading"), [(2, 3, 1), (3, 2, 2), (1, 4, 0)])
def test_offsets_of_patches_and_of_leading_tokens_have_rows_of_their_own(rows: int, columns: int, leading: int) -> None:
    length = leading + rows * columns
    index = grid_offsets(rows, columns, length, torch.device("cpu"))
    last = (2 * rows - 1) * (2 * columns - 1)
    for query in range(length):
        for key in range(length):
            q, k = query - leading, key - leading
            if q < 0 or k < 0:
                expected = last + (2 if q < 0 and k < 0 else 0 if q < 0 else 1)
            else:
                down, across = q // columns - k // columns, q % columns - k % columns
                expected = (down + rows - 1) * (2 * columns - 1) + across + columns - 1
            assert index[query, key] == expected


def test_a_grid_of_another_size_gets_interpolated_biases() -> None:
    module = GridBias(heads=2, grid=(2, 2))
    with torch.no_grad():
        module.bias.weight.copy_(torch.randn(12, 2, generator=torch.Generator().manual_seed(0)))
    found = module((3, 3), 10)
    assert found.shape == (1, 2, 10, 10)
    learned = module.bias.weight[:9].T.view(1, 2, 3, 3)
    wanted = F.interpolate(learned, size=(5, 5), mode="bilinear")[0]
    # The first patch and the last one are two rows and two columns apart, upwards and to the left.
    assert worst(found[0, :, 1, 9], wanted[:, 0, 0]) < 1e-6
    assert worst(found[0, :, 0, 5], module.bias.weight[-3]) < 1e-6


@pytest.mark.parametrize("per_layer", [False, True])
def test_attention_adds_the_bias_of_each_offset(tmp_path: Path, per_layer: bool) -> None:
    options = {"num_layers": 1, "norm_position": "pre", "final_norm": False}
    model = encoder_model(tmp_path, {**attention(positions=grid(per_layer=per_layer)), **options})
    layer: Any = model.encoder.layers[0]  # type: ignore[index]
    states = torch.randn(2, 7, 16, generator=torch.Generator().manual_seed(1))
    shared: Any = model.encoder.shared
    bias = (layer.mixer.positions.own if per_layer else shared[0].bias)((2, 3), 7)
    rows = layer.mixer.qkv(layer.mixer_residual.before(states))
    query, key, value = rows.view(2, 7, 4, 3, 4).permute(3, 0, 2, 1, 4)
    weights = (query @ key.transpose(-1, -2) / 2 + bias).softmax(dim=-1)
    expected = states + layer.mixer.output((weights @ value).transpose(1, 2).flatten(2))
    expected = expected + layer.feed_forward(layer.feed_forward_residual.before(expected))
    from tp_core.interfaces import Sequence

    with torch.no_grad():
        assert worst(model.encoder(Sequence(states)).states, expected) < 1e-5


def test_a_sequence_shorter_than_its_grid_is_refused(tmp_path: Path) -> None:
    model = encoder_model(tmp_path, attention(positions=grid()))
    with pytest.raises(TPError, match="a sequence of 5 positions holds no grid of 2 x 3 patches"):
        model.encode(batch_of(input_ids=tokens(1, 5)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (attention(positions="grid"), "positions.* is for embeddings that make patches"),
        (attention(positions=grid(size=[0, 3])), "rows and columns are at least 1"),
        (attention(positions=grid(per_layer=True), residual=True), "would be added again in every layer"),
        ({"drop_path_growing": True, "share_layers": True}, "makes layers differ"),
    ],
)
def test_options_that_cannot_work_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(TPError, match=message):
        encoder_model(tmp_path, options)


def test_without_key_bias_only_queries_and_values_have_one(tmp_path: Path) -> None:
    model = encoder_model(tmp_path, {**attention(key_bias=False, num_key_value_heads=2), "num_layers": 1})
    qkv: Any = model.encoder.layers[0].mixer.qkv  # type: ignore[index, union-attr]
    assert qkv.weight.shape == (16 + 8 + 8, 16)
    assert qkv.bias.shape == (16 + 8,)
    states = torch.randn(3, 16)
    # By key-value head: its two query heads, its key, its value.
    found = (qkv(states) - states @ qkv.weight.T).view(3, 2, 4, 4)
    bias = qkv.bias.view(2, 3, 4).expand(3, -1, -1, -1)
    assert worst(found[:, :, :2], bias[:, :, :2]) < 1e-6
    assert not found[:, :, 2].any()
    assert worst(found[:, :, 3], bias[:, :, 2]) < 1e-6


def test_layer_scale_multiplies_what_each_sub_layer_adds(tmp_path: Path) -> None:
    options = {"num_layers": 1, "norm_position": "pre", "final_norm": False}
    model = encoder_model(tmp_path, {**options, "layer_scale": 0.25})
    plain = encoder_model(tmp_path, options)
    with torch.no_grad():
        for name in ("mixer_residual", "feed_forward_residual"):
            getattr(model.encoder.layers[0], name).scale.weight.fill_(1.0)  # type: ignore[index]
    weights = {name: value for name, value in model.weights().items() if ".scale." not in name}
    plain.load_weights(weights)
    batch = batch_of(input_ids=tokens(2, 5))
    with torch.no_grad():
        assert worst(model.encode(batch).sequence.states, plain.encode(batch).sequence.states) < 1e-6
        for name in ("mixer_residual", "feed_forward_residual"):
            getattr(model.encoder.layers[0], name).scale.weight.zero_()  # type: ignore[index]
        embedded = model.embedding(batch.inputs).states
        assert torch.equal(model.encode(batch).sequence.states, embedded)


def test_layer_scale_starts_at_its_option(tmp_path: Path) -> None:
    model = build(
        tmp_path,
        {
            "hidden_size": 8,
            "embedding": ["tp_core.testing.options:ContentConfig"],
            "encoder": {"transformer": {"num_layers": 1, "num_heads": 2, "layer_scale": 0.125}},
        },
    )
    scale: Any = model.encoder.layers[0].feed_forward_residual.scale  # type: ignore[index, union-attr]
    assert torch.equal(scale.weight, torch.full((8,), 0.125))


def test_layer_drop_grows_from_nothing_to_its_option(tmp_path: Path) -> None:
    model = encoder_model(tmp_path, {"num_layers": 5, "drop_path": 0.2, "drop_path_growing": True})
    rates = [layer.mixer_residual.drop_path for layer in model.encoder.layers]  # type: ignore[union-attr]
    assert rates == pytest.approx([0, 0.05, 0.1, 0.15, 0.2])


def test_an_unset_grid_is_written_into_no_spec(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(
        "tp: 1\nmodel:\n  hidden_size: 8\n  embedding: [patch]\n"
        "  encoder: {transformer: {num_heads: 2, mixer: {attention: {positions: grid}}}}\n"
    )
    transformer = load_spec(tmp_path / "spec.yaml").dump()["model"]["encoder"]["transformer"]
    assert transformer["mixer"]["attention"]["positions"] == {"grid": {"size": None, "per_layer": False}}
