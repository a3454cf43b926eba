"""Pictures and texts are prepared in threads as one thread prepares them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.contexts import targets
from tests.crossmodal.pictures import GRID, WORDS, png, tokenizer
from tests.preparing import assert_same, table
from tp_core.options.context import DataContext
from tp_core.testing.specs import config_class_of
from tp_crossmodal.processors import image_text, image_text_lm
from tp_vision.facts import GridFacts

VISUAL: dict[str, dict[str, Any]] = {
    "image_text": {"image_size": 8, "channels": 1},
    "image_text_lm": {
        "image_size": 8,
        "patch_size": 4,
        "channels": 1,
        "max_length": 6,
        "image_tokenizer": {"random_projection": {"num_tokens": 9, "normalize": False}},
    },
}


@pytest.mark.parametrize("name", VISUAL)
def test_threads_prepare_the_same_rows_and_say_the_same_of_bad_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for module in (image_text, image_text_lm):
        monkeypatch.setattr(module, "_CHUNK", 7)
    records: list[dict[str, Any]] = []
    for number in range(200):
        picture = png(number, 8 + number % 5, 8 + number % 7)
        (tmp_path / f"{number}.png").write_bytes(picture[:-20] if number % 13 == 4 else picture)
        record = {"image": f"{number}.png", "text": f"a {WORDS[number % 10]}", "label": number % 2}
        if number % 17 == 9:
            del record["text" if number % 2 else "image"]
        records.append(record)
    config: Any = config_class_of("processor", name)(**VISUAL[name])
    processor = config.build(DataContext(targets=targets(mlm={}, itm={}), facts={GridFacts: GRID}), tokenizer(tmp_path))
    words = ["damaged or cut off", "no field 'text'", "no field 'image'"]
    assert_same(processor, table(tmp_path / "data.jsonl", records), monkeypatch, words)
