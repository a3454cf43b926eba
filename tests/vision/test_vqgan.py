"""Published VQGAN weights as a visual tokenizer: against transformers' networks of the same weights, and bad files."""

from __future__ import annotations

import builtins
import os
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch import Tensor

from tests.building import randomised, worst
from tp_core import BuildContext, TPError, load_spec, train
from tp_vision.facts import GridFacts
from tp_vision.visual_tokenizers.vqgan import VQGAN
from tp_vision.visual_tokenizers.vqgan_options import VQGANConfig

SMALL: dict[str, Any] = {
    "double_z": False,
    "z_channels": 6,
    "resolution": 16,
    "in_channels": 3,
    "out_ch": 3,
    "ch": 32,
    "ch_mult": [1, 2],
    "num_res_blocks": 1,
    "attn_resolutions": [8],
    "dropout": 0.0,
}
#: A patch of 4, two widths that differ, attention at a resolution that is not the last.
DEEP = {**SMALL, "ch_mult": [1, 1, 2], "num_res_blocks": 2, "attn_resolutions": [8], "z_channels": 8}
#: One channel, no attention but in the middle.
PLAIN = {**SMALL, "in_channels": 1, "out_ch": 1, "attn_resolutions": [], "ch_mult": [2, 1], "resolution": 32}
CODES, WIDTH = 11, 5


class Reference:
    """The encoder and quantiser of ChameleonVQVAE and the decoder of JanusVQVAE, with random weights."""

    def __init__(self, sizes: dict[str, Any], width: int = WIDTH) -> None:
        from transformers.models.chameleon.modeling_chameleon import ChameleonVQVAE, ChameleonVQVAEConfig
        from transformers.models.janus.modeling_janus import JanusVQVAE, JanusVQVAEAttnBlock, JanusVQVAEConfig

        options: dict[str, Any] = {
            "embed_dim": width,
            "num_embeddings": CODES,
            "latent_channels": sizes["z_channels"],
            "in_channels": sizes["in_channels"],
            "base_channels": sizes["ch"],
            "channel_multiplier": sizes["ch_mult"],
            "num_res_blocks": sizes["num_res_blocks"],
        }
        resolutions = {"resolution": sizes["resolution"], "attn_resolutions": sizes["attn_resolutions"]}
        self.encoder = randomised(ChameleonVQVAE(ChameleonVQVAEConfig(**options, **resolutions)).eval(), std=0.1)
        decoder = JanusVQVAE(JanusVQVAEConfig(**options, out_channels=sizes["out_ch"]))
        self.levels = len(sizes["ch_mult"])
        for number, level in enumerate(decoder.decoder.up):  # the lowest resolution first; attention is there alone
            place = self.levels - 1 - number
            blocks = sizes["num_res_blocks"] + 1 if sizes["resolution"] >> place in sizes["attn_resolutions"] else 0
            channels = sizes["ch"] * sizes["ch_mult"][place]
            level.attn = torch.nn.ModuleList(JanusVQVAEAttnBlock(channels) for _ in range(blocks))
        self.decoder = randomised(decoder.eval(), seed=1, std=0.1)

    def weights(self) -> dict[str, Tensor]:
        """Under the names of taming-transformers, whose decoder counts resolutions from the highest."""
        found = {k: v for k, v in self.encoder.state_dict().items() if not k.startswith("post_quant_conv")}
        for name, value in self.decoder.state_dict().items():
            parts = name.split(".")
            if parts[0] == "decoder":
                if parts[1] == "up":
                    parts[2] = str(self.levels - 1 - int(parts[2]))
                found[".".join(parts)] = value
            elif parts[0] == "post_quant_conv":
                found[name] = value
        return found

    @torch.no_grad()
    def tokens(self, pictures: Tensor) -> Tensor:
        tokens: Tensor = self.encoder.encode(pictures, return_dict=True).image_tokens
        return tokens.view(len(pictures), -1)

    @torch.no_grad()
    def pictures(self, tokens: Tensor, rows: int, codes: Tensor) -> Tensor:
        states = codes[tokens].view(len(tokens), rows, -1, codes.shape[1]).permute(0, 3, 1, 2)
        pictures: Tensor = self.decoder.decoder(self.decoder.post_quant_conv(states))
        return pictures


def describe(folder: Path, sizes: dict[str, Any], kind: str = "VQModel", width: int = WIDTH) -> Path:
    params = {"embed_dim": width, "n_embed": CODES, "ddconfig": sizes, "lossconfig": {"target": "a.Loss"}}
    tree = {"model": {"base_learning_rate": 4.5e-06, "target": f"taming.models.vqgan.{kind}", "params": params}}
    file = folder / "model.yaml"
    file.write_text(yaml.safe_dump(tree))
    return file


@pytest.fixture
def lightning() -> Iterator[types.ModuleType]:
    """Classes as of a library that is not installed, while a checkpoint is written."""
    names = ["pytorch_lightning", "pytorch_lightning.callbacks", "pytorch_lightning.utilities.parsing"]
    for name in names:
        sys.modules[name] = types.ModuleType(name)
    module = sys.modules[names[1]]
    module.ModelCheckpoint = type("ModelCheckpoint", (), {"__module__": names[1]})  # type: ignore[attr-defined]
    module.AttributeDict = type("AttributeDict", (dict,), {"__module__": names[1]})  # type: ignore[attr-defined]
    yield module
    for name in names:
        sys.modules.pop(name, None)


def write(folder: Path, weights: dict[str, Tensor], **more: Any) -> Path:
    file = folder / "last.ckpt"
    loss = {"loss.discriminator.main.0.weight": torch.ones(2), "loss.logvar": torch.zeros(())}
    torch.save({"epoch": 3, "global_step": 7, "state_dict": {**weights, **loss}, **more}, file)
    return file


def config_of(folder: Path, **options: Any) -> VQGANConfig:
    paths = {"weights": str(folder / "last.ckpt"), "config": str(folder / "model.yaml")}
    return VQGANConfig(**{**paths, "num_tokens": CODES, **options})


def grid_of(sizes: dict[str, Any], rows: int, columns: int) -> GridFacts:
    patch = 2 ** (len(sizes["ch_mult"]) - 1)
    return GridFacts(rows, columns, (patch, patch), sizes["in_channels"])


def built(folder: Path, sizes: dict[str, Any], rows: int = 4, columns: int = 4, **options: Any) -> VQGAN:
    found = config_of(folder, **options).build(BuildContext().with_facts(grid_of(sizes, rows, columns)))
    assert isinstance(found, VQGAN)
    return found


def pictures(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize(("rows", "columns"), [(4, 4), (8, 6)])
@pytest.mark.parametrize("sizes", [SMALL, DEEP, PLAIN], ids=["small", "deep", "plain"])
def test_tokens_and_pictures_are_those_of_the_references(
    tmp_path: Path, lightning: types.ModuleType, sizes: dict[str, Any], rows: int, columns: int
) -> None:
    reference = Reference(sizes)
    describe(tmp_path, sizes)
    callback = {lightning.ModelCheckpoint: {"monitor": "val/rec_loss", "best_model_score": torch.tensor(1.0)}}
    write(tmp_path, reference.weights(), callbacks=callback, hyper_parameters=lightning.AttributeDict(a=1))
    lightning.__dict__.clear()  # nobody has these classes when the file is read
    ours = built(tmp_path, sizes, rows, columns)
    patch = grid_of(sizes, rows, columns).patch_size[0]
    given = pictures(3, sizes["in_channels"], rows * patch, columns * patch)
    tokens = ours(given)
    assert tokens.shape == (3, rows * columns)
    assert tokens.unique().numel() > 3  # the codes differ enough to prove something
    assert torch.equal(tokens, reference.tokens(given))
    ours.double(), reference.decoder.double()  # in float32, rounding makes 1e-5 of a deep decoder on some CPUs
    made = ours.decode(tokens)
    assert made.shape == given.shape
    assert (
        worst(made, reference.pictures(tokens, rows, reference.weights()["quantize.embedding.weight"].double())) < 1e-10
    )


def test_scores_decide_the_tokens_of_a_gumbel_vqgan(tmp_path: Path) -> None:
    width = SMALL["z_channels"]
    reference = Reference(SMALL, width)
    weights = {k: v for k, v in reference.weights().items() if not k.startswith("quantize.")}
    generator = torch.Generator().manual_seed(3)
    weights["quantize.proj.weight"] = torch.randn(CODES, width, 1, 1, generator=generator)
    weights["quantize.proj.bias"] = torch.randn(CODES, generator=generator)
    weights["quantize.embed.weight"] = torch.randn(CODES, width, generator=generator)
    describe(tmp_path, SMALL, "GumbelVQ", width)
    write(tmp_path, weights)
    ours, given = built(tmp_path, SMALL), pictures(2, 3, 8, 8)
    with torch.no_grad():
        states = reference.encoder.quant_conv(reference.encoder.encoder(given)).double()
    scores = torch.einsum("bchw,nc->bhwn", states, weights["quantize.proj.weight"][:, :, 0, 0].double())
    tokens = (scores + weights["quantize.proj.bias"]).argmax(dim=-1).flatten(1)
    assert tokens.unique().numel() > 3
    assert torch.equal(ours(given), tokens)
    assert worst(ours.decode(tokens), reference.pictures(tokens, 4, weights["quantize.embed.weight"])) < 1e-5


def test_the_models_normalisation_is_undone_and_made_again(tmp_path: Path) -> None:
    reference = Reference(SMALL)
    describe(tmp_path, SMALL)
    write(tmp_path, reference.weights())
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    plain, ours = built(tmp_path, SMALL), built(tmp_path, SMALL, mean=mean, std=std)
    given = pictures(2, 3, 8, 8)
    centre, spread = (torch.tensor(each).view(-1, 1, 1) for each in (mean, std))
    tokens = ours(((given + 1) / 2 - centre) / spread)
    assert torch.equal(tokens, reference.tokens(given))
    with torch.autocast("cpu", torch.bfloat16):  # of a model that is trained in it
        assert torch.equal(plain(given), tokens)
    assert worst(ours.decode(tokens) * spread + centre, (plain.decode(tokens) + 1) / 2) < 1e-5


def test_safetensors_half_precision_and_a_model_that_has_it_as_a_part_are_read(tmp_path: Path) -> None:
    reference = Reference(SMALL)
    describe(tmp_path, SMALL)
    halves = {f"first_stage_model.{k}": v.half().contiguous() for k, v in reference.weights().items()}
    save_file({**halves, "transformer.weight": torch.ones(1)}, tmp_path / "all.safetensors")
    stage = yaml.safe_load((tmp_path / "model.yaml").read_text())["model"]
    whole = {"model": {"target": "taming.Net2Net", "params": {"first_stage_config": stage}}}
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(whole))
    ours = built(tmp_path, SMALL, weights=str(tmp_path / "all.safetensors"))
    assert ours.network.post_quant_conv.weight.dtype == torch.float32
    assert worst(ours.network.post_quant_conv.weight, reference.weights()["post_quant_conv.weight"]) < 1e-3
    assert not any(parameter.requires_grad for parameter in ours.parameters())


class Runs:
    """Calls something when it is unpickled."""

    def __init__(self, called: Any, *arguments: Any) -> None:
        self.how = (called, arguments)

    def __reduce__(self) -> Any:
        return self.how


@pytest.mark.parametrize("how", ["system", "exec", "popen", "import"])
def test_a_checkpoint_runs_nothing_and_imports_nothing(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "it ran"
    code = f"open({str(mark)!r}, 'w')"
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "module_of_somebody.py").write_text("def call(): ...\n")
    import module_of_somebody  # type: ignore[import-not-found]

    calls = {
        "system": Runs(os.system, f"touch '{mark}'"),
        "exec": Runs(builtins.exec, code),
        "popen": Runs(subprocess.Popen, ["touch", str(mark)]),
        "import": Runs(module_of_somebody.call),
    }
    describe(tmp_path, SMALL)
    write(tmp_path, Reference(SMALL).weights(), callbacks={"one": calls[how]})
    del sys.modules["module_of_somebody"]
    (tmp_path / "module_of_somebody.py").write_text(f"{code}\ndef call(): {code}\n")
    if how == "system":
        with pytest.raises(TPError, match=r"last\.ckpt is refused: .*posix\.system.*ask for a safetensors file"):
            built(tmp_path, SMALL)
    else:
        assert built(tmp_path, SMALL)(pictures(1, 3, 8, 8)).shape == (1, 16)
    assert "module_of_somebody" not in sys.modules
    assert not mark.exists()
    torch.load(tmp_path / "last.ckpt", weights_only=False)  # that it would have run, read by others
    for _ in range(100):
        if mark.exists():
            break
        subprocess.run(["sleep", "0.02"], check=True)
    assert mark.exists()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda file: file.unlink(), r"last\.ckpt: there is no such file"),
        (lambda file: file.write_bytes(file.read_bytes()[:-3000]), "the checkpoint is incomplete"),
        (lambda file: file.write_text("<!DOCTYPE html>"), "neither a checkpoint of PyTorch 1.6 or later"),
        (lambda file: torch.save([1], file), "expected names and tensors"),
    ],
)
def test_files_that_are_no_checkpoint_are_refused(tmp_path: Path, spoil: Any, message: str) -> None:
    describe(tmp_path, SMALL)
    spoil(write(tmp_path, Reference(SMALL).weights()))
    with pytest.raises(TPError, match=f"the visual tokenizer cannot be loaded: .*{message}"):
        built(tmp_path, SMALL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder.mid.attn_1.q.bias": None}, r"it lacks encoder\.mid\.attn_1\.q\.bias"),
        ({"encoder.down.0.attn.0.q.bias": (32,)}, r"it also has encoder\.down\.0\.attn\.0\.q\.bias"),
        ({"quant_conv.bias": (7,)}, r"quant_conv\.bias has the shape \(7,\), expected \(5,\)"),
    ],
)
def test_weights_of_another_network_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    weights = Reference(SMALL).weights()
    for name, shape in change.items():
        weights.pop(name, None)
        if shape is not None:
            weights[name] = torch.ones(shape)
    describe(tmp_path, SMALL)
    write(tmp_path, weights)
    with pytest.raises(TPError, match=f"does not hold the weights that the config describes: {message}"):
        built(tmp_path, SMALL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ch": None}, r"params\.ddconfig\.ch: "),
        ({"ch": 48}, r"params\.ddconfig\.ch: .*32, got 48"),
        ({"double_z": True}, r"params\.ddconfig\.double_z: .*, got True"),
        ({"ch_mult": "many"}, r"params\.ddconfig\.ch_mult: .*, got 'many'"),
    ],
)
def test_a_description_that_is_none_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    describe(tmp_path, {k: v for k, v in {**SMALL, **change}.items() if v is not None})
    with pytest.raises(TPError, match=message):
        built(tmp_path, SMALL)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: [1, 2", "this list is never closed"),
        ("model: " + "[" * 300_000, "nested more than 100 levels deep"),
        ("model: {}", r"there is no model\.params\.ddconfig"),
        ("model: {target: x.VQSegmentationModel, params: {ddconfig: {}}}", "of the class VQSegmentationModel"),
        ("model: {params: {embed_dim: 1, ddconfig: {}}}", r"params\.n_embed: expected a positive integer, got None"),
    ],
)
def test_files_that_describe_no_vqgan_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "model.yaml").write_text(text)
    with pytest.raises(TPError, match=rf"model\.yaml:.* {message}"):
        built(tmp_path, SMALL)


def test_as_many_tokens_make_no_picture(tmp_path: Path) -> None:
    describe(tmp_path, SMALL)
    write(tmp_path, Reference(SMALL).weights())
    with pytest.raises(TPError, match="15 tokens do not make a picture of 4 x 4 patches"):
        built(tmp_path, SMALL).decode(torch.zeros(1, 15, dtype=torch.long))
    assert config_of(tmp_path).build(BuildContext()).decode(torch.zeros(1, 9, dtype=torch.long)).shape == (1, 3, 6, 6)


def beit(folder: Path, tokenizer: dict[str, Any], patch: int = 2, **processor: Any) -> Path:
    from PIL import Image

    (folder / "scans").mkdir(exist_ok=True)
    for number in range(6):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "scans" / f"{number}.png")
    chosen = {"weights": "last.ckpt", "config": "model.yaml", "num_tokens": CODES, **tokenizer}
    model = {
        "hidden_size": 8,
        "image_size": 8,
        "patch_size": patch,
        "embedding": ["masked_patch"],
        "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}},
        "target": [{"visual_tokens": {"tokenizer": {"vqgan": chosen}}}],
    }
    data = {"processor": {"masked_image": processor}, "train": "scans"}
    run = {"steps": 2, "batch_size": 4, "workers": 0, "loggers": [], "device": "cpu"}
    file = folder / "beit.yaml"
    file.write_text(yaml.safe_dump({"tp": 1, "model": model, "data": data, "train": run}))
    return file


def test_beit_learns_its_tokens_and_needs_no_files_of_it_afterwards(tmp_path: Path) -> None:
    from tp_core import load_model

    describe(tmp_path, SMALL)
    weights = write(tmp_path, Reference(SMALL).weights())
    assert train(load_spec(beit(tmp_path, {})), tmp_path / "run") is not None
    weights.unlink()
    with pytest.raises(TPError, match=r"last\.ckpt"):
        train(load_spec(tmp_path / "beit.yaml"), tmp_path / "again")
    (tmp_path / "model.yaml").unlink()
    assert load_model(tmp_path / "run", "cpu").model.targets["visual_tokens"].output.out_features == CODES  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("tokenizer", "processor", "patch", "message"),
    [
        ({}, {"mean": [0.4, 0.5, 0.6]}, 2, r"mean: is \[0\.4, 0\.5, 0\.6\], but the tokenizer of .* expects \[0\.5\]"),
        ({"std": [0.25]}, {}, 2, r"std: is \[0\.5\], but the tokenizer of .* expects \[0\.25\]"),
        ({"num_tokens": 12}, {}, 2, r"model\.yaml has 11 codes, but num_tokens is 12"),
        ({}, {}, 4, r"model\.yaml has patches of 2 x 2 pixels in 3 channels, but the model has 4 x 4 in 3"),
        ({"mean": [0.5, 0.5]}, {}, 2, "has 3 channels, but mean has 2 numbers"),
        ({"std": [0.0]}, {}, 2, r"tokenizer\.vqgan\.std: must be greater than 0, got 0"),
    ],
)
def test_what_does_not_fit_is_told_when_the_spec_is_read(
    tmp_path: Path, tokenizer: dict[str, Any], processor: dict[str, Any], patch: int, message: str
) -> None:
    describe(tmp_path, SMALL)
    with pytest.raises(TPError, match=message):
        load_spec(beit(tmp_path, tokenizer, patch, **processor))
    assert load_spec(beit(tmp_path, {"mean": [0.5] * 3}))  # one number, or the same of each channel
