"""Training and evaluation see the very pictures that inference sees: rows keep the files, not what is made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.contexts import targets
from tests.vision.pictures import encoded, pixels
from tp_core.data.cache.rows import ArrowRows, write_rows
from tp_core.data.sampling.order import EVALUATION, TRAIN, generator
from tp_core.interfaces import Record
from tp_core.options.context import DataContext
from tp_core.testing.specs import config_class_of
from tp_vision.facts import GridFacts

DEEP = np.random.default_rng(1).integers(0, 65536, (30, 24), dtype=np.uint16)
FILES = [
    encoded(DEEP),
    encoded(pixels(33, 20), "JPEG"),
    encoded(pixels(20, 51), "WEBP"),
    encoded(pixels(16, 16), "PNG", "P"),
    encoded(pixels(16, 16), "TIFF", "CMYK"),
]
DATA = DataContext(targets=targets(cls={"num_labels": 9}), facts={GridFacts: GridFacts(4, 4, (4, 4), 3)})


@pytest.mark.parametrize("name", ["image", "masked_image"])
@pytest.mark.parametrize(
    "options",
    [
        {"interpolation": "bicubic", "crop_fraction": 0.875},
        {"resize": "stretch", "crop_fraction": 0.5, "mean": [0.1, 0.2, 0.3], "std": [0.7]},
    ],
)
def test_a_sample_of_training_has_the_pixels_of_the_one_for_inference(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    processor: Any = config_class_of("processor", name)(**options).build(DATA, None)
    records = [Record({"image": data, "label": number}, "list.tsv", number) for number, data in enumerate(FILES)]
    write_rows(tmp_path / "rows", processor.prepare(iter(records), pytest.fail))
    rows = ArrowRows(tmp_path / "rows")
    assert [rows.get("image", index).tobytes() for index in range(len(rows))] == FILES
    for index, expected in enumerate(processor.encode(records)):
        assert expected["pixel_values"].dtype == np.float32
        for sample in (
            processor.sample(rows, index, generator(0, TRAIN, 0, index)),
            processor.evaluation_sample(rows, index, generator(0, EVALUATION, 0, index)),
        ):
            assert np.array_equal(sample["pixel_values"], expected["pixel_values"])
            assert sample.get("label", index) == index
