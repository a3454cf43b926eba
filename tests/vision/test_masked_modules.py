"""Tests of the modules of masked image modelling: embeddings, MAE's decoder, targets, visual tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.building import batch_of, build, randomised, worst
from tp_core import BuildContext, Model, TPError, load_spec
from tp_core.interfaces import IGNORE, Batch
from tp_core.testing import check_module
from tp_vision.facts import GridFacts
from tp_vision.targets.pixels import patchify, unpatchify
from tp_vision.targets.visual_tokens_options import VisualTokensConfig
from tp_vision.visual_tokenizers.random_projection_options import RandomProjectionConfig

#: A grid of 2 x 3 patches of 4 x 2 pixels.
SIZES: dict[str, Any] = {"image_size": [8, 6], "patch_size": [4, 2], "channels": 3}
DECODER: dict[str, Any] = {"mae": {"hidden_size": 16, "num_layers": 1, "num_heads": 2, "norm_position": "pre"}}
PROJECTION = {"random_projection": {"num_tokens": 32, "code_size": 4}}
TOKENS = {"visual_tokens": {"tokenizer": PROJECTION}}
GRID = GridFacts(2, 3, (4, 2), 3, 1)


def model_of(folder: Path, embedding: list[Any], targets: list[Any], **more: Any) -> Model:
    parts = {
        "hidden_size": 16,
        "dropout": 0.0,
        **SIZES,
        "embedding": {"modules": embedding, "norm": "none"},
        "encoder": {"transformer": {"num_layers": 1, "num_heads": 2, "norm_position": "pre"}},
        "target": targets,
    }
    return randomised(build(folder, parts | more))


def pictures(count: int = 2, seed: int = 0) -> Tensor:
    return torch.randn(count, 3, 8, 6, generator=torch.Generator().manual_seed(seed))


def changed_at(pixels: Tensor, patch: int) -> Tensor:
    """The same pictures, with other pixels in one patch."""
    patches = patchify(pixels, (4, 2))
    patches[:, patch] += 3
    return unpatchify(patches, (2, 3), (4, 2))


def masked_batch(pixels: Tensor, positions: list[list[int]], tokens: Tensor | None = None) -> Batch:
    """Pictures with masks in all the forms that embeddings and targets read."""
    places = torch.tensor(positions)
    masked = torch.zeros(len(positions), 6, dtype=torch.bool).scatter(1, places.clamp(min=0), True)
    rows = [(~row).nonzero().flatten() for row in masked]
    visible = torch.stack(rows) if len({len(row) for row in rows}) == 1 else None
    more = {} if tokens is None else {"labels": tokens}
    labels = {"pixels": {"positions": places}, "visual_tokens": {"positions": places, **more}}
    return batch_of(labels, pixel_values=pixels, bool_masked_pos=masked, visible_ids=visible)


@pytest.mark.parametrize(
    ("name", "kind", "options", "surroundings"),
    [
        ("masked_patch", "embedding", SIZES, {}),
        ("visible", "embedding", {}, {"embedding": ["patch", "patch_sinusoidal", "visible"]}),
        ("mae", "decoder", DECODER["mae"], {"embedding": ["patch", "patch_sinusoidal", "visible"]}),
        ("pixels", "target", {"loss": "l1"}, {"embedding": ["masked_patch", "patch_pos"]}),
        (
            "pixels",
            "target",
            {"normalize": True},
            {"embedding": ["patch", "patch_sinusoidal", "visible"], "decoder": DECODER},
        ),
        ("visual_tokens", "target", TOKENS["visual_tokens"], {"embedding": ["masked_patch"]}),
        ("visual_tokens", "target", {"num_tokens": 7}, {"embedding": ["masked_patch"]}),
        ("patch_cls", "target", {"num_labels": 3}, {"embedding": ["patch"]}),
        (
            "transformer",
            "encoder",
            {"num_layers": 2, "num_heads": 2, "mixer": {"attention": {"positions": "grid", "key_bias": False}}},
            {"embedding": ["patch"], "layer_scale": 0.1, "per_layer": True},
        ),
    ],
)
def test_modules_keep_their_contracts(
    name: str, kind: str, options: dict[str, Any], surroundings: dict[str, Any]
) -> None:
    sizes = {} if name == "masked_patch" else SIZES
    check_module(name, kind, options, model={**sizes, **surroundings})


# -- embeddings --------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_a_masked_patch_is_the_learned_vector_whatever_its_pixels(tmp_path: Path) -> None:
    model = model_of(tmp_path, ["masked_patch"], [])
    pixels = pictures()
    batch = masked_batch(pixels, [[1, 4], [0, 1]])
    before = model.embedding(batch.inputs).states
    token: Any = model.embedding.parts["masked_patch"].mask_token
    assert worst(before[0, [2, 5]], token.expand(2, -1)) < 1e-6  # behind the class token
    assert worst(before[1, [1, 2]], token.expand(2, -1)) < 1e-6
    after = model.embedding({**batch.inputs, "pixel_values": changed_at(pixels, 1)}).states
    assert torch.equal(before, after)
    other = model.embedding({**batch.inputs, "pixel_values": changed_at(pixels, 4)}).states
    assert torch.equal(before[0], other[0])
    assert not torch.equal(before[1], other[1])


@torch.no_grad()
def test_without_masks_masked_patches_are_patches(tmp_path: Path) -> None:
    masked = model_of(tmp_path, ["masked_patch"], [])
    plain = model_of(tmp_path, ["patch"], [])
    plain.load_weights({n.replace("masked_patch", "patch"): v for n, v in masked.weights().items()})
    source = {"pixel_values": pictures()}
    assert torch.equal(masked.embedding(source).states, plain.embedding(source).states)


def test_a_model_that_is_fine_tuned_has_no_mask_token_and_needs_no_masks(tmp_path: Path) -> None:
    model = model_of(tmp_path, [{"masked_patch": {"mask_token": False}}], [])
    assert list(model.fields().source[""]) == ["pixel_values"]
    assert not [name for name in model.weights() if "mask_token" in name]


@torch.no_grad()
def test_the_encoder_of_mae_sees_nothing_of_hidden_patches(tmp_path: Path) -> None:
    model = model_of(tmp_path, ["patch", "patch_sinusoidal", "visible"], [])
    pixels = pictures()
    batch = masked_batch(pixels, [[1, 2, 4], [0, 1, 5]])
    before = model.encode(batch).sequence.states
    assert before.shape == (2, 1 + 3, 16)
    after = model.encode(masked_batch(changed_at(pixels, 1), [[1, 2, 4], [0, 1, 5]])).sequence.states
    assert torch.equal(before, after)
    # Each state is the one that the patch has, with its position, where all are visible.
    model.encoder = torch.nn.Identity()  # type: ignore[assignment]
    alone, whole = (model.embedding(source).states for source in (batch.inputs, {"pixel_values": pixels}))
    assert torch.equal(alone[0], whole[0, [0, 1, 4, 6]])
    assert torch.equal(alone[1], whole[1, [0, 3, 4, 5]])


@torch.no_grad()
def test_without_masks_the_encoder_of_mae_sees_all_patches(tmp_path: Path) -> None:
    model = model_of(tmp_path, ["patch", "patch_sinusoidal", "visible"], [])
    assert model.encode(batch_of(pixel_values=pictures())).sequence.states.shape == (2, 7, 16)


# -- the decoder of MAE ------------------------------------------------------------------------------------------


@torch.no_grad()
def test_the_decoder_puts_visible_patches_where_they_were_and_mask_tokens_elsewhere(tmp_path: Path) -> None:
    from tp_vision.embeddings.positions import sinusoidal_grid

    model = model_of(tmp_path, ["patch", "patch_sinusoidal", "visible"], [], decoder=DECODER)
    decoder: Any = model.decoder
    seen: list[Tensor] = []
    decoder.layers[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    features = model.encode(masked_batch(pictures(), [[1, 2, 4], [0, 1, 5]]))
    assert features.sequence.states.shape == (2, 7, 16)
    assert features.memory is not None
    entered = decoder.entry(features.memory.states)
    table = torch.cat([torch.zeros(1, 16), sinusoidal_grid(2, 3, 16, torch.device("cpu"))])
    places = [[0, 1, 4, 6], [0, 3, 4, 5]]  # the class token, and the visible patches behind it
    for row in range(2):
        expected = decoder.mask_token.expand(7, -1).clone()
        expected[places[row]] = entered[row]
        assert worst(seen[0][row], expected + table) < 1e-6


# -- pixels ------------------------------------------------------------------------------------------------------


def test_cutting_into_patches_and_putting_together_are_inverse() -> None:
    pixels = pictures()
    patches = patchify(pixels, (4, 2))
    assert patches.shape == (2, 6, 24)
    # Row by row, the channels of a pixel together; patch 4 is the middle one of the second row.
    assert torch.equal(patches[0, 4].view(4, 2, 3), pixels[0, :, 4:8, 2:4].permute(1, 2, 0))
    assert torch.equal(unpatchify(patches, (2, 3), (4, 2)), pixels)


@pytest.mark.parametrize("loss", ["l1", "mse"])
@pytest.mark.parametrize("normalize", [False, True])
@torch.no_grad()
def test_the_loss_is_the_mean_error_over_masked_patches(tmp_path: Path, loss: str, normalize: bool) -> None:
    target = {"pixels": {"loss": loss, "normalize": normalize}}
    model = model_of(tmp_path, ["masked_patch", "patch_pos"], [target])
    batch = masked_batch(pictures(), [[1, 4, 5], [0, 2, IGNORE]])
    features = model.encode(batch)
    logits = model.targets["pixels"].predicted(features).double()  # type: ignore[operator]
    wanted = patchify(pictures().double(), (4, 2))
    if normalize:
        wanted = (wanted - wanted.mean(-1, keepdim=True)) / (wanted.var(-1, keepdim=True) + 1e-6).sqrt()
    error = (logits - wanted).abs() if loss == "l1" else (logits - wanted) ** 2
    chosen = torch.cat([error[0, [1, 4, 5]], error[1, [0, 2]]])
    assert worst(model(batch).loss, chosen.mean()) < 1e-5
    assert model.denominators(batch).tolist() == [5]


@torch.no_grad()
def test_perfect_predictions_reconstruct_the_picture(tmp_path: Path) -> None:
    model = model_of(tmp_path, ["masked_patch"], [{"pixels": {"normalize": True}}])
    batch = masked_batch(pictures(), [[1], [2]])
    features, target = model.encode(batch), model.targets["pixels"]
    wanted = patchify(pictures(), (4, 2))
    wanted = (wanted - wanted.mean(-1, keepdim=True)) / (wanted.var(-1, keepdim=True) + 1e-6).sqrt()
    target.predicted = lambda features: wanted  # type: ignore[assignment]
    assert worst(target.reconstructions(features, batch), pictures()) < 1e-5  # type: ignore[operator]


# -- visual tokens -----------------------------------------------------------------------------------------------


@torch.no_grad()
def test_the_loss_is_the_cross_entropy_of_the_tokenizers_tokens_at_masked_patches(tmp_path: Path) -> None:
    model = model_of(tmp_path, ["masked_patch"], [TOKENS])
    batch = masked_batch(pictures(), [[1, 4, 5], [0, 2, IGNORE]])
    tokens = RandomProjectionConfig(num_tokens=32, code_size=4).build(BuildContext().with_facts(GRID))(pictures())
    target: Any = model.targets["visual_tokens"]
    assert torch.equal(target.labels(batch), tokens)
    logits = target.patch_logits(model.encode(batch)).double()
    rows = torch.cat([logits[0, [1, 4, 5]], logits[1, [0, 2]]])
    labels = torch.cat([tokens[0, [1, 4, 5]], tokens[1, [0, 2]]])
    output = model(batch)
    assert worst(output.loss, F.cross_entropy(rows, labels)) < 1e-5
    accuracy = (rows.argmax(-1) == labels).float().mean()
    assert output.metrics["visual_tokens/accuracy"].item() == pytest.approx(accuracy.item())


def test_the_tokenizer_is_no_part_of_the_model(tmp_path: Path) -> None:
    model = model_of(tmp_path, ["masked_patch"], [TOKENS])
    names = set(model.weights())
    model.train()(masked_batch(pictures(), [[1], [2]])).loss.backward()
    assert set(model.weights()) == names
    assert {name for name in names if name.startswith("targets.")} == {
        f"targets.visual_tokens.{part}.{kind}" for part in ("norm", "output") for kind in ("weight", "bias")
    }


def write(folder: Path, target: str) -> Path:
    text = "tp: 1\nmodel:\n  hidden_size: 16\n  image_size: 8\n  patch_size: 2\n  embedding: [masked_patch]\n"
    file = folder / "spec.yaml"
    file.write_text(f"{text}  encoder: identity\n  target:\n    {target}\n", encoding="utf-8")
    return file


def test_a_tokenizer_may_be_chosen_by_its_name_alone_and_is_written_with_all_options(tmp_path: Path) -> None:
    spec = load_spec(write(tmp_path, "visual_tokens: {tokenizer: random_projection}"))
    options = spec.dump()["model"]["target"][0]["visual_tokens"]
    expected = {"num_tokens": 8192, "code_size": 16, "seed": 0, "normalize": True}
    assert options["tokenizer"] == {"random_projection": expected}
    config = spec.model.targets[0].config
    assert isinstance(config, VisualTokensConfig)
    assert config.token_count() == 8192


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("visual_tokens", "needs a tokenizer, or num_tokens"),
        (
            "visual_tokens: {tokenizer: random_projektion}",
            "unknown visual tokenizer .* mean 'random_projection'",
        ),
        (
            "visual_tokens: {tokenizer: {random_projection: {tokens: 3}}}",
            r"spec.yaml:9:\d+: model.target.visual_tokens.tokenizer.random_projection.tokens: unknown option 'tokens'",
        ),
        ("visual_tokens: {tokenizer: {random_projection: {num_tokens: 1}}}", "must be greater than 1, got 1"),
        ("visual_tokens: {tokenizer: [3]}", "expected the name of one module"),
        ("visual_tokens: {tokenizer: random_projection, num_tokens: 5}", "is 5; the tokenizer has 8192 tokens"),
    ],
)
def test_a_wrong_choice_of_tokenizer_is_explained_at_its_place(tmp_path: Path, target: str, message: str) -> None:
    with pytest.raises(TPError, match=message):
        load_spec(write(tmp_path, target))


# -- the random projection ---------------------------------------------------------------------------------------


def projection(**options: Any) -> Any:
    return RandomProjectionConfig(num_tokens=64, code_size=8, **options).build(BuildContext().with_facts(GRID))


def test_the_tokens_of_a_random_projection_are_fixed_by_its_seed() -> None:
    pixels = pictures(50)
    tokens = projection()(pixels)
    assert tokens.shape == (50, 6)
    torch.manual_seed(5)
    assert torch.equal(projection()(pixels), tokens)
    assert (projection(seed=1)(pixels) != tokens).float().mean() > 0.9
    assert len(tokens.unique()) > 40  # of 64: not a few codes only


def test_the_tokens_of_a_random_projection_are_the_nearest_codes() -> None:
    tokenizer, pixels = projection(), pictures()
    patches = patchify(pixels, (4, 2))
    patches = (patches - patches.mean(-1, keepdim=True)) / (patches.var(-1, keepdim=True, correction=0) + 1e-6).sqrt()
    projected = F.normalize(patches @ tokenizer.projection, dim=-1)
    distances = torch.cdist(projected, tokenizer.codes.expand(2, -1, -1))
    assert torch.equal(tokenizer(pixels), distances.argmin(dim=-1))


def test_a_normalised_patch_has_the_same_token_in_any_light() -> None:
    pixels = pictures()
    assert torch.equal(projection()(pixels), projection()(0.5 * pixels + 2))
    plain = projection(normalize=False)
    assert not torch.equal(plain(pixels), plain(0.5 * pixels + 2))
