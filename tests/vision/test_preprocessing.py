"""The preprocessing of pictures is converted with a model: the pixels are those of transformers' processors."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from click.testing import CliRunner
from PIL import Image
from torch import Tensor

import tp_core
from tests.building import worst
from tests.vision.pictures import encoded, pixels
from tests.vision.test_converters import SHAPES, Case, make
from tp_core import Record, load_model, load_spec
from tp_core.artifacts.export import export_model
from tp_core.cli.main import cli
from tp_core.errors import TPError
from tp_vision.processors.huggingface import _DEFAULTS
from tp_vision.processors.image_options import ImageProcessorConfig
from tp_vision.processors.options import PictureProcessorConfig

transformers = pytest.importorskip("transformers")
transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

#: Both scale 8-bit pictures by the same functions of torchvision; only the order of the arithmetic differs.
TOLERANCE = 1e-5

PHOTOS = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
#: (height, width): squares, both orientations, smaller and larger than 12 x 12, extreme proportions.
SIZES = [(12, 12), (24, 24), (30, 22), (17, 40), (9, 7), (5, 31), (100, 13), (1, 1)]


def ours_of(folder: Path, data: bytes) -> Tensor:
    """The pixels that tp makes of a picture with the model of a folder, (channels, height, width)."""
    processor = load_model(folder, "cpu").processor
    assert processor is not None
    (sample,) = processor.encode([Record({"image": data}, "x", 1)])
    return torch.from_numpy(sample["pixel_values"])


def theirs_of(folder: Path, data: bytes, backend: str | None = None) -> Tensor:
    """The same of transformers."""
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend=backend)
    found: Tensor = processor(Image.open(io.BytesIO(data)), return_tensors="pt")["pixel_values"][0]
    return found


def trained(
    folder: Path, processor: dict[str, Any], image_size: Any = 12, channels: int = 3, target: Any = "cls"
) -> Path:
    """A small model of ours, exported."""
    sizes = {"hidden_size": 16, "image_size": image_size, "patch_size": 4, "channels": channels}
    modules = ["masked_patch" if target == "pixels" else "patch", "patch_pos"]
    heads = {
        "cls": [{"cls": {"num_labels": 3, "hidden_layer": False, "pooling": "first", "dropout": 0.0}}],
        "pixels": [{"pixels": {"loss": "l1"}}],
        None: [],
    }
    model = {
        **sizes,
        "embedding": {"modules": modules, "norm": "none"},
        "encoder": {"transformer": {"num_layers": 1, "num_heads": 2, "norm_position": "pre"}},
        "target": heads[target],
    }
    (folder / "mine.yaml").write_text(yaml.dump({"tp": 1, "model": model, "data": {"processor": processor}}))
    spec = load_spec(folder / "mine.yaml")
    return export_model(spec, tp_core.build_model(spec).weights(), {}, folder / "model")


def to_huggingface(folder: Path, source: Path) -> tuple[Path, list[str]]:
    said: list[str] = []
    return tp_core.convert("tp", source, "huggingface", folder / "theirs", say=said.append), said


def to_tp(folder: Path, source: Path) -> tuple[Path, list[str]]:
    said: list[str] = []
    return tp_core.convert("huggingface", source, "tp", folder / "ours", say=said.append), said


# -- to transformers ---------------------------------------------------------------------------------------------

WRITTEN: list[tuple[str, dict[str, Any]]] = [
    ("crop", {}),
    ("crop-bicubic", {"interpolation": "bicubic", **PHOTOS}),
    ("crop-fraction", {"crop_fraction": 0.875, "mean": [0.1], "std": [0.2]}),
    ("crop-odd-fraction", {"crop_fraction": 0.7}),  # 12 / 0.7 is no whole number
    ("stretch", {"resize": "stretch", "interpolation": "bicubic"}),
    ("stretch-fraction", {"resize": "stretch", "crop_fraction": 0.8, **PHOTOS}),
]


@pytest.mark.parametrize("options", [options for _, options in WRITTEN], ids=[name for name, _ in WRITTEN])
def test_transformers_makes_our_pixels_of_pictures_of_any_size(tmp_path: Path, options: dict[str, Any]) -> None:
    model = trained(tmp_path, {"image": options})
    folder, said = to_huggingface(tmp_path, model)
    assert said == []
    for number, size in enumerate(SIZES):
        picture = encoded(pixels(*size, seed=number))
        assert worst(theirs_of(folder, picture), ours_of(model, picture)) < TOLERANCE, size


def test_pictures_that_are_no_squares_are_stretched_alike(tmp_path: Path) -> None:
    model = trained(tmp_path, {"image": {"resize": "stretch"}}, [8, 12])
    folder, _ = to_huggingface(tmp_path, model)
    for size in SIZES:
        picture = encoded(pixels(*size))
        assert worst(theirs_of(folder, picture), ours_of(model, picture)) < TOLERANCE


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "1"])
def test_grey_pictures_and_palettes_become_colours_alike(tmp_path: Path, mode: str) -> None:
    model = trained(tmp_path, {"image": {}})
    folder, _ = to_huggingface(tmp_path, model)
    picture = encoded(pixels(20, 14), mode=mode)
    assert worst(theirs_of(folder, picture), ours_of(model, picture)) < TOLERANCE


def test_a_model_of_greyscale_pictures_says_that_transformers_does_not_make_them(tmp_path: Path) -> None:
    model = trained(tmp_path, {"image": {"mean": [0.3], "std": [0.4]}}, channels=1)
    folder, said = to_huggingface(tmp_path, model)
    (note,) = said
    assert "give it pictures of one channel" in note
    for size in SIZES:
        picture = encoded(pixels(*size), mode="L")
        assert worst(theirs_of(folder, picture), ours_of(model, picture)) < TOLERANCE


def test_pictures_that_are_not_resized_pass_as_they_are(tmp_path: Path) -> None:
    model = trained(tmp_path, {"plain_image": {"resize": "none", **PHOTOS}}, target=None)
    folder, said = to_huggingface(tmp_path, model)
    assert said == []
    picture = encoded(pixels(12, 12))
    assert worst(theirs_of(folder, picture), ours_of(model, picture)) < TOLERANCE


def test_masked_pictures_have_the_same_pixels(tmp_path: Path) -> None:
    model = trained(tmp_path, {"masked_image": {"interpolation": "bicubic", **PHOTOS}}, target="pixels")
    folder, _ = to_huggingface(tmp_path, model)
    picture = encoded(pixels(30, 22))
    assert worst(theirs_of(folder, picture), ours_of(model, picture)) < TOLERANCE


def test_without_torchvision_transformers_differs_by_a_shade(tmp_path: Path) -> None:
    """Pillow rounds the weights of its interpolation otherwise: by at most one of 255 shades, times 1 / std.

    Of bicubic, noise differs by more: what leaves the range of 8 bits is cut off between the two passes.
    """
    model = trained(tmp_path, {"image": {}})
    folder, _ = to_huggingface(tmp_path, model)
    for size in SIZES:
        picture = encoded(pixels(*size))
        gap = worst(theirs_of(folder, picture, backend="pil"), ours_of(model, picture))
        assert gap < 1.01 / 255 / 0.5


def test_what_no_class_of_transformers_does_is_said_and_not_written(tmp_path: Path) -> None:
    folder, said = to_huggingface(tmp_path, trained(tmp_path, {"image": {}}, [8, 12]))
    (note,) = said
    assert note.startswith("preprocessor_config.json is not written: ")
    assert "8 x 12 pixels" in note
    assert not (folder / "preprocessor_config.json").exists()


# -- from transformers -------------------------------------------------------------------------------------------


def checkpoint(folder: Path, content: Any, case: Case | None = None, shape: tuple[int, ...] = SHAPES[0]) -> Path:
    """A model of transformers with a preprocessor_config.json."""
    model = make(case or Case("ViTForImageClassification", {"num_labels": 3}), shape)
    model.save_pretrained(folder / "first")
    if content is not None:
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / "first" / "preprocessor_config.json").write_text(text)
    return folder / "first"


SQUARE, SHORTER = {"height": 12, "width": 12}, {"shortest_edge": 15}
READ: list[tuple[str, dict[str, Any]]] = [
    ("ViTImageProcessor", {"size": SQUARE}),
    ("ViTImageProcessor", {"size": 12, "image_mean": PHOTOS["mean"], "image_std": PHOTOS["std"], "resample": 3}),
    ("ViTImageProcessor", {"size": [12, 12], "do_normalize": False}),
    ("ViTImageProcessor", {"size": SQUARE, "do_rescale": False, "image_mean": [90.0] * 3, "image_std": [50.0] * 3}),
    ("ViTImageProcessor", {"size": SQUARE, "rescale_factor": 1 / 127.5, "image_mean": [1.0] * 3}),
    ("DeiTImageProcessor", {"size": {"height": 14, "width": 14}, "crop_size": SQUARE}),
    ("BeitImageProcessor", {"size": 12}),
    ("CLIPImageProcessor", {"size": 12, "crop_size": 12}),
    ("CLIPImageProcessor", {"size": SHORTER, "crop_size": SQUARE, "resample": 2}),
    ("BitImageProcessor", {"size": SHORTER, "crop_size": SQUARE}),
]


@pytest.mark.parametrize(("name", "options"), READ, ids=[f"{name}-{n}" for n, (name, _) in enumerate(READ)])
def test_our_pixels_are_those_of_the_class_that_the_file_names(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    source = checkpoint(tmp_path, {"image_processor_type": name, **options})
    folder, said = to_tp(tmp_path, source)
    assert said == []
    back = tp_core.convert("tp", folder, "huggingface", tmp_path / "back")
    for size in SIZES:
        picture = encoded(pixels(*size))
        theirs, found = theirs_of(source, picture), ours_of(folder, picture)
        assert worst(found, theirs) < TOLERANCE * max(1.0, float(theirs.abs().max())), size
        assert worst(theirs_of(back, picture), theirs) < TOLERANCE * max(1.0, float(theirs.abs().max())), size


@pytest.mark.parametrize("name", _DEFAULTS)
def test_keys_that_a_file_leaves_out_have_the_values_of_its_class(name: str) -> None:
    cls = getattr(transformers, name)
    for key, value in _DEFAULTS[name].items():
        if key in ("size", "crop_size"):
            value = {"height": value, "width": value} if isinstance(value, int) else value
        assert (getattr(cls, key, None) or False) == value, key


def test_the_names_of_older_versions_are_known(tmp_path: Path) -> None:
    source = checkpoint(tmp_path, {"feature_extractor_type": "DeiTFeatureExtractor", "size": 14, "crop_size": 12})
    folder, said = to_tp(tmp_path, source)
    assert said == []
    options = processor_of(folder)
    assert (options.resize, options.interpolation) == ("stretch", "bicubic")
    assert round(12 / options.crop_fraction) == 14


def processor_of(folder: Path) -> ImageProcessorConfig:
    chosen = load_spec(folder / "spec.yaml").data.processor
    assert chosen is not None
    assert isinstance(chosen.config, ImageProcessorConfig)
    return chosen.config


def test_a_file_of_newer_versions_holds_the_settings_of_all_modalities(tmp_path: Path) -> None:
    source = checkpoint(tmp_path, {"image_processor_type": "ViTImageProcessor", "size": 12, "resample": 2})
    inner = {"image_processor_type": "ViTImageProcessor", "size": 12, "resample": 3}
    (source / "processor_config.json").write_text(json.dumps({"image_processor": inner, "processor_class": "X"}))
    assert processor_of(to_tp(tmp_path, source)[0]).interpolation == "bicubic"
    assert transformers.AutoImageProcessor.from_pretrained(source).resample == 3


@pytest.mark.parametrize(
    ("cls", "more", "name"),
    [
        ("ViTModel", {}, "plain_image"),
        ("ViTForMaskedImageModeling", {}, "masked_image"),
        ("DeiTForImageClassificationWithTeacher", {"num_labels": 4}, "image"),
        ("BeitForImageClassification", {"num_labels": 4, "use_relative_position_bias": True}, "image"),
        ("BeitModel", {"use_mean_pooling": False, "use_relative_position_bias": True}, "plain_image"),
        ("ViTMAEForPreTraining", {}, "masked_image"),
    ],
)
def test_every_architecture_has_a_processor_with_the_settings(
    tmp_path: Path, cls: str, more: dict[str, Any], name: str
) -> None:
    content = {"image_processor_type": "ViTImageProcessor", "size": 12, "image_mean": [0.1, 0.2, 0.3]}
    folder, _ = to_tp(tmp_path, checkpoint(tmp_path, content, Case(cls, more)))
    chosen = load_spec(folder / "spec.yaml").data.processor
    assert chosen is not None
    assert isinstance(chosen.config, PictureProcessorConfig)
    assert (chosen.name, chosen.config.mean, chosen.config.resize) == (name, [0.1, 0.2, 0.3], "stretch")


def test_beit_with_its_head_has_no_processor_before_it_has_a_visual_tokenizer(tmp_path: Path) -> None:
    case = Case("BeitForMaskedImageModeling", {"vocab_size": 11, "use_mask_token": True})
    folder, said = to_tp(tmp_path, checkpoint(tmp_path, {"image_processor_type": "BeitImageProcessor"}, case))
    assert said[0].startswith("preprocessor_config.json is not read: model.target.visual_tokens: needs the labels")
    assert load_spec(folder / "spec.yaml").data.processor is None


# -- names of classes --------------------------------------------------------------------------------------------


def test_predictions_have_the_names_of_the_classes(tmp_path: Path) -> None:
    names = {0: "cat", 1: "crane", 2: "crane"}
    labels = {"id2label": names, "label2id": {"cat": 0, "crane": 2}}
    source = checkpoint(tmp_path, None, Case("ViTForImageClassification", labels))
    folder, _ = to_tp(tmp_path, source)
    (tmp_path / "picture.png").write_bytes(encoded(pixels(20, 14)))
    output = tmp_path / "found.jsonl"
    args = ["predict", str(folder), "--input", str(tmp_path / "picture.png"), "--output", str(output)]
    result = CliRunner().invoke(cli, [*args, "--device", "cpu"])
    assert result.exit_code == 0, result.output
    assert '"cat"' in output.read_text()
    assert '"crane (2)"' in output.read_text()
    back = tp_core.convert("tp", folder, "huggingface", tmp_path / "back")
    known = json.loads((back / "config.json").read_text())["id2label"]
    assert known == {"0": "cat", "1": "crane", "2": "crane (2)"}


@pytest.mark.parametrize("names", [{"0": "a", "2": "b", "5": "c"}, {"x": "a", "y": "b", "z": "c"}])
def test_classes_that_are_not_counted_have_no_names(tmp_path: Path, names: dict[str, str]) -> None:
    source = checkpoint(tmp_path, None)
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps({**config, "id2label": names}))
    assert processor_of(to_tp(tmp_path, source)[0]).labels is None


# -- missing and odd files ---------------------------------------------------------------------------------------


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    folder, said = to_tp(tmp_path, checkpoint(tmp_path, None))
    (note,) = said
    assert note.startswith("there is no preprocessor_config.json; data.processor.image has tp's default options")
    assert processor_of(folder).mean == [0.5]


ODD: list[tuple[Any, str]] = [
    ("{", "is not read: this is no JSON"),
    ("[]", "is not read: expected a JSON object"),
    ({"image_processor_type": 3}, "'image_processor_type' is 3"),
    ({"image_processor_type": "ViTImageProcessor", "image_mean": "half"}, "'image_mean' is \"half\"; expected numbers"),
    ({"image_processor_type": "ViTImageProcessor", "image_mean": [0.1, 0.2]}, "has 2 numbers for 3 channels"),
    ({"image_processor_type": "ViTImageProcessor", "image_std": [0.0] * 3}, "must be greater than 0"),
    ({"image_processor_type": "ViTImageProcessor", "size": "big"}, "'size' is \"big\"; expected a height and a width"),
    ({"image_processor_type": "ViTImageProcessor", "size": {"height": 0, "width": 3}}, "whole numbers of pixels"),
    ({"image_processor_type": "ViTImageProcessor", "do_resize": 1}, "'do_resize' is 1; expected true or false"),
    ({"image_processor_type": "ViTImageProcessor", "resample": "cubic"}, "'resample' is \"cubic\""),
    ({"image_processor_type": "ViTImageProcessor", "rescale_factor": 0}, "'rescale_factor' is 0"),
]


@pytest.mark.parametrize(("content", "says"), ODD, ids=[says[:30] for _, says in ODD])
def test_a_file_that_cannot_be_used_is_said_and_left(tmp_path: Path, content: Any, says: str) -> None:
    folder, said = to_tp(tmp_path, checkpoint(tmp_path, content))
    (note,) = said
    assert note.startswith("preprocessor_config.json is not read: ")
    assert says in note
    assert processor_of(folder) == ImageProcessorConfig()


def test_squares_of_older_clip_processors_are_refused_and_their_absence_is_not(tmp_path: Path) -> None:
    content = {"image_processor_type": "CLIPImageProcessor", "size": 12, "crop_size": 12}
    with pytest.raises(TPError, match="'use_square_size' is true; only false can be converted"):
        to_tp(tmp_path, checkpoint(tmp_path, {**content, "use_square_size": True}))
    _, said = to_tp(tmp_path, checkpoint(tmp_path, {**content, "use_square_size": False}))
    assert not said


DIFFERENT: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    ({"image_processor_type": "ViltImageProcessor"}, "keeps the proportions", {"resize": "crop"}),
    ({"image_processor_type": "ViTImageProcessor", "size": 24}, "24 x 24 pixels, but the model's have 12 x 12", {}),
    (
        {"image_processor_type": "ViTImageProcessor", "size": 12, "resample": 1},
        "interpolates by lanczos",
        {"interpolation": "bicubic"},
    ),
    (
        {"image_processor_type": "ConvNextImageProcessor", "size": 12, "image_mean": [0.1] * 3, "image_std": [0.2] * 3},
        "'ConvNextImageProcessor' is unknown",
        {"mean": [0.1], "std": [0.2]},
    ),
    (
        {"image_processor_type": "CLIPImageProcessor", "size": {"longest_edge": 20}, "crop_size": 12},
        "has the size",
        {"resize": "crop"},
    ),
    (
        {"image_processor_type": "CLIPImageProcessor", "size": 10, "crop_size": 12},
        "cuts out pictures of other proportions",
        {"crop_fraction": 1.0},
    ),
    (
        {"image_processor_type": "CLIPImageProcessor", "do_resize": False, "crop_size": 12},
        "cuts the middle out of pictures as they are",
        {"resize": "crop"},
    ),
]


@pytest.mark.parametrize(("content", "says", "options"), DIFFERENT, ids=[says[:25] for _, says, _ in DIFFERENT])
def test_what_tp_does_otherwise_is_said(
    tmp_path: Path, content: dict[str, Any], says: str, options: dict[str, Any]
) -> None:
    folder, said = to_tp(tmp_path, checkpoint(tmp_path, content))
    (note,) = said
    assert note.startswith("preprocessor_config.json: ")
    assert says in note
    found = processor_of(folder)
    assert {name: getattr(found, name) for name in options} == options
