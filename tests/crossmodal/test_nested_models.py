"""A model that another names as its visual tokenizer is known by its content, goes with an export, and labels wait."""

from __future__ import annotations

import json
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file

import tp_core
from tests.building import build, randomised
from tests.core import runs
from tests.core.shelf import Shelf
from tests.core.shelf import shelf as shelf
from tests.crossmodal.pictures import VOCABULARY, captioned
from tp_core import TPError, discovery, load_model, load_spec, train
from tp_core.artifacts.weights import read_weights
from tp_core.data.build import build_processor, build_tokenizer
from tp_core.data.cache.identity import code_identity, module_classes, module_identity
from tp_core.data.cache.prepared import prepared_rows
from tp_core.spec.checks.training import training_notes
from tp_core.spec.choices.part_names import key_of

SIZES: dict[str, Any] = {"hidden_size": 8, "image_size": [8, 16], "patch_size": 4, "channels": 1}
SHADE = "from tp_vision.embeddings.convolutional_options import ConvolutionalPatchConfig as BASE"
LOCAL = """\
from shade import BASE

class Config(BASE):
    "Patches of our own."
"""
HOOKS = """\
from tp_core import HooksConfig

class Config(HooksConfig):
    "Does nothing."
    observes = True
    def build(self):
        return object()
"""
TOKENIZER = """\
from tp_vision.visual_tokenizers.random_projection_options import RandomProjectionConfig

class Config(RandomProjectionConfig):
    "A visual tokenizer of a third party."
"""


def coder(folder: Path, seed: int = 0, encoder: Any = "identity", patches: str = "conv_patch", codes: int = 6) -> Path:
    """A model with the target ``vq``, with random weights."""
    folder.mkdir(parents=True, exist_ok=True)
    small = {"width": 8, "blocks": 0}
    parts: dict[str, Any] = {
        **SIZES,
        "embedding": {"modules": [{patches: small}], "norm": "none", "dropout": 0.0},
        "encoder": encoder,
        "target": [{"vq": {"num_tokens": codes, "code_size": 4, **small}}],
    }
    plain = {**parts, "embedding": {"modules": [{"conv_patch": small}], "norm": "none", "dropout": 0.0}}
    torch.manual_seed(seed)
    drawn = randomised(build(folder, plain), std=1.0 + seed).weights()
    weights = {name.replace("parts.conv_patch.", f"parts.{key_of(patches)}."): each for name, each in drawn.items()}
    data = {"processor": {"plain_image": {"mean": [0.25], "std": [0.5]}}, "train": "nowhere.tsv"}
    (folder / "spec.yaml").write_text(yaml.safe_dump({"tp": 1, "model": parts, "data": data}), encoding="utf-8")
    save_file(weights, folder / "model.safetensors")
    return folder


def write(folder: Path, **model: Any) -> Path:
    """A spec of pictures and texts as one sequence, beside its data; its visual tokenizer is ``coder``."""
    folder.mkdir(exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    (folder / "pictures").mkdir(exist_ok=True)
    lines = ["image\ttext"]
    for number, record in enumerate(captioned(6)):
        Image.fromarray(np.full((8, 16), 20 * number, dtype=np.uint8)).save(folder / "pictures" / f"{number}.png")
        lines.append(f"pictures/{number}.png\t{record['text']}")
    (folder / "pairs.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    chosen = {"image_tokenizer": {"vq": {"model": "coder", "num_tokens": 6}}, "max_length": 8}
    tree = {
        "tp": 1,
        "model": {
            "hidden_size": 16,
            "embedding": ["word", {"pos": {"max_length": 24}}, "seg"],
            "encoder": {"transformer": {"num_layers": 1, "num_heads": 2, "mask": "causal_with_prefix"}},
            "target": "lm",
        },
        "data": {
            "tokenizer": {"space": {"vocab": "vocab.txt"}},
            "processor": {"image_text_lm": chosen},
            "train": "pairs.tsv",
            "cache": "cache",
        },
        "train": {"steps": 1, "batch_size": 6, "workers": 0, "device": "cpu", "loggers": []},
    }
    return stored(folder, tree)


def beit(folder: Path, tokenizer: Any = None) -> Path:
    """A spec of masked pictures, beside its data, whose labels ``coder`` makes."""
    write(folder)
    chosen = tokenizer or {"vq": {"model": "coder", "num_tokens": 6}}
    tree = yaml.safe_load((folder / "spec.yaml").read_text())
    tree["model"] = {
        **SIZES,
        "embedding": ["masked_patch"],
        "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}},
        "target": [{"visual_tokens": {"tokenizer": chosen}}],
    }
    tree["data"] = {"processor": {"masked_image": {"mean": [0.25]}}, "train": "pairs.tsv", "cache": "cache"}
    return stored(folder, tree)


def stored(folder: Path, tree: dict[str, Any]) -> Path:
    (folder / "spec.yaml").write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    return folder / "spec.yaml"


def changed(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def rows(folder: Path) -> str:
    """The name of the file with the prepared rows of a folder's spec."""
    spec = load_spec(folder / "spec.yaml")
    processor = build_processor(spec, build_tokenizer(spec))
    assert processor is not None
    return prepared_rows(spec, processor, str(folder / "pairs.tsv")).path.name


# -- what decides tokens ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"), [("0.25", "0.75"), ("norm: none", "norm: layernorm"), ("blocks: 0", "blocks: 0 # the least")]
)
def test_the_spec_of_a_tokenizer_counts_by_what_it_says(tmp_path: Path, old: str, new: str) -> None:
    """Normalisation and architecture decide tokens; a comment does not."""
    coder(tmp_path / "coder")
    file = write(tmp_path)
    before = rows(tmp_path)
    train(load_spec(file), tmp_path / "run")
    spec = tmp_path / "coder" / "spec.yaml"
    if "norm" in old:  # which needs weights of its own
        save_file(
            {
                **read_weights(tmp_path / "coder" / "model.safetensors"),
                "embedding.norm.weight": torch.ones(8),
                "embedding.norm.bias": torch.zeros(8),
            },
            tmp_path / "coder" / "model.safetensors",
        )
    changed(spec, old, new)
    same = "#" in new
    assert (rows(tmp_path) == before) == same
    if same:
        train(load_spec(file), tmp_path / "run", resume=True)
    else:
        place = r"data\.processor\.image_text_lm\.image_tokenizer\.vq: .*coder/spec\.yaml"
        with pytest.raises(TPError, match=place):
            train(load_spec(file), tmp_path / "run", resume=True)


@pytest.mark.slow
def test_another_spec_of_a_tokenizer_on_one_disk_is_named_with_its_rank(tmp_path: Path) -> None:
    for name in ("one", "two"):
        coder(tmp_path / name / "coder")
        write(tmp_path / name)
    changed(tmp_path / "two" / "coder" / "spec.yaml", "0.5", "0.75")
    said = runs.train_pair(tmp_path / "one", "--run", "run", other=tmp_path / "two", status=2)
    assert "coder/spec.yaml on rank 1 differs from" in said
    assert not (tmp_path / "one" / "run").exists()


def test_a_tokenizer_and_its_export_are_one(tmp_path: Path) -> None:
    """The copy in an export has another spec file, and the same used part."""
    coder(tmp_path / "coder")
    train(load_spec(write(tmp_path)), tmp_path / "run")
    before = rows(tmp_path)
    shutil.rmtree(tmp_path / "coder")
    shutil.copytree(tmp_path / "run" / "model" / "processor_image_text_lm_image_tokenizer_vq", tmp_path / "coder")
    assert rows(tmp_path) == before


def test_the_code_of_a_tokenizers_modules_counts(tmp_path: Path, shelf: Shelf) -> None:
    module = shelf.encoder("acme-mixer")
    own = {"acme.gates": {"num_layers": 1, "num_heads": 2, "hidden_size": 8}}
    coder(tmp_path / "coder")
    write(tmp_path)
    processor = load_spec(tmp_path / "spec.yaml").data.processor
    assert processor is not None
    assert {"tp_core", "tp_text", "tp_vision", "tp_crossmodal"} <= code_identity(module_classes([processor])).keys()
    coder(tmp_path / "coder", encoder="identity")
    changed(tmp_path / "coder" / "spec.yaml", "encoder: identity", f"encoder: {json.dumps(own)}")
    before = code_identity(module_classes([processor]))
    assert module in before
    (shelf.folder / f"{module}.py").write_text((shelf.folder / f"{module}.py").read_text() + "# edited\n")
    assert code_identity(module_classes([processor])) != before


def test_the_local_files_of_a_tokenizers_modules_count(tmp_path: Path) -> None:
    folder = coder(tmp_path / "coder", patches="own:Config")
    (folder / "own.py").write_text(LOCAL)
    (folder / "shade.py").write_text(
        "from tp_vision.embeddings.convolutional_options import ConvolutionalPatchConfig as BASE\n"
    )
    found = []
    for edited in ("", "# edited\n"):
        (folder / "shade.py").write_text((folder / "shade.py").read_text() + edited)
        spec = load_spec(write(tmp_path), trust_code=True)
        assert spec.data.processor is not None
        with tp_core.local.trust.trusting():
            found.append(module_identity(spec.data.processor))
    assert found[0] != found[1]


def test_a_tokenizer_of_another_major_version_is_told_once_also_where_its_rows_are_cached(tmp_path: Path) -> None:
    folder = coder(tmp_path / "coder")
    made = {"kind": "target", "name": "vq", "path": "", "distribution": "tp-vision", "version": "9.1", "portable": True}
    (folder / "provenance.json").write_text(json.dumps([made]))
    (note,) = training_notes(load_spec(write(tmp_path)))
    assert note.path == "data.processor.image_text_lm.image_tokenizer.vq.model"
    assert "was made with tp-vision 9.1" in note.message


# -- exports -------------------------------------------------------------------------------------------------------


def test_a_tokenizer_with_a_module_of_a_file_goes_with_the_export(tmp_path: Path) -> None:
    folder = coder(tmp_path / "coder", patches="own:Config")
    (folder / "own.py").write_text(LOCAL)
    (folder / "shade.py").write_text(
        "from tp_vision.embeddings.convolutional_options import ConvolutionalPatchConfig as BASE\n"
    )
    train(load_spec(write(tmp_path), trust_code=True), tmp_path / "run")
    before = tp_core.evaluate(tmp_path / "run", str(tmp_path / "pairs.tsv"), trust_code=True)
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "run" / "model", tmp_path / "export")
    shutil.rmtree(tmp_path / "run")
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(TPError, match=r"'own:Config' is Python code that came with the model: .*own\.py"):
        load_model(tmp_path / "export")
    assert tp_core.evaluate(tmp_path / "export", str(tmp_path / "pairs.tsv"), trust_code=True) == before


def test_a_checkpoint_as_tokenizer_is_exported_without_what_only_its_training_needed(
    tmp_path: Path, shelf: Shelf
) -> None:
    shelf.add("acme-hooks", {"hooks": {"acme.look": "acme_hooks:Config"}}, HOOKS, version="3.0")
    shelf.encoder("acme-mixer")
    encoder = {"acme.gates": {"num_layers": 1, "num_heads": 2, "hidden_size": 8}}
    coder(tmp_path / "made")
    tree = yaml.safe_load((tmp_path / "made" / "spec.yaml").read_text())
    tree["model"]["encoder"] = encoder
    write(tmp_path)
    tree["data"]["train"] = "../pairs.tsv"
    tree["train"] = {"steps": 1, "batch_size": 6, "hooks": ["acme.look"], "device": "cpu", "loggers": []}
    train(load_spec(stored(tmp_path / "made", tree)), tmp_path / "trained")
    (tmp_path / "trained" / "checkpoints" / "step_000001").rename(tmp_path / "trained" / "checkpoints" / "step_000009")
    (tmp_path / "coder").symlink_to(tmp_path / "trained" / "checkpoints" / "step_000009")
    changed(tmp_path / "spec.yaml", "model: coder", "model: trained/checkpoints/step_000009")
    for name in ("provenance.json", "requirements.txt"):
        changed(tmp_path / "trained" / name, "1.5", "1.4")  # the version that the tokenizer was made with
    train(load_spec(tmp_path / "spec.yaml"), tmp_path / "run")
    export = tmp_path / "run" / "model"
    inner = export / "processor_image_text_lm_image_tokenizer_vq"
    plain = yaml.safe_load((inner / "spec.yaml").read_text())
    assert "train" not in plain
    assert "train" not in plain["data"]
    assert {"acme-mixer==1.4", "tp-vision==0.1.0"} <= set((inner / "requirements.txt").read_text().split())
    outer = (export / "requirements.txt").read_text().split()
    assert "acme-mixer==1.4" in outer
    assert not any("acme-hooks" in line for line in outer)
    # Without the package, the message says what to install.
    shutil.rmtree(shelf.folder / "acme_mixer-1.5.dist-info")
    (shelf.folder / "acme_mixer.py").unlink()
    sys.modules.pop("acme_mixer", None)
    discovery.index.cache_clear()
    with pytest.raises(TPError, match=r"pip install 'acme-mixer==1\.4'"):
        load_model(export)


# -- weights of other models -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [write, beit], ids=["image_text_lm", "visual_tokens"])
def test_weights_for_other_codes_are_told_and_refused_where_the_spec_says_so(
    make: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coder(tmp_path / "coder")
    train(load_spec(make(tmp_path)), tmp_path / "run")
    shutil.copytree(tmp_path / "coder", tmp_path / "moved")
    changed(tmp_path / "spec.yaml", "model: coder", "model: moved")
    required = [f"init_from={tmp_path / 'run'}", "require_init=all"]
    train(load_spec(tmp_path / "spec.yaml", required), tmp_path / "same")  # wherever it lies
    shutil.rmtree(tmp_path / "coder")
    coder(tmp_path / "moved", seed=3)
    for source in ("run", "run/checkpoints/step_000001"):  # the checkpoint knows its tokenizer, which is gone
        start = f"init_from={tmp_path / source}"
        if make is write and source != "run":
            continue  # whose processor needs its tokenizer
        with pytest.raises(TPError, match=r"tokenizer 'vq' is another one: .*moved/model\.safetensors differs"):
            train(load_spec(tmp_path / "spec.yaml", [start, "require_init=all"]), tmp_path / "never")
        capsys.readouterr()
        train(load_spec(tmp_path / "spec.yaml", [start]), tmp_path / f"told{source[-1]}")
        assert "the visual tokenizer 'vq' is another one" in capsys.readouterr().err


def test_the_seed_of_random_codes_is_compared(tmp_path: Path) -> None:
    own = {"random_projection": {"num_tokens": 6, "seed": 1}}
    train(load_spec(beit(tmp_path, own)), tmp_path / "run")
    start = [f"init_from={tmp_path / 'run'}", "require_init=all"]
    key = "model.target.visual_tokens.tokenizer.random_projection.seed"
    with pytest.raises(TPError, match="the option 'seed' of the visual tokenizer 'random_projection' is 1 there and 2"):
        train(load_spec(tmp_path / "spec.yaml", [*start, f"{key}=2"]), tmp_path / "other")


def test_text_and_image_tokens_of_one_id_are_others(tmp_path: Path) -> None:
    """As many rows, of which the second vocabulary has one more for texts."""
    coder(tmp_path / "coder")
    train(load_spec(write(tmp_path)), tmp_path / "run")
    coder(tmp_path / "coder", codes=5)
    changed(tmp_path / "spec.yaml", "num_tokens: 6", "num_tokens: 5")
    (tmp_path / "vocab.txt").write_text("\n".join([*VOCABULARY, "more"]) + "\n")
    count = len(VOCABULARY)
    told = rf"6 of {count + 6} ids stand for other tokens, id {count} for the added token 0 there and 'more' here"
    start = [f"init_from={tmp_path / 'run'}", "require_init=all"]
    with pytest.raises(TPError, match=told):
        train(load_spec(tmp_path / "spec.yaml", start), tmp_path / "other")


# -- labels ----------------------------------------------------------------------------------------------------------


def used(model: Path) -> None:
    """The uses of a model that need no labels."""
    loaded = load_model(model, "cpu")
    assert loaded.model.named_targets()["visual_tokens"].output.out_features == 6  # type: ignore[union-attr]


def test_a_model_is_used_without_what_makes_its_labels(tmp_path: Path) -> None:
    coder(tmp_path / "coder")
    train(load_spec(beit(tmp_path)), tmp_path / "run")
    data = str(tmp_path / "pairs.tsv")
    for spoilt, message in (
        (lambda: coder(tmp_path / "coder", codes=9), "has 9 codes|9 codes, but num_tokens is 6"),
        (lambda: changed(tmp_path / "coder" / "spec.yaml", "conv_patch", "acme.gone"), "acme.gone"),
        (lambda: shutil.rmtree(tmp_path / "coder"), "coder"),
    ):
        spoilt()
        for place in ("run", "run/model", "run/checkpoints/step_000001"):
            used(tmp_path / place)
        with pytest.raises(TPError, match=message):
            tp_core.evaluate(tmp_path / "run", data, say=lambda _: None)


def test_a_model_is_used_without_the_package_of_its_tokenizer(tmp_path: Path, shelf: Shelf) -> None:
    shelf.add("acme-codes", {"visual_tokenizer": {"acme.codes": "acme_codes:Config"}}, TOKENIZER)
    train(load_spec(beit(tmp_path, {"acme.codes": {"num_tokens": 6}})), tmp_path / "run")
    data = str(tmp_path / "pairs.tsv")
    assert "visual_tokens/accuracy" in tp_core.evaluate(tmp_path / "run", data)
    shutil.rmtree(shelf.folder / "acme_codes-1.5.dist-info")
    (shelf.folder / "acme_codes.py").unlink()
    sys.modules.pop("acme_codes", None)
    discovery.index.cache_clear()
    used(tmp_path / "run")
    with pytest.raises(TPError, match=r"the labels is not there: .*'acme\.codes'.*pip install 'acme-codes==1\.5'"):
        tp_core.evaluate(tmp_path / "run", data)
    with pytest.raises(TPError, match=r"acme\.codes"):  # training needs it
        load_spec(tmp_path / "spec.yaml")


def test_evaluations_tell_that_others_make_the_labels(tmp_path: Path) -> None:
    coder(tmp_path / "coder")
    train(load_spec(beit(tmp_path)), tmp_path / "run")
    data = str(tmp_path / "pairs.tsv")
    places = ["run/model", "run/checkpoints/step_000001"]

    def told(place: str) -> list[str]:
        said: list[str] = []
        tp_core.evaluate(tmp_path / place, data, say=said.append)
        return [line for line in said if "files that make its labels have changed" in line]

    assert [told(place) for place in places] == [[], []]
    coder(tmp_path / "coder", seed=3)
    for place in places:
        (line,) = told(place)
        assert "model.target.visual_tokens.tokenizer.vq: " in line
        assert "coder/model.safetensors has changed" in line
    with pytest.warns(UserWarning, match="files that make its labels have changed"):
        tp_core.evaluate(tmp_path / "run", data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_model(tmp_path / "run", "cpu")  # which makes none
