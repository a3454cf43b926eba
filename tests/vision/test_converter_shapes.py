"""Pictures and patches that are no squares, and positions of another size: written so that transformers agrees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

import tp_core
from tests.building import randomised, worst
from tp_core import Model, load_model, load_spec
from tp_core.artifacts.export import export_model
from tp_core.errors import TPError
from tp_core.interfaces import Batch

transformers = pytest.importorskip("transformers")
transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

SIZES = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2, "intermediate_size": 24}
WIDE: list[tuple[Any, Any]] = [([8, 12], 4), (8, [2, 4]), ([8, 16], [2, 4]), ([8, 12], [4, 2])]
ABSOLUTE = {"use_absolute_position_embeddings": True, "use_mean_pooling": False}
SHARED = {"use_shared_relative_position_bias": True, "use_mean_pooling": False}
PER_LAYER = {"use_relative_position_bias": True, "use_mean_pooling": False}


def states(model: Model, pixels: Tensor) -> Tensor:
    with torch.no_grad():
        return model.encode(Batch.of({"pixel_values": pixels}, len(pixels))).sequence.states


@pytest.mark.parametrize(("image", "patch"), WIDE, ids=str)
@pytest.mark.parametrize(
    ("cls", "more"), [("ViTModel", {}), ("DeiTModel", {}), ("BeitModel", {"use_mean_pooling": False})]
)
def test_pictures_and_patches_of_any_shape_are_the_same_after_each_way(
    tmp_path: Path, cls: str, more: dict[str, Any], image: Any, patch: Any
) -> None:
    kind = getattr(transformers, cls)
    config = kind.config_class(image_size=image, patch_size=patch, attn_implementation="eager", **SIZES, **more)
    theirs = randomised(kind(config), std=0.15).eval()
    theirs.save_pretrained(tmp_path / "first")
    ours = load_model(tp_core.convert("huggingface", tmp_path / "first", "tp", tmp_path / "ours"), "cpu").model
    again = kind.from_pretrained(tp_core.convert("tp", tmp_path / "ours", "huggingface", tmp_path / "second"))
    pixels = torch.randn(2, 3, *(image if isinstance(image, list) else (image, image)))
    with torch.no_grad():
        expected = theirs(pixel_values=pixels).last_hidden_state
        assert worst(states(ours, pixels), expected) < 1e-5
        assert worst(again.eval()(pixel_values=pixels).last_hidden_state, expected) < 1e-5


def exported(folder: Path, model: dict[str, Any]) -> Path:
    """A model of ours with random weights."""
    (folder / "mine.yaml").write_text(yaml.dump({"tp": 1, "model": model}), encoding="utf-8")
    spec = load_spec(folder / "mine.yaml")
    built = randomised(tp_core.build_model(spec), std=0.15)
    return export_model(spec, built.weights(), {}, folder / "model")


def vit(image: Any, patch: Any, modules: list[Any], **more: Any) -> dict[str, Any]:
    return {
        "hidden_size": 16,
        "image_size": image,
        "patch_size": patch,
        "norm": {"layernorm": {"eps": 1e-6}},
        "embedding": {"modules": modules, "norm": "none"},
        "encoder": {"transformer": {"num_layers": 1, "num_heads": 2, "norm_position": "pre"}},
        "target": [],
        **more,
    }


@pytest.mark.parametrize(("image", "patch"), [(8, 4), *WIDE], ids=str)
def test_maes_body_with_its_fixed_positions_is_written_for_any_shape(tmp_path: Path, image: Any, patch: Any) -> None:
    folder = exported(tmp_path, vit(image, patch, ["patch", "patch_sinusoidal", "visible"]))
    theirs = transformers.ViTMAEModel.from_pretrained(tp_core.convert("tp", folder, "huggingface", tmp_path / "there"))
    pixels = torch.randn(2, 3, *(image if isinstance(image, list) else (image, image)))
    batch = Batch.of({"pixel_values": pixels}, 2)
    theirs.config.mask_ratio = 0.0
    count = theirs.embeddings.patch_embeddings.num_patches
    order = torch.arange(count).expand(2, -1)
    batch.inputs["visible_ids"] = order
    with torch.no_grad():
        found = theirs.eval()(pixel_values=pixels, noise=order.float()).last_hidden_state
        assert worst(load_model(folder, "cpu").model.encode(batch).sequence.states, found) < 1e-5


@pytest.mark.parametrize(
    ("learned", "image", "patch"), [(8, 12, 4), ([8, 12], [12, 8], 4), (16, [8, 16], [4, 8]), (8, [8, 16], [4, 8])]
)
def test_positions_of_another_size_are_written_as_they_are_interpolated(
    tmp_path: Path, learned: Any, image: Any, patch: Any
) -> None:
    folder = exported(tmp_path, vit(image, patch, ["patch", {"patch_pos": {"position_image_size": learned}}]))
    said: list[str] = []
    written = tp_core.convert("tp", folder, "huggingface", tmp_path / "there", model_type="vit", say=said.append)
    theirs, info = transformers.ViTModel.from_pretrained(written, output_loading_info=True)
    assert not info["mismatched_keys"]
    assert not info["unexpected_keys"]
    assert "position_image_size" not in json.loads((written / "config.json").read_text())
    pixels = torch.randn(2, 3, *(image if isinstance(image, list) else (image, image)))
    with torch.no_grad():
        found = theirs.eval()(pixel_values=pixels).last_hidden_state
    assert worst(states(load_model(folder, "cpu").model, pixels), found) < 1e-5
    assert any("positions are written as they are interpolated" in line for line in said)
    back = load_model(tp_core.convert("huggingface", written, "tp", tmp_path / "back"), "cpu").model
    assert worst(states(back, pixels), found) < 1e-5


def test_positions_of_the_pictures_own_size_are_written_as_they_are(tmp_path: Path) -> None:
    folder = exported(tmp_path, vit(8, 4, ["patch", {"patch_pos": {"position_image_size": 8}}]))
    said: list[str] = []
    tp_core.convert("tp", folder, "huggingface", tmp_path / "there", model_type="vit", say=said.append)
    assert not any("positions" in line for line in said)


@pytest.mark.parametrize(
    ("cls", "more", "image", "patch", "why"),
    [
        ("BeitModel", SHARED, [8, 12], 4, "swaps rows and columns"),
        ("BeitModel", PER_LAYER, [8, 12], 4, "swaps rows and columns"),
        ("BeitModel", PER_LAYER, 8, [2, 4], "swaps rows and columns"),
        ("BeitModel", ABSOLUTE, [8, 12], 4, "absolute positions"),
        ("ViTForMaskedImageModeling", {"encoder_stride": 4}, [8, 12], 4, "only square pictures"),
        ("ViTForMaskedImageModeling", {"encoder_stride": 4}, 8, [4, 2], "only square pictures"),
        ("DeiTForMaskedImageModeling", {"encoder_stride": 4}, [8, 12], 4, "only square pictures"),
        ("ViTMAEForPreTraining", {}, [8, 12], 4, "only square pictures"),
    ],
)
def test_shapes_that_transformers_itself_cannot_compute_are_refused_with_the_reason(
    tmp_path: Path, cls: str, more: dict[str, Any], image: Any, patch: Any, why: str
) -> None:
    kind = getattr(transformers, cls)
    config = kind.config_class(image_size=image, patch_size=patch, **SIZES, **more).to_dict()
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "config.json").write_text(json.dumps({**config, "architectures": [cls]}, default=str))
    torch.save({"x": torch.ones(1)}, tmp_path / "first" / "pytorch_model.bin")
    with pytest.raises(TPError, match=why):
        tp_core.convert("huggingface", tmp_path / "first", "tp", tmp_path / "ours")


def test_a_beit_of_wide_pictures_with_relative_positions_is_not_written(tmp_path: Path) -> None:
    layers = {"num_layers": 1, "num_heads": 2, "norm_position": "pre", "final_norm": True}
    relative = {**layers, "mixer": {"attention": {"positions": "grid", "key_bias": False}}}
    folder = exported(tmp_path, vit([8, 12], 4, ["masked_patch"], encoder={"transformer": relative}))
    with pytest.raises(TPError, match="swaps rows and columns"):
        tp_core.convert("tp", folder, "huggingface", tmp_path / "there", architecture="BeitModel")
