"""The preprocessing of pictures and texts is converted with a CLIP or ViLT: transformers' processors do the same."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image

import tp_core
from tests.building import worst
from tests.crossmodal.test_parity import clip
from tests.text.vocabularies import TEXTS, lines, wordpieces
from tests.vision.pictures import encoded, pixels
from tp_core import Record, load_model, load_spec
from tp_core.artifacts.export import export_model
from tp_core.data.build import tokenizers_of
from tp_crossmodal.processors.image_text_options import ImageTextProcessorConfig

transformers = pytest.importorskip("transformers")
transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

PIECES = wordpieces()
TEXT = TEXTS[0].partition(" ")[0]
SMALL: dict[str, Any] = {"num_layers": 1, "num_heads": 2, "norm_position": "pre", "dropout": 0.0}
LAYERS = {"transformer": {**SMALL, "norm": {"layernorm": {"eps": 1e-5}}}}
PATCHES = {"image_size": 12, "patch_size": 4}
CLIP = {
    "vocab_size": len(PIECES),
    "streams": {
        "text": {
            "hidden_size": 16,
            "embedding": {"modules": ["word", {"pos": {"max_length": 20}}], "norm": "none"},
            "encoder": {"transformer": {**SMALL, "norm": {"layernorm": {"eps": 1e-5}}, "mask": "causal"}},
            "pooling": "last",
        },
        "image": {
            "hidden_size": 16,
            "embedding": {
                "modules": [{"patch": {**PATCHES, "bias": False}}, "patch_pos"],
                "norm": {"layernorm": {"eps": 1e-5}},
            },
            "encoder": LAYERS,
            "pooling": "first",
        },
    },
    "target": {"clr": {"projection_size": 8}},
}
VILT = {
    "hidden_size": 16,
    "vocab_size": len(PIECES),
    "embedding": {
        "modules": [{"word_patch": {**PATCHES, "parts": "complete", "text_length": 20}}, "seg"],
        "norm": "none",
    },
    "encoder": {"transformer": SMALL},
    "target": ["mlm"],
}


def trained(folder: Path, model: dict[str, Any], processor: str, options: dict[str, Any]) -> Path:
    """A small model of ours with its tokenizer, exported."""
    lines(folder / "pieces.txt", PIECES)
    data = {
        "tokenizer": {"wordpiece": {"vocab": "pieces.txt"}},
        "processor": {processor: {"max_length": 20, **options}},
    }
    tree = {"tp": 1, "model": model, "data": data}
    (folder / "mine.yaml").write_text(yaml.dump(tree, sort_keys=False))
    spec = load_spec(folder / "mine.yaml")
    return export_model(spec, tp_core.build_model(spec).weights(), tokenizers_of(spec), folder / "model")


def options_of(folder: Path) -> ImageTextProcessorConfig:
    chosen = load_spec(folder / "spec.yaml").data.processor
    assert chosen is not None
    assert isinstance(chosen.config, ImageTextProcessorConfig)
    return chosen.config


@pytest.mark.parametrize(
    ("model", "processor"), [(CLIP, "image_text_pair"), (VILT, "image_text")], ids=["clip", "vilt"]
)
@pytest.mark.parametrize("resize", ["crop", "stretch"])
def test_one_processor_of_transformers_makes_our_pixels_and_ids(
    tmp_path: Path, model: dict[str, Any], processor: str, resize: str
) -> None:
    options = {"resize": resize, "interpolation": "bicubic", "mean": [0.1, 0.2, 0.3], "std": [0.2, 0.3, 0.4]}
    ours = trained(tmp_path, model, processor, options)
    said: list[str] = []
    folder = tp_core.convert("tp", ours, "huggingface", tmp_path / "theirs", say=said.append)
    assert said == []
    theirs, made = transformers.AutoProcessor.from_pretrained(folder), load_model(ours, "cpu").processor
    assert made is not None
    for size in [(12, 12), (30, 22), (9, 40)]:
        picture = encoded(pixels(*size))
        (sample,) = made.encode([Record({"image": picture, "text": TEXT}, "x", 1)])
        found = theirs(text=TEXT, images=Image.open(io.BytesIO(picture)), return_tensors="pt")
        assert found["input_ids"][0].tolist() == list(sample["input_ids"])
        assert worst(found["pixel_values"][0], torch.from_numpy(sample["pixel_values"])) < 1e-5
    # transformers saves both parts of its processor in one file, which is read as well
    theirs.save_pretrained(folder)
    (folder / "preprocessor_config.json").unlink()
    again = tp_core.convert("huggingface", folder, "tp", tmp_path / "again")
    assert {name: getattr(options_of(again), name) for name in options} == options


def test_without_a_tokenizer_there_is_no_processor_to_have_the_settings(tmp_path: Path) -> None:
    clip(24, 4, 1).save_pretrained(tmp_path / "first")
    transformers.CLIPImageProcessor().save_pretrained(tmp_path / "first")
    said: list[str] = []
    folder = tp_core.convert("huggingface", tmp_path / "first", "tp", tmp_path / "ours", say=said.append)
    reason = "data.processor.image_text_pair needs a tokenizer, and there is none"
    assert said[0] == f"preprocessor_config.json is not read: {reason}"
    assert load_spec(folder / "spec.yaml").data.processor is None


def test_the_processor_of_a_published_vilt_keeps_proportions_which_is_said(tmp_path: Path) -> None:
    ours = trained(tmp_path, VILT, "image_text", {})
    folder = tp_core.convert("tp", ours, "huggingface", tmp_path / "theirs")
    published = transformers.ViltImageProcessor(size={"shortest_edge": 12}, size_divisor=4, image_mean=[0.1] * 3)
    published.save_pretrained(folder)
    said: list[str] = []
    again = tp_core.convert("huggingface", folder, "tp", tmp_path / "again", say=said.append)
    assert "keeps the proportions of pictures" in said[0]
    found = options_of(again)
    assert (found.resize, found.interpolation, found.mean) == ("crop", "bicubic", [0.1])
