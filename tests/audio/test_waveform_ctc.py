"""Raw waveforms with texts: the processor of fine-tuning for speech recognition."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.audio.tones import PAD, SPECIAL, WORDS
from tests.audio.waveforms import encoded, tone
from tests.contexts import targets
from tests.core import runs
from tp_audio.processors.waveform_options import WaveformCtcProcessorConfig
from tp_core.data.cache.rows import ArrowRows, write_rows
from tp_core.data.sampling.order import TRAIN, generator
from tp_core.interfaces import Record, Tokenizer
from tp_core.options.context import DataContext
from tp_core.testing import check_module
from tp_text.tokenizers.line_vocabulary_options import SpaceConfig


@pytest.fixture
def tokenizer(tmp_path: Path) -> Tokenizer:
    file = tmp_path / "words.txt"
    file.write_text("\n".join([*SPECIAL, *WORDS]) + "\n", encoding="utf-8")
    return SpaceConfig(vocab=str(file)).build(DataContext())


def records() -> list[dict[str, Any]]:
    return [{"audio": encoded(tone(300 + 90 * i, 0.4 + i / 20)), "text": "low high"} for i in range(4)]


def test_the_processor_keeps_its_contracts(tokenizer: Tokenizer) -> None:
    prediction = {"token_ids": [5, 6]}
    options = {"mask_time_length": 3}
    check_module("waveform_ctc", "processor", options, records=records(), tokenizer=tokenizer, prediction=prediction)


def test_frames_are_masked_in_training_only_and_texts_are_labels(tmp_path: Path, tokenizer: Tokenizer) -> None:
    config = WaveformCtcProcessorConfig(mask_time_prob=0.5, mask_time_length=2)
    processor = config.build(DataContext(targets=targets(ctc={"blank": PAD})), tokenizer)
    source = (Record(value, "some.tsv", line) for line, value in enumerate(records(), 1))
    write_rows(tmp_path / "rows", processor.prepare(source, lambda error: None))
    rows = ArrowRows(tmp_path / "rows")
    drawn = [processor.sample(rows, i, generator(0, TRAIN, 0, i)) for i in range(4)]
    batch = processor.collate(drawn)
    assert 0.2 < batch.inputs["mask_time_indices"].float().mean() < 0.8
    assert tokenizer.decode(batch.labels["ctc"]["labels"][2].tolist()) == "low high"
    whole = processor.collate([processor.evaluation_sample(rows, i, generator(0, TRAIN, 0, i)) for i in range(4)])
    assert "mask_time_indices" not in whole.inputs
    alone = processor.encode([Record(records()[1], "", 1)])[0]["input_values"]
    stored = processor.evaluation_sample(rows, 1, generator(0, TRAIN, 0, 1))["input_values"]
    np.testing.assert_allclose(alone, stored, atol=1e-3)


def test_a_model_trains_from_raw_samples_to_words(tmp_path: Path, tokenizer: Tokenizer) -> None:
    (tmp_path / "wav").mkdir()
    rows = ["audio\ttext"]
    draw = np.random.default_rng(0)
    for number in range(24):
        word = list(WORDS)[number % len(WORDS)]
        (tmp_path / "wav" / f"{number}.wav").write_bytes(encoded(tone(WORDS[word] + draw.uniform(-20, 20), 0.15)))
        rows.append(f"wav/{number}.wav\t{word}")
    (tmp_path / "train.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (tmp_path / "spec.yaml").write_text(
        """tp: 1
model:
  hidden_size: 32
  embedding:
    modules: [waveform: {channels: [16, 16, 32], kernels: [10, 8, 8], strides: [5, 8, 8]}]
    norm: none
    dropout: 0.0
  encoder: {transformer: {num_layers: 1, num_heads: 2, norm_position: pre, dropout: 0.0}}
  target: [ctc]
data:
  tokenizer: {space: {vocab: words.txt}}
  processor: {waveform_ctc: {mask_time_length: 2}}
  train: train.tsv
  eval: train.tsv
train:
  steps: 100
  batch_size: 8
  optimizer: {adamw: {lr: 1e-2}}
  schedule: constant
  eval_every: 100
  log_every: 5
  loggers: []
""",
        encoding="utf-8",
    )
    runs.train(tmp_path, "--run", "runs/ctc", spec="spec.yaml")
    lines = runs.metrics(tmp_path / "runs" / "ctc")
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < 0.7 * losses[0]
    (rate,) = [line["eval/word_error_rate"] for line in lines if "eval/word_error_rate" in line]
    assert rate < 1
