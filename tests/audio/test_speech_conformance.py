"""The modules of speech recognition keep the contracts that the conformance kit checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.audio.tones import RATE, recordings, tokenizer
from tp_core.testing import check_module


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"whole_steps": True},
        {"kernel_sizes": [3], "strides": [3], "scale": True},
        {"kernel_sizes": [5, 3, 3], "strides": [2, 1, 2]},
    ],
)
def test_the_speech_embedding_conforms(options: dict[str, Any]) -> None:
    check_module("speech", "embedding", {"num_mel_bins": 12, "channels": 16, **options}, length=13)


@pytest.mark.parametrize("positions", ["distance", "rotary", "none"])
@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_the_conformer_conforms(positions: str, norm: str) -> None:
    mixer = {"attention": {"positions": positions}}
    options = {"num_layers": 2, "mixer": mixer, "convolution_norm": norm, "num_heads": 2, "kernel_size": 5}
    check_module("conformer", "encoder", options, model={"embedding_size": 12})


@pytest.mark.parametrize("average", ["tokens", "samples", "mean"])
def test_the_target_ctc_conforms(average: str) -> None:
    check_module("ctc", "target", {"average": average})


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("speech_ctc", {}),
        ("speech_ctc", {"normalize": "mean", "frame_shift": 12.5}),
        ("speech_ctc", {"speeds": [0.9, 1.1], "time_masks": 2, "frequency_masks": 1, "frequency_mask_width": 5}),
        ("speech_text", {}),
        ("speech_text", {"start": "pad", "target_max_length": 9, "speeds": [1.2, 0.8]}),
    ],
)
def test_the_processors_conform(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    manifest = recordings(tmp_path, 6)
    records = [dict(zip(("audio", "text"), line.split("\t"))) for line in manifest.read_text().splitlines()[1:]]
    records = [{**each, "audio": (tmp_path / each["audio"]).read_bytes()} for each in records]
    check_module(
        name,
        "processor",
        {"sampling_rate": RATE, "num_mel_bins": 20, **options},
        records=records,
        tokenizer=tokenizer(tmp_path),
        prediction={"token_ids": [1, 2]},
    )
