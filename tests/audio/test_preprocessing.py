"""The preprocessing of recordings is converted with a model: the values are those of transformers' extractors."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml
from numpy.typing import NDArray

import tp_core
from tests.audio.test_speech_to_text import make
from tests.audio.tones import tone, vocabulary
from tests.audio.waveforms import GROUP, QUANTISER, reference
from tests.building import worst
from tp_core import Record, load_model, load_spec
from tp_core.artifacts.export import export_model
from tp_core.data.build import tokenizers_of
from tp_core.interfaces.tokenizer import TransformersUse
from tp_core.options.context import DataContext
from tp_text.tokenizers.line_vocabulary_options import SpaceConfig

transformers = pytest.importorskip("transformers")
transformers.logging.set_verbosity_error()

TOLERANCE = 1e-5
#: Recordings: a few words, one frame alone, one with a silent half.
SOUNDS = [tone("low high top", 16000), tone("low", 16000)[:400], np.append(tone("high", 16000), np.zeros(3000, "f4"))]

BANKS: dict[str, Any] = {"num_mel_bins": 12}
SPEECH = {
    "hidden_size": 16,
    "norm": {"layernorm": {"eps": 1e-5}},
    "embedding": {
        "modules": [
            {"speech": {**BANKS, "kernel_sizes": [5, 5], "strides": [2, 2], "channels": 20, "mask_padding": False}},
            {"sinusoidal": {"layout": "halves", "frequencies": "tensor2tensor", "offset": 2}},
        ],
        "norm": "none",
    },
    "encoder": {"transformer": {"num_layers": 1, "num_heads": 2, "norm_position": "pre"}},
    "target_embedding": {
        "modules": ["word", {"sinusoidal": {"layout": "halves", "frequencies": "tensor2tensor", "offset": 2}}],
        "norm": "none",
    },
    "decoder": {"transformer": {"num_layers": 1, "num_heads": 2, "norm_position": "pre"}},
    "target": ["lm"],
}
WAVES = {
    "hidden_size": 24,
    "norm": {"layernorm": {"eps": 1e-5}},
    "embedding": {
        "modules": [
            {"waveform": {"channels": [8, 8], "kernels": [10, 3], "strides": [5, 2], "mask_padding": False}},
            {"conv_pos": {"kernel_size": 6, "groups": 2}},
        ]
    },
    "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}},
}


def wav(samples: NDArray[Any], rate: int = 16000) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format="WAV", subtype="FLOAT")
    return stream.getvalue()


def trained(folder: Path, model: dict[str, Any], processor: dict[str, Any]) -> Path:
    """A small model of ours, exported."""
    tokenizer = {"space": {"vocab": str(vocabulary(folder)), "eos_token": "[EOS]"}}
    tree = {"tp": 1, "model": model, "data": {"tokenizer": tokenizer, "processor": processor}}
    (folder / "mine.yaml").write_text(yaml.dump(tree, sort_keys=False))
    spec = load_spec(folder / "mine.yaml")
    return export_model(spec, tp_core.build_model(spec).weights(), tokenizers_of(spec), folder / "model")


def to_huggingface(folder: Path, source: Path, model_type: str) -> tuple[Path, list[str]]:
    said: list[str] = []
    written = tp_core.convert("tp", source, "huggingface", folder / "theirs", model_type=model_type, say=said.append)
    return written, said


def to_tp(folder: Path, source: Path) -> tuple[Path, list[str]]:
    said: list[str] = []
    return tp_core.convert("huggingface", source, "tp", folder / "ours", say=said.append), said


def gap(ours: Path, theirs: Path, name: str, rate: int = 16000) -> float:
    """The largest difference between our values and those of transformers, over all recordings."""
    made, extractor = load_model(ours, "cpu").processor, transformers.AutoFeatureExtractor.from_pretrained(theirs)
    assert made is not None
    gaps = []
    for samples in SOUNDS:
        (sample,) = made.encode([Record({"audio": wav(samples, rate)}, "x", 1)])
        found = extractor(samples.astype(np.float32), sampling_rate=rate, return_tensors="np")
        gaps.append(worst(torch.from_numpy(sample[name]), torch.from_numpy(np.asarray(found[name][0]))))
    return max(gaps)


# -- filter banks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"normalize": "mean"}, {"normalize": "none"}, {"sampling_rate": 22050}])
def test_transformers_makes_our_filter_banks(tmp_path: Path, options: dict[str, Any]) -> None:
    model = trained(tmp_path, SPEECH, {"speech_text": {**BANKS, **options}})
    folder, said = to_huggingface(tmp_path, model, "speech_to_text")
    assert not any("preprocessor" in note for note in said)
    sounds = [0, 2] if options.get("normalize", "mean_variance") == "mean_variance" else [0, 1, 2]
    rate = options.get("sampling_rate", 16000)
    made, extractor = load_model(model, "cpu").processor, transformers.AutoFeatureExtractor.from_pretrained(folder)
    assert made is not None
    for number in sounds:  # the variance of one frame alone is 0, by which transformers divides
        samples = SOUNDS[number] if rate == 16000 else np.append(SOUNDS[number], np.zeros(600, "f4"))
        (sample,) = made.encode([Record({"audio": wav(samples, rate)}, "x", 1)])
        found = extractor(samples.astype(np.float32), sampling_rate=rate, return_tensors="np")["input_features"][0]
        assert worst(torch.from_numpy(sample["input_features"]), torch.from_numpy(np.asarray(found))) < TOLERANCE


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"normalize": "level"}, "cannot normalise all bins together (normalize: level)"),
        ({"frame_length": 20.0}, "only supports frame_length 25, but the processor has 20"),
        ({"low_frequency": 60.0, "frame_shift": 5.0}, "only supports low_frequency 20"),
        ({"high_frequency": 7000.0}, "only supports half the sampling rate as high_frequency"),
    ],
)
def test_filter_banks_that_are_none_of_transformers_are_said_and_not_written(
    tmp_path: Path, options: dict[str, Any], says: str
) -> None:
    model = trained(tmp_path, SPEECH, {"speech_text": {**BANKS, **options}})
    folder, said = to_huggingface(tmp_path, model, "speech_to_text")
    (note,) = [note for note in said if "preprocessor" in note]
    assert note.startswith("preprocessor_config.json is not written: ")
    assert says in note
    assert not (folder / "preprocessor_config.json").exists()


def speech_checkpoint(folder: Path, content: Any) -> Path:
    """A Speech2Text of transformers with a tokenizer and a preprocessor_config.json."""
    make("Speech2TextForConditionalGeneration", 16, 2, 1, {"vocab_size": 7}).save_pretrained(folder / "first")
    tokenizer = SpaceConfig(vocab=str(vocabulary(folder)), eos_token="[EOS]").build(DataContext())
    assert tokenizer.to_huggingface(folder / "first", TransformersUse())
    if content is not None:
        (folder / "first" / "preprocessor_config.json").write_text(json.dumps(content))
    return folder / "first"


KIND = {"feature_extractor_type": "Speech2TextFeatureExtractor"}


@pytest.mark.parametrize(
    ("content", "normalize", "notes"),
    [
        ({}, "mean_variance", []),
        ({"normalize_vars": False}, "mean", []),
        ({"do_ceptral_normalize": False}, "none", []),
        ({"normalize_vars": False, "normalize_means": False}, "none", []),
        ({"normalize_means": False}, "mean_variance", ["normalises only the variance"]),
        ({"dither": 1.0}, "mean_variance", ["adds random noise"]),
    ],
)
def test_the_settings_of_filter_banks_are_read(
    tmp_path: Path, content: dict[str, Any], normalize: str, notes: list[str]
) -> None:
    source = speech_checkpoint(tmp_path, {**KIND, "num_mel_bins": 12, "feature_size": 12, **content})
    folder, said = to_tp(tmp_path, source)
    chosen: Any = load_spec(folder / "spec.yaml").data.processor
    found = chosen.config
    assert (chosen.name, found.num_mel_bins, found.normalize) == ("speech_text", 12, normalize)
    about = [note for note in said if "preprocessor" in note]
    assert len(about) == len(notes)
    assert all(expected in note for expected, note in zip(notes, about))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (KIND, "num_mel_bins: is 80, but the embedding 'speech' has 12"),
        ({"feature_extractor_type": "WhisperFeatureExtractor"}, "expected Speech2TextFeatureExtractor"),
        ({**KIND, "num_mel_bins": "many"}, "'num_mel_bins' is \"many\"; expected a whole number"),
        ({**KIND, "num_mel_bins": 12, "normalize_means": None}, "'normalize_means' is null; expected true or false"),
    ],
)
def test_settings_that_cannot_be_used_are_said_and_left(tmp_path: Path, content: Any, says: str) -> None:
    folder, said = to_tp(tmp_path, speech_checkpoint(tmp_path, content))
    (note,) = [note for note in said if "preprocessor" in note]
    assert note.startswith("preprocessor_config.json is not read: ")
    assert says in note
    assert (folder / "model.safetensors").is_file()


# -- waveforms ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["wav2vec2", "waveform_ctc"])
@pytest.mark.parametrize("normalize", [True, False])
def test_transformers_makes_our_waveforms(tmp_path: Path, name: str, normalize: bool) -> None:
    target = {"wav2vec2": {"latent_size": 8}} if name == "wav2vec2" else "ctc"
    model = trained(tmp_path, {**WAVES, "target": [target]}, {name: {"normalize": normalize}})
    folder, said = to_huggingface(tmp_path, model, "wav2vec2")
    assert not any("preprocessor" in note for note in said)
    assert gap(model, folder, "input_values") < TOLERANCE


@pytest.mark.parametrize(
    ("cls", "more"), [("Wav2Vec2ForPreTraining", QUANTISER), ("Wav2Vec2Model", {}), ("HubertModel", {})]
)
@pytest.mark.parametrize("normalize", [True, False])
def test_the_settings_of_waveforms_are_read(tmp_path: Path, cls: str, more: dict[str, Any], normalize: bool) -> None:
    theirs = reference(cls, **{**GROUP, **more})
    theirs.save_pretrained(tmp_path / "first")
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=normalize, sampling_rate=8000)
    extractor.save_pretrained(tmp_path / "first")
    folder, said = to_tp(tmp_path, tmp_path / "first")
    assert not any("preprocessor" in note for note in said)
    chosen: Any = load_spec(folder / "spec.yaml").data.processor
    assert (chosen.config.sampling_rate, chosen.config.normalize) == (8000, normalize)
    assert gap(folder, tmp_path / "first", "input_values", 8000) < TOLERANCE


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    reference("HubertModel", **GROUP).save_pretrained(tmp_path / "first")
    _, said = to_tp(tmp_path, tmp_path / "first")
    assert said[0].startswith(
        "there is no preprocessor_config.json; data.processor.waveform_cls has tp's default options"
    )
