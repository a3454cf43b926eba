"""Pictures with sets of classes or with numbers: read, mixed, learned, predicted by name."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from tests.building import worst
from tests.contexts import targets
from tests.vision.pictures import encoded, png
from tp_core import DataContext, evaluate, load_spec, predict, train
from tp_core.data.cache.rows import ArrowRows, write_rows
from tp_core.data.sampling.order import TRAIN, generator
from tp_core.errors import DataError
from tp_core.interfaces import Record
from tp_core.options.context import BuildContext
from tp_core.testing import check_module
from tp_vision.processors.image_options import ImageMultiLabelConfig, ImageRegressionConfig

THREE = DataContext(targets=targets(multi_label={"num_labels": 3}))


@pytest.mark.parametrize("augment", [{}, {"mixup": 0.8, "cutmix": 1.0, "flip": 0.5}])
def test_the_processor_of_sets_of_classes_conforms(augment: dict[str, Any]) -> None:
    records = [{"image": png(20, 24, seed=n), "label": [[], [0], [2, 1]][n % 3]} for n in range(9)]
    check_module("image_multi_label", "processor", {"image_size": 16, "augment": augment}, records=records, data=THREE)


def test_the_processor_of_numbers_conforms() -> None:
    records = [{"image": png(20, 24, seed=n), "label": "" if n == 4 else n / 3} for n in range(9)]
    check_module("image_regression", "processor", {"image_size": 16, "allow_missing": True}, records=records)


def test_mixed_pictures_have_each_class_in_the_proportion_of_its_pixels(tmp_path: Path) -> None:
    """Each picture is of one brightness, which is that of its classes together."""

    def refuse(error: DataError) -> None:
        raise error

    sets = [[], [0], [1], [0, 1], [2], [0, 1, 2]]
    shades = [sum(20 * 2**number for number in each) for each in sets]
    flat = [{"image": encoded(np.full((8, 8, 3), s, np.uint8)), "label": each} for s, each in zip(shades, sets)]
    for augment in ({"mixup": 0.8}, {"cutmix": 1.0}):
        options = {"image_size": 8, "mean": [0.0], "std": [1.0], "augment": augment}
        made = ImageMultiLabelConfig.model_validate(options).build(THREE, None)
        path = tmp_path / "rows.arrow"
        write_rows(path, made.prepare((Record(each, "list.jsonl", n) for n, each in enumerate(flat, 1)), refuse))
        rows = ArrowRows(path)
        batch = made.collate([made.sample(rows, n, generator(0, TRAIN, 0, n)) for n in range(len(rows))])
        labels = batch.labels["multi_label"]["labels"]
        assert bool(((labels > 0) & (labels < 1)).any())
        brightness = labels @ torch.tensor([20.0, 40.0, 80.0]) / 255
        assert worst(batch.inputs["pixel_values"].mean(dim=(1, 2, 3)), brightness) < 1e-5


def test_numbers_are_not_mixed() -> None:
    made = ImageRegressionConfig.model_validate({"image_size": 8, "augment": {"mixup": 0.2}})
    (problem,) = made.check(BuildContext())
    assert (problem.option, problem.message) == ("augment", "mixup and cutmix are for classification only")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures with a bright left half, a bright lower half, both or neither, in a table with the number of both."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for split, count in (("train", 60), ("test", 20)):
        with open(folder / f"{split}.csv", "w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["image", "sides", "number"])
            for number in range(count):
                sides = [name for name in ("left", "lower") if rng.random() < 0.5]
                pixels = rng.integers(0, 80, (8, 8, 3))
                pixels[:, :4] += 90 * ("left" in sides)
                pixels[4:] += 80 * ("lower" in sides)
                name = f"{split}{number}.png"
                (folder / name).write_bytes(encoded(pixels.astype(np.uint8)))
                table.writerow([name, "|".join(sides), len(sides)])
    return folder


def spec(folder: Path, name: str, processor: dict[str, Any], column: str) -> Any:
    parts = {
        "tp": 1,
        "model": {
            "hidden_size": 16,
            "init_std": 0.1,
            "image_size": 8,
            "patch_size": 4,
            "embedding": ["patch", "patch_pos"],
            "encoder": {"transformer": {"num_layers": 1, "num_heads": 2, "norm_position": "pre"}},
            "pooling": "mean",
            "target": [name],
        },
        "data": {"processor": processor, "train": "train.csv", "columns": {"label": column}, "cache": "cache"},
        "train": {
            "steps": 120,
            "batch_size": 20,
            "schedule": "constant",
            "loggers": [],
            "optimizer": {"adamw": {"lr": 1e-2}},
            "device": "cpu",
        },
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(parts))
    return load_spec(folder / f"{name}.yaml")


def test_sets_of_classes_of_pictures_are_learned_and_named(home: Path) -> None:
    options = {"labels": ["left", "lower"], "delimiter": "|"}
    run = train(spec(home, "multi_label", {"image_multi_label": options}, "sides"), home / "multi")
    assert evaluate(run.model, str(home / "test.csv"))["multi_label/f1_macro"] > 0.9
    (found,) = predict(run.model, [{"image": str(home / "test0.png")}])
    assert [*found["probabilities"]] == ["left", "lower"]
    assert set(found["labels"]) <= {"left", "lower"}


def test_numbers_of_pictures_are_learned(home: Path) -> None:
    run = train(spec(home, "regression", {"image_regression": {}}, "number"), home / "number")
    assert evaluate(run.model, str(home / "test.csv"))["regression/pearson"] > 0.8
    (found,) = predict(run.model, [{"image": str(home / "test0.png")}])
    assert isinstance(found["value"], float)
