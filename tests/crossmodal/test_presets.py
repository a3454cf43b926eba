"""The cross-modal presets load, name their papers and have the sizes of the published models; examples train."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.core import runs
from tests.meta import on_meta
from tp_core import load_spec
from tp_core.discovery import index
from tp_core.model import meta_model
from tp_crossmodal import presets

FOLDER = Path(presets.__file__).parent
DECLARED = [entry.name for entry in index().entries("presets") if entry.distribution == "tp-crossmodal"]
ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples" / "crossmodal").glob("*.yaml"))

BERT_LAYER = 12 * 768**2 + 13 * 768
MLM = 768**2 + 3 * 768 + 30522
BERT_TABLES = (30522 + 512 + 2 + 2) * 768  # words, positions, segments, norm


def clip(patch: int) -> Any:
    from transformers import CLIPConfig, CLIPModel

    return on_meta(CLIPModel, CLIPConfig(vision_config={"patch_size": patch}))


def vilt() -> Any:
    from transformers import ViltConfig, ViltForMaskedLM

    return on_meta(ViltForMaskedLM, ViltConfig())


def visualbert() -> Any:
    from transformers import VisualBertConfig, VisualBertForPreTraining

    return on_meta(VisualBertForPreTraining, VisualBertConfig(visual_embedding_dim=2048))


#: Preset → the published model, and what that has beyond ours.
PUBLISHED: dict[str, tuple[Any, int]] = {
    "clip-vit-base-patch32": (lambda: clip(32), 0),
    "clip-vit-base-patch16": (lambda: clip(16), 0),
    "vilt-b32": (vilt, -(2 * 768 + 2)),  # the two classes of matching, for which Hugging Face's has no head
    # Positions of regions, of which one is ever read, and a segment of words among theirs.
    "visualbert-base": (visualbert, 512 * 768 + 768),
}
#: Words, 2 segments, 12 layers; positions, image tokens and norms follow.
PREFIX_LM = (30522 + 2) * 768 + 12 * BERT_LAYER
#: Counted by hand from the papers' sizes.
OWN = {
    "dall-e-base": PREFIX_LM + (512 + 1024 + 2) * 768,
    "ernie-vilg-base": PREFIX_LM + (1152 + 8192 + 2) * 768,
    "talk2face-base": PREFIX_LM + (1024 + 1024 + 2) * 768,  # its norm stands behind the layers
    "imagebert-base": BERT_TABLES + 12 * BERT_LAYER + 2049 * 768 + 6 * 768 + 768 + MLM + 769 * 768 + 2 * 769,
    "vilbert-base": sum(
        (
            BERT_TABLES + 6 * BERT_LAYER,
            2049 * 1024 + 6 * 1024 + 2 * 1024,  # regions, boxes, norm
            6 * BERT_LAYER,  # the text's own layers behind co-attention
            6 * (4 * 1025 * 1024 + 2 * 1025 * 1024 + 4 * 1024),  # the picture's: feed-forward of 1024
            6 * (769 * 1024 + 2 * 1025 * 1024 + 1025 * 768 + 769 * 3072 + 3073 * 768 + 4 * 768),  # text to picture
            6 * (1025 * 1024 + 2 * 769 * 1024 + 1025 * 1024 + 2 * 1025 * 1024 + 4 * 1024),  # picture to text
            MLM,
            769 * 1024 + 1025 * 1024 + 2 * 1025,
        )
    ),
}


def count(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_every_preset_is_declared_and_begins_with_a_description_that_names_its_paper() -> None:
    assert DECLARED == sorted([*PUBLISHED, *OWN]) == sorted(file.stem for file in FOLDER.glob("*.yaml"))
    for name in DECLARED:
        assert re.search(r"^# .*\(.+, (19|20)\d\d", (FOLDER / f"{name}.yaml").read_text().splitlines()[0])


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_a_preset_has_as_many_parameters_as_the_published_model(name: str) -> None:
    pytest.importorskip("transformers")
    make, surplus = PUBLISHED[name]
    reference = make()
    reference.tie_weights()
    assert count(meta_model(load_spec(name))) + surplus == count(reference)


@pytest.mark.parametrize("name", list(OWN))
def test_a_preset_without_a_published_checkpoint_has_the_size_that_its_paper_gives(name: str) -> None:
    assert count(meta_model(load_spec(name))) == OWN[name]


# -- examples ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the examples beside their data."""
    pytest.importorskip("sklearn")
    folder = tmp_path_factory.mktemp("crossmodal")
    shutil.copytree(ROOT / "examples", folder / "examples")
    script = folder / "examples" / "crossmodal" / "make_data.py"
    command = [sys.executable, str(script), str(folder / "runs" / "crossmodal")]
    subprocess.run(command, check=True, env=runs.environment(), capture_output=True)
    return folder


@pytest.mark.parametrize(
    "name",
    [
        "clip",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("vilt", "imagebert", "polyvit")),
        "visualbert",
        "vilbert",
    ],
)
def test_an_example_trains_on_real_pictures_and_its_loss_falls(home: Path, name: str) -> None:
    from tp_core import train

    assert name in {file.stem for file in EXAMPLES}
    short = ["train.steps=40", "train.log_every=4", "train.loggers=[]", f"data.cache={home / 'cache'}"]
    if name in ("clip", "vilt"):  # the evaluation of a thousand pictures is not what is tested
        short.append("train.eval_batches=1")
    spec = load_spec(home / "examples" / "crossmodal" / f"{name}.yaml", short)
    train(spec, home / "runs" / name)
    lines = [json.loads(line) for line in (home / "runs" / name / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert np.mean(losses[-3:]) < 0.98 * np.mean(losses[:3])


@pytest.mark.slow
def test_the_examples_of_image_tokens_train_on_those_of_a_vqvae_that_is_trained_before(home: Path) -> None:
    from tp_core import train

    for name, steps in (("vqvae", 20), ("dall-e", 16), ("ernie-vilg", 16), ("talk2face", 16)):
        run = home / "runs" / "crossmodal" / name
        short = [f"train.steps={steps}", "train.log_every=2", "train.loggers=[]", f"data.cache={home / 'cache'}"]
        spec = load_spec(home / "examples" / "crossmodal" / f"{name}.yaml", [*short, "data.eval=null"])
        train(spec, run)
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        losses = [line["loss"] for line in lines if "loss" in line]
        assert np.mean(losses[-3:]) < 0.95 * np.mean(losses[:3]), name


def test_every_family_of_presets_has_an_example() -> None:
    used = {
        line.split()[1] for file in EXAMPLES for line in file.read_text().splitlines() if line.startswith("extends")
    }
    used -= {"vqvae"}  # of tp-vision, whose codes others need
    assert {name.split("-")[0] for name in used} == {name.split("-")[0] for name in DECLARED}


def test_held_out_pictures_share_no_scan_with_those_of_training(home: Path) -> None:
    import pyarrow.parquet as pq
    from PIL import Image

    halves: dict[str, set[bytes]] = {}
    for name in ("pairs", "held_out"):
        found = halves[name] = set()
        for data in pq.read_table(home / "runs" / "crossmodal" / f"{name}.parquet").column("image").to_pylist():
            pixels = np.array(Image.open(io.BytesIO(data)))
            found |= {pixels[:, :8].tobytes(), pixels[:, 8:].tobytes()}
    assert not halves["pairs"] & halves["held_out"]
    assert len(halves["held_out"]) > 300
