"""Padding never counts for pictures with texts, nor that of regions: see tests/text/test_padding.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.building import build, randomised
from tests.crossmodal.pictures import VOCABULARY, captioned, context, rows_of, tokenizer
from tests.crossmodal.test_processors import draw, regions
from tests.padding import assert_padding_is_free
from tp_core.testing.specs import config_class_of

PATCHES = {"image_size": 8, "patch_size": 4, "channels": 1}
REGION = {"region": {"size": 4, "text_length": 16}}
LAYER = {"transformer": {"num_layers": 1, "num_heads": 2}}
CLASSES = [{"cls": {"name": how, "pooling": how}} for how in ("mean", "max", "last")]
ONE: dict[str, Any] = {
    "image_text": {"embedding": [{"word_patch": {**PATCHES, "text_length": 16}}, "seg"], "encoder": LAYER},
    "region_text": {"embedding": ["word", "pos", REGION], "encoder": LAYER},
}
TEXT = {"embedding": ["word", "pos"], "encoder": LAYER}
TWO: dict[str, Any] = {
    "image_text_pair": {"text": TEXT, "image": {"embedding": [{"patch": PATCHES}], "encoder": LAYER}},
    "region_text_pair": {"text": TEXT, "image": {"embedding": [{"region": {"size": 4}}], "encoder": LAYER}},
}


@pytest.mark.parametrize("name", [*ONE, *TWO])
def test_losses_and_metrics_of_padded_samples_are_those_of_single_ones(tmp_path: Path, name: str) -> None:
    fusion = {"encoder": {"co_attention": {"num_layers": 1, "num_heads": 2, "co_heads": 2, "co_size": 12}}}
    parts = ONE[name] if name in ONE else {"streams": TWO[name], **fusion}
    targets = ["mlm", "itm", *([] if name in TWO else CLASSES)]
    sizes = {"hidden_size": 12, "vocab_size": len(VOCABULARY), "dropout": 0.0}
    model = randomised(build(tmp_path, {**sizes, **parts, "target": targets}))
    data = context("mlm", "itm", *(["cls"] if name in ONE else []), streams=tuple(TWO.get(name, ())))
    options = {"region_size": 4} if name.startswith("region") else {}
    longest, whole = (
        config_class_of("processor", name)(max_length=16, pad=pad, mask_rate=0.4, **options).build(
            data, tokenizer(tmp_path)
        )
        for pad in ("longest", "max_length")
    )
    records = regions(10) if name.startswith("region") else captioned()
    rows = rows_of(longest, records, tmp_path)
    samples = [draw(longest, rows, index) for index in range(len(rows))]
    assert_padding_is_free(model, samples, longest, whole)
