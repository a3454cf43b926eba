"""Pictures of recordings with what was said and what a model hears."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.audio.tones import RATE, recordings, vocabulary
from tp_audio.hooks.spectrogram import Heard, load_font, shaded, spectrograms
from tp_audio.recognition import recognised
from tp_core import TPError, load_spec, train
from tp_core.artifacts.load import load_model
from tp_core.cli.records import input_records
from tp_core.hookspecs import hook_manager, run_checks
from tp_core.spec.sections.generate import GenerateOptions

SPEECH = {"speech": {"num_mel_bins": 20, "channels": 16, "kernel_sizes": [5, 3]}}
LAYERS = {"num_layers": 1, "num_heads": 2, "feed_forward_size": 16}
FEATURES = {"sampling_rate": RATE, "num_mel_bins": 20}
WAVES = {"waveform": {"channels": [8, 8], "kernels": [100, 4], "strides": [80, 2]}}
CTC = {"encoder": {"transformer": LAYERS}, "target": ["ctc"]}
#: A decoder; target ctc behind filter banks; the same behind raw waveforms: model and processor.
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "decoder": (
        {
            "embedding": [SPEECH, "sinusoidal"],
            "encoder": {"transformer": LAYERS},
            "target_embedding": ["word", {"pos": {"max_length": 6}}],
            "decoder": {"transformer": LAYERS},
            "target": ["lm"],
        },
        {"speech_text": {**FEATURES, "target_max_length": 6}},
    ),
    "ctc": ({"embedding": [SPEECH], **CTC}, {"speech_ctc": FEATURES}),
    "waveform": ({"embedding": [WAVES], **CTC}, {"waveform_ctc": {"sampling_rate": RATE}}),
}
RED = (208, 24, 60)


def spec_of(folder: Path, kind: str, hook: dict[str, Any], **changes: Any) -> Path:
    recordings(folder / "speech", 8)
    vocabulary(folder)
    model, processor = KINDS[kind]
    data = {
        "tokenizer": {"space": {"vocab": "words.txt", "eos_token": "[EOS]"}},
        "processor": processor,
        "train": "speech/manifest.tsv",
        "eval": "speech/manifest.tsv",
        "cache": "cache",
    }
    spec = {
        "tp": 1,
        "name": "small",
        "model": {"hidden_size": 16, **model, **changes.get("model", {})},
        "data": {k: v for k, v in (data | changes.get("data", {})).items() if v is not None},
        "train": {
            "steps": 6,
            "eval_every": 3,
            "batch_size": 4,
            "workers": 0,
            "device": "cpu",
            # A decoder soon writes something; with ctc, the first thing that a model learns is to write nothing.
            "optimizer": {"adamw": {"lr": 0.02 if kind == "decoder" else 1e-4}},
            "hooks": [{"transcripts": hook}],
        },
    }
    file = folder / "small.yaml"
    file.write_text(yaml.safe_dump(spec, sort_keys=False))
    return file


def on_the_board(run: Path) -> tuple[list[str], list[str]]:
    """The texts that were said and those that were heard at the last evaluation, from TensorBoard's file."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    assert events.Tags()["images"] == ["transcripts"]
    (text,) = events.Tensors("transcripts/text_summary")[-1].tensor_proto.string_val
    lines = [line.removeprefix("    ") for line in text.decode().split("\n") if line]
    return lines[::2], lines[1::2]


@pytest.mark.parametrize("kind", list(KINDS))
def test_each_evaluation_shows_recordings_with_what_the_trained_model_then_recognises(
    tmp_path: Path, kind: str
) -> None:
    run = tmp_path / "run"
    train(load_spec(spec_of(tmp_path, kind, {"count": 4})), run)
    folder = run / "transcripts"
    assert sorted(file.name for file in folder.iterdir()) == ["step_00000003.png", "step_00000006.png"]
    said, heard = on_the_board(run)
    records = list(input_records(str(tmp_path / "speech" / "manifest.tsv"), {}))[::2]
    assert said == [record.value["text"] for record in records]
    found = [each["text"] for each in recognised(load_model(run, "cpu"), records, max_new_tokens=128)]
    assert [line.strip() for line in heard] == found
    assert any(found), "nothing was recognised, which proves nothing"
    assert Image.open(folder / "step_00000006.png").height > 4 * 160


@pytest.mark.parametrize(("kind", "beams"), [("decoder", 1), ("ctc", 1), ("ctc", 3)])
def test_a_model_that_is_being_trained_recognises_the_same_and_is_left_so(
    tmp_path: Path, kind: str, beams: int
) -> None:
    train(load_spec(spec_of(tmp_path, kind, {"count": 4})), tmp_path / "run")
    records = list(input_records(str(tmp_path / "speech" / "manifest.tsv"), {}))
    made = load_model(tmp_path / "run", "cpu")
    expected = recognised(made, records, beams=beams, max_new_tokens=3)
    assert any(each["text"] for each in expected)
    made.model.train()
    assert recognised(made, records, beams=beams, max_new_tokens=3) == expected
    assert all(module.training for module in made.model.modules())


def test_texts_are_recognised_as_the_spec_says(tmp_path: Path) -> None:
    train(load_spec(spec_of(tmp_path, "decoder", {"count": 4})), tmp_path / "run")
    records = list(input_records(str(tmp_path / "speech" / "manifest.tsv"), {}))
    made = load_model(tmp_path / "run", "cpu")
    explicit = recognised(made, records, beams=2, max_new_tokens=3)
    assert explicit != recognised(made, records)
    usual = GenerateOptions(beams=2, max_new_tokens=3)
    made.spec = replace(made.spec, inference=replace(made.spec.inference, generate=usual))
    assert recognised(made, records) == explicit


def test_training_is_the_same_with_and_without_pictures(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, "decoder", {"max_new_tokens": 3})
    train(load_spec(spec), tmp_path / "with")
    train(load_spec(spec, ["train.hooks=[]"]), tmp_path / "without")
    first, second = (tmp_path / name / "model" / "model.safetensors" for name in ("with", "without"))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("kind", "hook", "changes", "message"),
    [
        ("ctc", {}, {"data": {"eval": None}}, "needs data.eval"),
        ("ctc", {"font": "words.txt"}, {}, "words.txt is not a font file"),
        (
            "waveform",
            {},
            {
                "model": {"encoder": {"transformer": LAYERS}, "target": [{"wav2vec2": {"latent_size": 8}}]},
                "data": {"tokenizer": None, "processor": {"wav2vec2": {"sampling_rate": RATE}}},
            },
            "needs the target ctc or a decoder, and one of the processors speech_ctc",
        ),
    ],
)
def test_a_spec_without_anything_to_show_is_refused(
    tmp_path: Path, kind: str, hook: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    spec = load_spec(spec_of(tmp_path, kind, hook, **changes))
    hooks = hook_manager((each.name, each.config.build()) for each in spec.train.hooks)
    with pytest.raises(TPError, match=message):
        run_checks(hooks, spec)


# -- the picture -----------------------------------------------------------------------------------------------

FRAMES = np.log(np.random.default_rng(0).random((120, 20), dtype=np.float32) + 1e-3)


def red(heard: Heard) -> int:
    picture = np.asarray(spectrograms([heard], 0.01, "step 1"))
    return int((picture == RED).all(axis=-1).sum())


def test_words_that_were_missed_or_not_said_are_red() -> None:
    assert red(Heard(FRAMES, "one two three", "one two three")) == 0
    missed = red(Heard(FRAMES, "one two three", "one three"))
    assert 0 < missed < red(Heard(FRAMES, "one two three", "one four three"))
    assert red(Heard(FRAMES, "one", "one four")) > 0


def test_the_loudest_is_the_lightest_and_low_frequencies_are_at_the_bottom() -> None:
    frames = np.full((3, 4), -20.0, dtype=np.float32)
    frames[1, 0] = 5.0
    pixels = np.asarray(shaded(frames)).sum(axis=-1)
    assert pixels.shape == (4, 3)
    assert np.unravel_index(pixels.argmax(), pixels.shape) == (3, 1)
    assert len(set(np.delete(pixels.ravel(), 10))) == 1


@pytest.mark.parametrize("text", ["", "word " * 200, "x" * 500])
def test_any_text_is_kept_within_the_picture(text: str) -> None:
    short = spectrograms([Heard(FRAMES, "a", "a")], 0.01, "step 1")
    picture = spectrograms([Heard(FRAMES, text, text), Heard(FRAMES[:1], "a", "")], 0.01, "step 1")
    assert picture.width == short.width
    edge = np.asarray(picture)[:, -15:]
    assert (edge == 255).all()
    lines = load_font(None, 15).getlength(text.strip()) / (picture.width - 96)
    assert picture.height >= 2 * lines * 22


def test_long_recordings_are_drawn_to_a_width() -> None:
    frames = np.repeat(FRAMES, 50, axis=0)
    assert spectrograms([Heard(frames, "a", "a")], 0.01, "step 1").width < 1200
