"""Padding never counts for recordings: see tests/text/test_padding.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.audio.tones import RATE, SPECIAL, WORDS, drawn, record, recordings, rows_of, tokenizer
from tests.building import build, randomised
from tests.contexts import targets as asked
from tests.padding import assert_padding_is_free
from tp_core.options.processor import ProcessorConfig
from tp_core.spec.context import data_context
from tp_core.testing.specs import config_class_of

BANKS = {"embedding": {"modules": [{"speech": {"num_mel_bins": 20, "channels": 8}}], "norm": "none"}}
LAYERS = {"channels": [6, 8], "kernels": [20, 4], "strides": [10, 4]}
LAYER = {"transformer": {"num_layers": 1, "num_heads": 2}}
CONFORMER = {"conformer": {"num_layers": 1, "num_heads": 2, "kernel_size": 5}}
CLASSES = [{"cls": {"name": how, "pooling": how, "num_labels": 3}} for how in ("first", "last", "mean", "max")]


def waveform(norm: str) -> dict[str, Any]:
    return {"embedding": {"modules": [{"waveform": {**LAYERS, "conv_norm": norm}}], "norm": "none"}}


@pytest.mark.parametrize(
    ("name", "options", "parts", "targets"),
    [
        ("speech_ctc", {}, BANKS | {"encoder": CONFORMER}, ["ctc"]),
        ("speech_cls", {"labels": ["a", "b", "c"]}, BANKS | {"encoder": LAYER}, CLASSES),
        (
            "speech_text",
            {},
            BANKS | {"encoder": LAYER, "target_embedding": ["word"], "decoder": {"transformer": {"num_heads": 2}}},
            ["lm"],
        ),
        ("waveform_ctc", {}, waveform("group") | {"encoder": LAYER}, [{"ctc": {"average": "mean"}}]),
        ("waveform_cls", {"labels": ["a", "b", "c"]}, waveform("layer") | {"encoder": LAYER}, CLASSES),
        (
            "units",
            {"unit_rate": 25.0, "crop_seconds": None},
            waveform("layer") | {"encoder": LAYER},
            [{"units": {"num_units": 5, "unmasked_weight": 0.5, "projection_size": 6}}],
        ),
    ],
)
def test_losses_and_metrics_of_padded_samples_are_those_of_single_ones(
    tmp_path: Path, name: str, options: dict[str, Any], parts: dict[str, Any], targets: list[Any]
) -> None:
    sizes = {"hidden_size": 12, "vocab_size": len(SPECIAL) + len(WORDS), "dropout": 0.0, "num_layers": 1}
    model = randomised(build(tmp_path, {**sizes, **parts, "target": targets}))
    data = data_context(model.spec)._replace(targets=asked(cls={"num_labels": 3}))
    if name.startswith("speech"):
        options = {"num_mel_bins": 20, **options}
    config = config_class_of("processor", name)(sampling_rate=RATE, **options)
    assert isinstance(config, ProcessorConfig)
    made = config.build(data, tokenizer(tmp_path))
    manifest = recordings(tmp_path / "audio", 6)
    lines = [line.split("\t") for line in manifest.read_text().splitlines()[1:]]
    records = [
        record(manifest, audio=audio, text=text, label="abc"[n % 3], units=" ".join(str(i % 5) for i in range(40)))
        for n, (audio, text) in enumerate(lines)
    ]
    rows = rows_of(made, records, tmp_path)
    samples = [drawn(made, rows, index) for index in range(len(rows))]
    assert len({len(next(iter(sample.values()))) for sample in samples}) > 1
    assert_padding_is_free(model, samples, made)
