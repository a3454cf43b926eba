"""Pictures are prepared in threads as one thread prepares them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.contexts import targets
from tests.preparing import assert_same, table
from tests.vision.pictures import encoded, pixels, png
from tp_core.options.context import DataContext
from tp_vision.processors import image
from tp_vision.processors.image_options import ImageProcessorConfig


def test_threads_prepare_the_same_rows_and_say_the_same_of_bad_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image, "_CHUNK", 5000)  # many batches of rows
    forms = ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP"]
    records: list[dict[str, Any]] = []
    for number in range(240):
        size = 8 + number * number % 90
        data = encoded(pixels(size, size + 3, number), forms[number % 6])
        if number % 13 == 4:
            data = data[: len(data) // 2]
        (tmp_path / f"{number}.bin").write_bytes(b"" if number % 29 == 7 else data)
        name = f"{number}.bin" if number % 17 != 9 else f"{number}.gone"
        records.append({"image": name, "label": 5 if number % 19 == 3 else number % 3})
    config = ImageProcessorConfig(image_size=8)
    processor = config.build(DataContext(targets=targets(cls={"num_labels": 3})), None)
    words = ["damaged or cut off", "is empty", "cannot be read: No such file", "the label 5 is out of range"]
    assert_same(processor, table(tmp_path / "data.jsonl", records), monkeypatch, words)


def test_pictures_of_the_wrong_size_are_refused_in_their_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(80):
        (tmp_path / f"{number}.png").write_bytes(png(8 + (number % 4 == 1), 8, number))
    config = ImageProcessorConfig(image_size=8, resize="none")
    processor = config.build(DataContext(targets=targets(cls={"num_labels": 3})), None)
    records = [{"image": f"{number}.png", "label": 0} for number in range(80)]
    assert_same(processor, table(tmp_path / "data.jsonl", records), monkeypatch, ["9 x 8 pixels"])
