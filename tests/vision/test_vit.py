"""ViT and DeiT as specs: sizes of the presets, training on folders of pictures, prediction, embedding, bad pictures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner

import tp_core
from tests.building import batch_of, build, randomised, worst
from tests.vision.pictures import encoded, png, write_folders
from tp_core import DataError, SpecError, load_spec
from tp_core.cli.main import cli
from tp_core.cost.pricing import price
from tp_core.data.build import build_processor
from tp_core.data.cache.prepared import prepared_rows
from tp_core.model import meta_model
from tp_core.testing import check_module
from tp_vision.processors.decoding import decode

DEIT: dict[str, Any] = {
    "hidden_size": 16,
    "image_size": 8,
    "patch_size": 4,
    "distillation_token": True,
    "embedding": {"modules": ["patch", "patch_pos"], "norm": "none", "dropout": 0.0},
    "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}},
}


def write_spec(folder: Path, **parts: Any) -> Path:
    """A tiny ViT on ``train/`` and ``test/``; ``parts`` are keys of ``data:``, ``train:`` or ``model:``."""
    spec: dict[str, Any] = {
        "model": {
            "hidden_size": 16,
            "image_size": 8,
            "patch_size": 4,
            "embedding": {"modules": ["patch", "patch_pos"], "norm": "none"},
            "encoder": {"transformer": {"num_layers": 1, "num_heads": 2, "norm_position": "pre"}},
            "target": [{"cls": {"num_labels": 2, "hidden_layer": False}}],
            **parts.get("model", {}),
        },
        "data": {
            "processor": "image",
            "train": "train",
            "eval": "test",
            "cache": "cache",
            **parts.get("data", {}),
        },
        "train": {
            "steps": 30,
            "batch_size": 8,
            "log_every": 10,
            "loggers": [],
            "device": "cpu",
            "optimizer": {"adamw": {"lr": 0.01}},
            **parts.get("train", {}),
        },
    }
    path = folder / "spec.yaml"
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures of two classes, and a model that is trained on them with all augmentation."""
    folder = tmp_path_factory.mktemp("pictures")
    write_folders(folder / "train", each=12)
    write_folders(folder / "test", each=4)
    augment = {"crop": "padded", "crop_padding": 1, "flip": 0.5, "random_erasing": 0.2, "mixup": 0.2, "cutmix": 0.2}
    data = {"processor": {"image": {"labels": ["0", "1"], "augment": augment}}}
    spec = write_spec(folder, data=data)
    tp_core.train(load_spec(spec), folder / "run")
    return folder


# -- sizes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "parameters"),
    [
        ("vit-tiny", 5_717_416),
        ("vit-small", 22_050_664),
        ("vit-base", 86_567_656),
        ("vit-large", 304_326_632),
        ("deit-tiny", 5_717_416),
        ("deit-small", 22_050_664),
        ("deit-base", 86_567_656),
        ("deit-tiny-distilled", 5_910_800),
        ("deit-small-distilled", 22_436_432),
        ("deit-base-distilled", 87_338_192),
    ],
)
def test_a_preset_has_the_size_of_the_published_model(preset: str, parameters: int) -> None:
    assert sum(p.numel() for p in meta_model(load_spec(preset)).parameters()) == parameters


def test_a_picture_costs_what_its_layers_cost() -> None:
    found = price(load_spec("vit-tiny", ["model.encoder.transformer.num_layers=2"]), batch_size=2)
    length, width, patches = 197, 192, 196
    layer = 2 * length * width * 12 * width + 2 * 2 * length * length * width
    # The last layer computes only the class token, from the keys and values of all positions.
    last = 2 * (length * 3 + 9) * width * width + 2 * 2 * length * width
    expected = 2 * (layer + last + 2 * patches * 768 * width + 2 * width * 1000)
    assert found.unit == "sample"
    assert found.forward_flops == expected
    assert found.forward_flops_per_unit == expected / 2


# -- DeiT's target -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"token_weight": 0.2, "label_smoothing": 0.1}])
def test_deits_target_conforms(options: dict[str, Any]) -> None:
    check_module("deit", "target", {"num_labels": 3, **options}, model=DEIT)


def test_deits_loss_is_of_both_tokens_and_predictions_of_their_mean(tmp_path: Path) -> None:
    model = randomised(build(tmp_path, {**DEIT, "target": [{"deit": {"num_labels": 3, "token_weight": 0.25}}]}))
    labels = torch.tensor([0, 2, 1])
    batch = batch_of({"deit": {"labels": labels}}, pixel_values=torch.randn(3, 3, 8, 8))
    target: Any = model.targets["deit"]
    with torch.no_grad():
        states = model.encode(batch).sequence.states
        own, other = target.classifier(states[:, 0]), target.distilled(states[:, 1])
        losses = [torch.nn.functional.cross_entropy(logits, labels) for logits in (own, other)]
        assert worst(model(batch).loss, 0.75 * losses[0] + 0.25 * losses[1]) < 1e-6
        expected = ((own + other) / 2).softmax(dim=-1)
    found = torch.tensor([each["probabilities"] for each in model.predict(batch)])
    assert worst(found, expected) < 1e-6


def test_deits_target_needs_the_distillation_token(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, model={"target": [{"deit": {"num_labels": 2}}]}, data={"train": None, "eval": None})
    with pytest.raises(SpecError, match=r"set model\.distillation_token: true"):
        load_spec(spec)


def test_a_teacher_teaches_the_distillation_token(project: Path, tmp_path: Path) -> None:
    model = {
        "distillation_token": True,
        "target": [
            {"deit": {"num_labels": 2, "token_weight": 0.0}},
            {"distill": {"teacher": str(project / "run" / "model"), "teacher_target": "cls", "cosine_weight": 0.0}},
        ],
    }
    data = {"train": str(project / "train"), "eval": str(project / "test")}
    result = tp_core.train(load_spec(write_spec(tmp_path, model=model, data=data)), tmp_path / "run")
    newest = result.run / "checkpoints" / f"step_{result.step:06d}"  # an export does without its teacher
    found = tp_core.evaluate(newest, str(project / "test"), say=lambda _: None)
    assert found["deit/accuracy"] == 1.0
    assert found["distill/agreement"] == 1.0


# -- from a folder of pictures to predictions --------------------------------------------------------------------


def test_a_model_that_is_trained_on_folders_tells_their_classes_apart(project: Path) -> None:
    found = tp_core.evaluate(str(project / "run"), str(project / "test"), say=lambda _: None)
    assert found["cls/accuracy"] == 1.0


def test_predictions_on_a_folder_name_the_pictures_and_their_classes(project: Path, tmp_path: Path) -> None:
    output = tmp_path / "predicted.jsonl"
    source = str(project / "test")
    done = CliRunner().invoke(
        cli, ["predict", str(project / "run"), "--input", source, "--output", str(output)], catch_exceptions=False
    )
    assert done.exit_code == 0
    found = [json.loads(line) for line in output.read_text().splitlines()]
    expected = sorted(str(path) for path in (project / "test").rglob("*.png"))
    assert [each["image"] for each in found] == expected
    assert [each["label"] for each in found] == [Path(path).parent.name for path in expected]


def test_a_table_of_paths_gives_the_same_vectors_as_the_folder(project: Path, tmp_path: Path) -> None:
    names = sorted((project / "test").rglob("*.png"))
    table = project / "list.tsv"
    table.write_text("picture\n" + "".join(f"{name.relative_to(project)}\n" for name in names))
    found = {}
    for kind, source in (("folder", str(project / "test")), ("table", str(table))):
        output = tmp_path / f"{kind}.npy"
        arguments = ["embed", str(project / "run"), "--input", source, "--output", str(output)]
        columns = ["--column", "image=picture"] if kind == "table" else []
        done = CliRunner().invoke(cli, [*arguments, *columns], catch_exceptions=False)
        assert done.exit_code == 0
        found[kind] = np.load(output)
    assert found["folder"].shape == (len(names), 16)
    assert np.array_equal(found["folder"], found["table"])


def test_fine_tuning_on_larger_pictures_interpolates_the_positions(project: Path, tmp_path: Path) -> None:
    write_folders(tmp_path / "train", each=4, size=16)
    modules = ["patch", {"patch_pos": {"position_image_size": 8}}]
    model = {"image_size": 16, "embedding": {"modules": modules, "norm": "none"}}
    spec = write_spec(tmp_path, model=model, data={"eval": None}, train={"steps": 1})
    spec.write_text(spec.read_text() + f"init_from: {project / 'run'}\n")
    result = tp_core.train(load_spec(spec), tmp_path / "run")
    weights = tp_core.load_model(result.model).model.weights()
    assert weights["embedding.parts.patch_pos.table"].shape == (5, 16)


# -- bad pictures ------------------------------------------------------------------------------------------------


def with_a_truncated_picture(folder: Path) -> Path:
    write_folders(folder / "train", each=4)
    broken = folder / "train" / "1" / "2.png"
    broken.write_bytes(broken.read_bytes()[:60])
    return broken


def test_a_truncated_picture_ends_the_preparation_with_its_name(tmp_path: Path) -> None:
    broken = with_a_truncated_picture(tmp_path)
    with pytest.raises(DataError) as caught:
        tp_core.train(load_spec(write_spec(tmp_path, data={"eval": None})), tmp_path / "run")
    assert str(caught.value).startswith(f"{broken}: the image cannot be read: ")
    assert not (tmp_path / "run").exists()


def test_a_truncated_picture_is_skipped_and_counted_if_the_spec_says_so(tmp_path: Path) -> None:
    broken = with_a_truncated_picture(tmp_path)
    said: list[str] = []
    spec = load_spec(write_spec(tmp_path, data={"eval": None, "on_bad_record": "skip"}))
    processor = build_processor(spec, None)
    assert processor is not None
    assert len(prepared_rows(spec, processor, spec.data.options.train or [], said.append)) == 7
    message = f"1 bad record was skipped:\n  {broken}: the image cannot be read: "
    assert message in "\n".join(said)
    said.clear()
    assert len(prepared_rows(spec, processor, spec.data.options.train or [], said.append)) == 7
    (again,) = said  # nothing is prepared a second time, and what was skipped is told again
    assert message in again


def test_a_picture_has_one_row_of_a_table_whatever_its_name(project: Path, tmp_path: Path) -> None:
    names = ["写真 1.png", "two\nlines.png", "a\ttab.png", 'quoted "q".png']
    (tmp_path / "pictures").mkdir()
    for name in names:
        (tmp_path / "pictures" / name).write_bytes(png())
    output = tmp_path / "predicted.tsv"
    predict = ["predict", str(project / "run"), "--input", str(tmp_path / "pictures"), "--output", str(output)]
    assert CliRunner().invoke(cli, predict, catch_exceptions=False).exit_code == 0
    rows = [line.split("\t") for line in output.read_text(encoding="utf-8").splitlines()]
    assert {len(row) for row in rows} == {5}
    assert [Path(row[1]).name for row in rows[1:]] == ["a tab.png", 'quoted "q".png', "two lines.png", "写真 1.png"]


def test_equal_tables_of_different_pictures_are_different_data(tmp_path: Path) -> None:
    spec = load_spec(write_spec(tmp_path, data={"eval": None}))
    processor = build_processor(spec, None)
    assert processor is not None
    for number in range(2):
        folder = tmp_path / str(number)
        write_folders(folder / "pictures", each=1)
        for file in folder.rglob("*.png"):
            file.write_bytes(encoded(np.full((16, 16, 3), 10 + number, dtype=np.uint8)))
        (folder / "table.tsv").write_text("image\tlabel\npictures/0/0.png\t0\npictures/1/0.png\t1\n")
    for number in range(2):
        rows = prepared_rows(spec, processor, str(tmp_path / str(number) / "table.tsv"))
        pixels = decode(rows.get("image", 0), 3)
        assert pixels.unique().tolist() == [10 + number]


@pytest.mark.parametrize("form", ["tsv", "jsonl"])
def test_predictions_skip_a_truncated_picture_where_the_models_spec_does(
    project: Path, tmp_path: Path, form: str
) -> None:
    broken = with_a_truncated_picture(tmp_path)
    model, output = tmp_path / "model", tmp_path / f"predicted.{form}"
    shutil.copytree(project / "run" / "model", model)
    predict = ["predict", str(model), "--input", str(tmp_path / "train" / "1"), "--output", str(output)]
    done = CliRunner().invoke(cli, predict)
    assert (done.exit_code, output.exists()) == (2, False)
    spec = yaml.safe_load((model / "spec.yaml").read_text())
    spec["data"]["on_bad_record"] = "skip"
    (model / "spec.yaml").write_text(yaml.safe_dump(spec))
    (model / "manifest.json").unlink(missing_ok=True)
    done = CliRunner().invoke(cli, predict, catch_exceptions=False)
    assert f"3 predictions in {output}; 1 of 4 records could not be used:\n  {broken}: the image" in done.stderr
    lines = output.read_text().splitlines()
    if form == "jsonl":
        rows = [json.loads(line) for line in lines]
        assert ["error" in row for row in rows] == [False, False, True, False]
        assert "label" not in rows[2]
    else:
        assert lines[0].split("\t")[:3] == ["row", "image", "label"]
        assert [bool(line.split("\t")[2]) for line in lines[1:]] == [True, True, False, True]
