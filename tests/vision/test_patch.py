"""The patch embedding and positions in its grid: contracts, references, pictures of other sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor

from tests.building import READOUT, batch_of, build, randomised, worst
from tp_core import Model, SpecError, TPError, load_spec
from tp_core.testing import check_module
from tp_vision.embeddings.positions import sinusoidal_grid

TOLERANCE = 1e-5
SMALL: dict[str, Any] = {"image_size": 8, "patch_size": 2, "channels": 1}
ODD: dict[str, Any] = {"image_size": [8, 12], "patch_size": [4, 2], "class_token": False, "registers": 3, "bias": False}


def surroundings(*modules: Any) -> dict[str, Any]:
    return {"embedding": {"modules": [*modules], "norm": "none", "dropout": 0.0}}


def model_of(folder: Path, *modules: Any) -> Model:
    encoder = {"transformer": {"num_layers": 1, "num_heads": 2}}
    parts = {"hidden_size": 16, **surroundings(*modules), "encoder": encoder, "target": [READOUT]}
    return randomised(build(folder, parts))


def embedded(model: Model, pixels: Tensor) -> Tensor:
    with torch.no_grad():
        return model.embedding(batch_of(pixel_values=pixels).inputs).states


def picture(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("options", [SMALL, ODD, SMALL | {"distillation_token": True, "registers": 1}])
def test_patches_conform(options: dict[str, Any]) -> None:
    check_module("patch", "embedding", options)


@pytest.mark.parametrize(
    ("name", "options", "patch"),
    [
        ("patch_pos", {}, ODD),
        ("patch_pos", {"position_image_size": 12}, SMALL),
        ("patch_sinusoidal", {}, SMALL | {"registers": 2}),
    ],
)
def test_positions_conform(name: str, options: dict[str, Any], patch: dict[str, Any]) -> None:
    check_module(name, "embedding", options, model=surroundings({"patch": patch}, {name: options}))


@pytest.mark.parametrize("shape", [(2, 3, 8, 12), (1, 3, 16, 4)])
def test_patches_are_the_convolution_that_they_are_called(tmp_path: Path, shape: tuple[int, ...]) -> None:
    model = model_of(tmp_path, {"patch": ODD})
    part: Any = model.embedding.parts["patch"]
    pixels = picture(*shape)
    weight = part.projection.weight.detach().double().flatten(1)  # (size, channels × height × width)
    batch, channels, height, width = shape
    cut = pixels.double().view(batch, channels, height // 4, 4, width // 2, 2).permute(0, 2, 4, 1, 3, 5)
    expected = cut.flatten(3).flatten(1, 2) @ weight.T
    registers = part.registers.detach().double().expand(batch, -1, -1)
    assert worst(embedded(model, pixels), torch.cat([registers, expected], dim=1)) < TOLERANCE


@pytest.mark.parametrize(("image", "actual"), [(8, (8, 8)), (8, (12, 6)), ([4, 8], (8, 8))])
def test_positions_of_another_grid_are_those_of_hugging_face(
    tmp_path: Path, image: Any, actual: tuple[int, int]
) -> None:
    transformers = pytest.importorskip("transformers")
    from transformers.models.vit.modeling_vit import ViTEmbeddings

    model = model_of(tmp_path, {"patch": SMALL | {"image_size": image}}, "patch_pos")
    ours: dict[str, Tensor] = {name: p.detach() for name, p in model.embedding.parts.named_parameters()}
    square = isinstance(image, int)
    config = transformers.ViTConfig(hidden_size=16, image_size=image, patch_size=2, num_channels=1)
    theirs = ViTEmbeddings(config).eval()
    theirs.load_state_dict(
        {
            "cls_token": ours["patch.class_token"][None],
            "position_embeddings": ours["patch_pos.table"][None],
            "patch_embeddings.projection.weight": ours["patch.projection.weight"],
            "patch_embeddings.projection.bias": ours["patch.projection.bias"],
        }
    )
    pixels = picture(2, 1, *actual)
    if square:
        with torch.no_grad():
            expected = theirs(pixels, interpolate_pos_encoding=True)
    else:  # theirs interpolates square grids only
        grid = ours["patch_pos.table"][1:].T.reshape(1, 16, 2, 4)
        table = torch.nn.functional.interpolate(grid, size=(4, 4), mode="bicubic").flatten(2).transpose(1, 2)
        bare = theirs.patch_embeddings(pixels).detach()
        first = (ours["patch.class_token"] + ours["patch_pos.table"][:1]).expand(2, -1, -1)
        expected = torch.cat([first, bare + table], dim=1)
    assert worst(embedded(model, pixels), expected) < TOLERANCE


def test_positions_learned_for_one_size_serve_a_model_of_another(tmp_path: Path) -> None:
    """The weights load as they are, and the features are those of larger pictures in the old model."""
    old = model_of(tmp_path, {"patch": SMALL}, "patch_pos")
    new = model_of(tmp_path, {"patch": SMALL | {"image_size": 12}}, {"patch_pos": {"position_image_size": 8}})
    new.load_weights({name: value.clone() for name, value in old.weights().items()})
    pixels = picture(2, 1, 12, 12)
    assert torch.equal(embedded(new, pixels), embedded(old, pixels))


def test_registers_have_no_position_and_the_other_tokens_have(tmp_path: Path) -> None:
    model = model_of(tmp_path, {"patch": SMALL | {"distillation_token": True, "registers": 3}}, "patch_pos")
    parts: Any = model.embedding.parts
    states = embedded(model, picture(1, 1, 8, 8))[0]
    assert parts["patch_pos"].table.shape == (2 + 16, 16)
    assert torch.equal(states[2:5], parts["patch"].registers)
    assert torch.equal(states[0], parts["patch"].class_token[0] + parts["patch_pos"].table[0])
    assert torch.equal(states[1], parts["patch"].distillation_token[0] + parts["patch_pos"].table[1])


@pytest.mark.parametrize(("rows", "columns", "size"), [(4, 4, 16), (3, 5, 12), (14, 14, 64)])
def test_fixed_positions_follow_the_formula(rows: int, columns: int, size: int) -> None:
    found = sinusoidal_grid(rows, columns, size, torch.device("cpu")).view(rows, columns, size)
    quarter = size // 4
    expected = np.zeros((rows, columns, size))
    for row in range(rows):
        for column in range(columns):
            for i in range(quarter):
                rate = 10000.0 ** (-i / quarter)
                expected[row, column, i] = np.sin(column * rate)
                expected[row, column, quarter + i] = np.cos(column * rate)
                expected[row, column, 2 * quarter + i] = np.sin(row * rate)
                expected[row, column, 3 * quarter + i] = np.cos(row * rate)
    assert worst(found, torch.from_numpy(expected)) < 1e-6


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 8, 8), "pixel_values have 3 channels; the model's patches have 1"),
        ((1, 1, 9, 8), "patches of 2 x 2 pixels do not fill pictures of 9 x 8"),
    ],
)
def test_pictures_that_do_not_fit_the_patches_are_refused(tmp_path: Path, shape: tuple[int, ...], message: str) -> None:
    model = model_of(tmp_path, {"patch": SMALL})
    with pytest.raises(TPError, match=message):
        embedded(model, torch.zeros(shape))


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ([{"patch": {"image_size": 30}}], "patches of 16 pixels do not fill a height of 30; did you mean 32?"),
        ([{"patch": SMALL}, {"patch_pos": {"position_image_size": 9}}], "is not a multiple of patch_size, 2"),
        (
            ["tp_core.testing.options:ContentConfig", "patch_pos"],
            "adds to patches, but no module before it makes patches",
        ),
        (["patch_pos"], "cannot stand first"),
    ],
)
def test_embeddings_that_cannot_work_are_found_before_anything_is_built(
    tmp_path: Path, modules: list[Any], message: str
) -> None:
    file = tmp_path / "spec.yaml"
    encoder = {"transformer": {"num_layers": 1, "num_heads": 2}}
    file.write_text(yaml.safe_dump({"model": {"hidden_size": 16, "embedding": modules, "encoder": encoder}}))
    with pytest.raises(SpecError) as caught:
        load_spec(file)
    assert message in str(caught.value)
