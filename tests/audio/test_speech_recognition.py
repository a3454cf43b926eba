"""Models of speech learn words that are tones, from a spec to a word error rate."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

import tp_core
from tests.audio.tones import RATE, recordings, vocabulary
from tests.core import runs
from tp_core import load_spec
from tp_core.errors import TPError

FEATURES = {"sampling_rate": RATE, "num_mel_bins": 20}
SPEECH = {"speech": {"num_mel_bins": 20, "channels": 32, "kernel_sizes": [5, 3]}}
LAYERS = {"num_layers": 1, "num_heads": 2, "feed_forward_size": 48, "norm_position": "pre"}
MODELS: dict[str, dict[str, Any]] = {
    "ctc": {
        "embedding": {"modules": [SPEECH], "norm": "none"},
        "encoder": {"conformer": {"num_layers": 1, "num_heads": 2, "kernel_size": 7}},
        "target": ["ctc"],
    },
    "lm": {
        "embedding": {"modules": [SPEECH, "sinusoidal"], "norm": "none"},
        "encoder": {"transformer": LAYERS},
        "target_embedding": {"modules": ["word", "sinusoidal"], "norm": "none"},
        "decoder": {"transformer": LAYERS},
        "target": ["lm"],
    },
}


def spec(folder: Path, kind: str, processor: str, steps: int) -> Path:
    recordings(folder / "train", 96)
    recordings(folder / "test", 24, seed=1)
    vocabulary(folder)
    parts = {
        "tp": 1,
        "model": {"hidden_size": 32, "dropout": 0.0, **MODELS[kind]},
        "data": {
            "tokenizer": {"space": {"vocab": "words.txt", "eos_token": "[EOS]"}},
            "processor": {processor: {**FEATURES, "time_masks": 1, "time_mask_width": 3}},
            "train": "train/manifest.tsv",
            "eval": "test/manifest.tsv",
            "bucket": 4,
            "cache": "cache",
        },
        "train": {
            "steps": steps,
            "batch_size": 16,
            "loggers": [],
            "optimizer": {"adamw": {"lr": 4e-3}},
            "schedule": {"cosine": {"warmup": 0.1}},
            "checkpoint_every": steps // 2,
            "device": "cpu",
        },
    }
    file = folder / "spec.yaml"
    file.write_text(yaml.safe_dump(parts, sort_keys=False))
    return file


def wer(*arguments: str) -> dict[str, float]:
    from tp_audio.cli import wer as command

    done = CliRunner().invoke(command, [*arguments, "--device", "cpu", "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found: dict[str, float] = json.loads(done.stdout)
    return found


def test_a_conformer_learns_by_ctc_and_its_word_error_rate_is_that_of_its_texts(tmp_path: Path) -> None:
    made = load_spec(spec(tmp_path, "ctc", "speech_ctc", 80))
    result = tp_core.train(made, run=tmp_path / "run")
    assert result.model is not None
    test = str(tmp_path / "test" / "manifest.tsv")
    found = tp_core.evaluate(result.model, test, device="cpu")
    assert found["word_error_rate"] < 0.1
    assert found["ctc/too_long"] == 0
    assert found["ctc/token_error_rate"] == pytest.approx(found["word_error_rate"])  # a token is a word here
    output = tmp_path / "texts.jsonl"
    rates = wer(str(result.model), "--data", test, "--output", str(output), "--batch-size", "7")
    assert rates["word_error_rate"] == pytest.approx(found["word_error_rate"])
    assert rates["character_error_rate"] == pytest.approx(found["character_error_rate"])
    assert len(output.read_text().splitlines()) == 24
    command = ["wer", "run", "--data", test, "--output", "shared.jsonl", "--batch-size", "7", "--device", "cpu"]
    said = runs.run_group(tmp_path, *command)
    assert said.count("24 texts in shared.jsonl") == said.count("word_error_rate\t") == 1
    assert (tmp_path / "shared.jsonl").read_bytes() == output.read_bytes()
    log = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert any(name.endswith("word_error_rate") for name in log[-1])
    assert wer(str(result.model), "--data", test, "--beams", "4")["word_error_rate"] <= rates["word_error_rate"]


def test_an_interrupted_run_with_buckets_goes_on_exactly(tmp_path: Path) -> None:
    file = spec(tmp_path, "ctc", "speech_ctc", 12)
    whole = tp_core.train(load_spec(file), run=tmp_path / "whole")
    half = tp_core.train(load_spec(file), run=tmp_path / "half")
    for made in ("model", "checkpoints/step_000012"):
        shutil.rmtree(half.run / made)
    resumed = tp_core.train(load_spec(file), run=tmp_path / "half", resume=True)
    weights = [(each.run / "model" / "model.safetensors").read_bytes() for each in (whole, resumed)]
    assert weights[0] == weights[1]
    with pytest.raises(TPError, match=r"data.bucket \(was 4, is 2\)"):
        tp_core.train(load_spec(file, ["data.bucket=2"]), run=tmp_path / "half", resume=True)


def test_an_evaluation_of_speech_to_text_measures_the_texts_that_it_generates(tmp_path: Path) -> None:
    rates = ["word_error_rate", "character_error_rate"]
    options = [
        f"data.processor.speech_text.metrics={json.dumps(rates)}",
        "data.processor.speech_text.target_max_length=6",
    ]
    result = tp_core.train(load_spec(spec(tmp_path, "lm", "speech_text", 4), options), run=tmp_path / "run")
    assert result.model is not None
    logged = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    expected = wer(str(result.model), "--data", str(tmp_path / "test" / "manifest.tsv"), "--max-new-tokens", "5")
    assert {name: logged[f"eval/{name}"] for name in rates} == pytest.approx({name: expected[name] for name in rates})


@pytest.mark.slow
def test_speech_to_text_learns_and_writes_texts(tmp_path: Path) -> None:
    result = tp_core.train(load_spec(spec(tmp_path, "lm", "speech_text", 200)), run=tmp_path / "run")
    assert result.model is not None
    test = str(tmp_path / "test" / "manifest.tsv")
    assert wer(str(result.model), "--data", test, "--max-new-tokens", "8")["word_error_rate"] < 0.2
    assert wer(str(result.model), "--data", test, "--max-new-tokens", "8", "--beams", "3")["word_error_rate"] < 0.2


def test_a_recording_without_its_text_is_counted_where_the_spec_skips_and_else_named(tmp_path: Path) -> None:
    test = tmp_path / "test" / "manifest.tsv"
    for policy in ("skip", "fatal"):
        file = spec(tmp_path, "ctc", "speech_ctc", 2)
        with test.open("a", encoding="utf-8") as rows:
            rows.write("0.wav\t \ngone.wav\tlow\n1.wav\tlow\tmore\n")
        options = [f"data.on_bad_record={policy}", "data.eval=null"]
        result = tp_core.train(load_spec(file, options), run=tmp_path / policy)
        output = tmp_path / f"{policy}.jsonl"
        if policy == "skip":
            wer(str(result.model), "--data", str(test), "--output", str(output))
            assert len(output.read_text().splitlines()) == 24
        else:
            with pytest.raises(TPError, match=r"manifest\.tsv:26: the text is empty"):
                wer(str(result.model), "--data", str(test))
