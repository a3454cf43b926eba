"""The VQ-VAE: its modules, and its codes as labels for BEiT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch.nn import functional as F

from tests.building import batch_of, build, randomised, worst
from tp_core import BuildContext, TPError, load_spec, train
from tp_core.testing import check_module
from tp_vision.facts import GridFacts
from tp_vision.visual_tokenizers.vector_quantized_options import VectorQuantizedConfig

SIZES: dict[str, Any] = {"image_size": 8, "patch_size": 4, "channels": 1}
SMALL: dict[str, Any] = {"width": 8, "blocks": 1}
VQ: dict[str, Any] = {"num_tokens": 6, "code_size": 4, **SMALL}
GRID = GridFacts(2, 2, (4, 4), 1)


@pytest.mark.parametrize(
    ("name", "options", "surroundings"),
    [("conv_patch", {**SMALL, **SIZES}, {}), ("vq", VQ, {"embedding": ["patch"], **SIZES})],
)
def test_modules_keep_their_contracts(name: str, options: dict[str, Any], surroundings: dict[str, Any]) -> None:
    kind = {"conv_patch": "embedding", "vq": "target"}[name]
    # How evenly codes are used is a matter of the batch as a whole.
    check_module(name, kind, options, model=surroundings, independent=name != "vq")


def model_of(folder: Path) -> Any:
    parts = {
        "hidden_size": 12,
        **SIZES,
        "embedding": {"modules": [{"conv_patch": SMALL}], "norm": "none", "dropout": 0.0},
        "encoder": "identity",
        "target": [{"vq": VQ}],
    }
    return randomised(build(folder, parts))


def pictures(count: int = 3) -> torch.Tensor:
    return torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_the_loss_is_of_pixels_codes_and_states(tmp_path: Path) -> None:
    model, batch = model_of(tmp_path), batch_of(pixel_values=pictures())
    target, features = model.targets["vq"], model.encode(batch)
    states = F.normalize(target.entry(features.sequence.states), dim=-1)
    codes = F.normalize(target.codes.weight, dim=-1)
    tokens = torch.cdist(states, codes.expand(3, -1, -1)).argmin(dim=-1)
    assert torch.equal(target.tokens(features), tokens)
    made = target.decoded(codes[tokens], (2, 2))
    assert made.shape == (3, 1, 8, 8)
    distance = ((codes[tokens] - states) ** 2).sum(-1).mean()
    chosen = ((states.double() @ codes.double().T) / 0.1).softmax(-1).mean(dim=(0, 1))
    entropy = -(chosen * chosen.log()).sum()
    expected = ((made - pictures()) ** 2).mean() + 1.25 * distance - 0.02 * entropy
    assert worst(model(batch).loss, expected) < 1e-5
    assert model.denominators(batch).tolist() == [3]


def test_gradients_pass_the_codes_by(tmp_path: Path) -> None:
    model = model_of(tmp_path)
    model(batch_of(pixel_values=pictures())).loss.backward()
    gradient = model.embedding.parts["conv_patch"].output.weight.grad
    assert gradient is not None
    assert bool(gradient.any())


def test_patches_that_no_halving_gives_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    model = {"hidden_size": 12, "image_size": 12, "patch_size": 6, "embedding": ["conv_patch"], "encoder": "identity"}
    file.write_text(yaml.safe_dump({"tp": 1, "model": model}))
    with pytest.raises(TPError, match="must be a power of two, the same in height and width, got 6"):
        load_spec(file)


def scans(folder: Path) -> list[dict[str, str]]:
    from PIL import Image

    found = []
    for number in range(12):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        found.append({"image": str(folder / f"{number}.png")})
    return found


def test_plain_images_keep_the_contracts_of_processors(tmp_path: Path) -> None:
    options = {"image_size": 8, "augment": {"flip": 0.5}}
    check_module("plain_image", "processor", options, records=scans(tmp_path))


def spec_of(folder: Path, name: str, model: dict[str, Any], processor: str) -> Path:
    file = folder / f"{name}.yaml"
    data = {"processor": processor, "train": "scans", "eval": "scans"}
    run = {"steps": 2, "batch_size": 4, "workers": 0, "loggers": ["tensorboard"], "device": "cpu"}
    sizes = {"hidden_size": 8, **SIZES, "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}}}
    tree = {"tp": 1, "name": name, "model": {**sizes, **model}, "data": data, "train": run}
    file.write_text(yaml.safe_dump(tree, sort_keys=False))
    return file


def test_the_codes_of_a_trained_vqvae_are_labels_for_beit(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    scans(tmp_path / "scans")
    coder = {"embedding": {"modules": [{"conv_patch": SMALL}], "norm": "none"}, "target": [{"vq": VQ}]}
    train(load_spec(spec_of(tmp_path, "coder", coder, "plain_image")), tmp_path / "coder")
    chosen = {"vq": {"model": "coder", "num_tokens": 6}}
    beit = {"embedding": ["masked_patch"], "target": [{"visual_tokens": {"tokenizer": chosen}}]}
    spec = load_spec(spec_of(tmp_path, "beit", beit, "masked_image"))
    options = spec.dump()["model"]["target"][0]["visual_tokens"]["tokenizer"]["vq"]
    assert options == {"model": str(tmp_path / "coder"), "num_tokens": 6}  # from the spec's folder
    result = train(spec, tmp_path / "beit")
    assert result is not None
    # Both see the same pixels.
    tree = yaml.safe_load((tmp_path / "beit.yaml").read_text())
    tree["data"]["processor"] = {"masked_image": {"mean": [0.4]}}
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(tree))
    with pytest.raises(TPError, match=r"mean: is \[0\.4\], but the tokenizer of .* expects \[0\.5\]"):
        load_spec(tmp_path / "other.yaml")
    # A trained model is used without its tokenizer.
    from tp_core import load_model

    (tmp_path / "coder").rename(tmp_path / "gone")
    assert load_model(tmp_path / "beit", "cpu").model.targets["visual_tokens"].output.out_features == 6  # type: ignore[union-attr]
    with pytest.raises(TPError, match="coder"):
        train(spec, tmp_path / "again")


@pytest.mark.parametrize(
    ("count", "grid", "option", "message"),
    [
        (7, GRID, "num_tokens", "has 6 codes, but num_tokens is 7"),
        (6, GRID._replace(patch_size=(2, 2)), "model", r"of \(4, 4\) pixels in 1 channels, but the model has \(2, 2\)"),
    ],
)
def test_a_tokenizer_that_does_not_fit_is_refused(
    tmp_path: Path, count: int, grid: GridFacts, option: str, message: str
) -> None:
    from safetensors.torch import save_file

    model = model_of(tmp_path)
    save_file(model.weights(), tmp_path / "model.safetensors")
    config = VectorQuantizedConfig(model=str(tmp_path), num_tokens=count)
    with pytest.raises(TPError, match=message):
        config.build(BuildContext().with_facts(grid))
    # ... and before anything is built
    assert [problem.option for problem in config.check(BuildContext().with_facts(grid))] == [option]
    fitting = VectorQuantizedConfig(model=str(tmp_path), num_tokens=6)
    assert list(fitting.check(BuildContext().with_facts(GRID))) == []


def test_tokens_become_the_pictures_that_the_vqvae_makes_of_them(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    model = model_of(tmp_path)
    save_file(model.weights(), tmp_path / "model.safetensors")
    tokenizer = VectorQuantizedConfig(model=str(tmp_path), num_tokens=6).build(BuildContext().with_facts(GRID))
    target, features = model.targets["vq"], model.encode(batch_of(pixel_values=pictures()))
    tokens = tokenizer(pictures())
    assert torch.equal(tokens, target.tokens(features))
    codes = F.normalize(target.codes.weight, dim=-1)[tokens]
    assert worst(tokenizer.decode(tokens), target.decoded(codes, (2, 2))) < 1e-6
    with pytest.raises(TPError, match="3 tokens do not make a picture of 2 x 2 patches"):
        tokenizer.decode(tokens[:, :3])


def test_a_tokenizer_must_be_a_model_with_the_target_vq(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    model = build(tmp_path, {"hidden_size": 8, **SIZES, "embedding": ["patch"], "encoder": "identity"})
    save_file(model.weights(), tmp_path / "model.safetensors")
    with pytest.raises(TPError, match="has no target vq; its targets are none"):
        VectorQuantizedConfig(model=str(tmp_path)).build(BuildContext().with_facts(GRID))
    (problem,) = VectorQuantizedConfig(model=str(tmp_path)).check(BuildContext().with_facts(GRID))
    assert "has no target vq; its targets are none" in problem.message
    with pytest.raises(TPError, match=r"cannot be loaded: .*there is no such folder"):
        VectorQuantizedConfig(model=str(tmp_path / "nowhere")).build(BuildContext().with_facts(GRID))


def test_another_tokenizer_on_the_command_line_replaces_the_one_in_the_spec(tmp_path: Path) -> None:
    model = {"embedding": ["masked_patch"], "target": [{"visual_tokens": {"tokenizer": "random_projection"}}]}
    file = spec_of(tmp_path, "beit", model, "masked_image")
    key = "model.target.visual_tokens.tokenizer"
    spec = load_spec(file, [f"{key}={{vq: {{model: here, num_tokens: 6}}}}"])
    assert list(spec.dump()["model"]["target"][0]["visual_tokens"]["tokenizer"]) == ["vq"]
    spec = load_spec(file, [f"{key}.random_projection.num_tokens=9"])
    assert spec.dump()["model"]["target"][0]["visual_tokens"]["tokenizer"]["random_projection"]["num_tokens"] == 9
