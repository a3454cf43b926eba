"""Conversion between the options of speech processors and transformers' feature extractors. Torch-free."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tp_core.errors import TPError
from tp_core.options.base import Preprocessing

if TYPE_CHECKING:
    from tp_audio.processors.speech_options import SpeechProcessorConfig
    from tp_audio.processors.waveform_options import WaveformProcessorConfig

_FILTER_BANKS, _WAVEFORMS = "Speech2TextFeatureExtractor", "Wav2Vec2FeatureExtractor"

#: Filter bank options without a key in Speech2TextFeatureExtractor → their fixed values there.
_FIXED = {"frame_length": 25.0, "frame_shift": 10.0, "low_frequency": 20.0}


# -- filter banks ------------------------------------------------------------------------------------------------


def written_filter_banks(config: SpeechProcessorConfig) -> Preprocessing:
    """A preprocessor_config.json for Speech2Text's feature extractor."""
    reasons = [
        f"{_FILTER_BANKS} only supports {name} {usual:g}, but the processor has {getattr(config, name):g}"
        for name, usual in _FIXED.items()
        if getattr(config, name) != usual
    ]
    if config.high_frequency not in (0.0, config.sampling_rate / 2):
        reasons.append(f"{_FILTER_BANKS} only supports half the sampling rate as high_frequency")
    if config.normalize == "level":
        reasons.append(f"{_FILTER_BANKS} cannot normalise all bins together (normalize: level)")
    if reasons:
        return Preprocessing(None, tuple(reasons))
    content = {
        "feature_extractor_type": _FILTER_BANKS,
        "feature_size": config.num_mel_bins,
        "num_mel_bins": config.num_mel_bins,
        "sampling_rate": config.sampling_rate,
        "padding_side": "right",
        "padding_value": 0.0,
        "dither": 0.0,
        "do_ceptral_normalize": config.normalize != "none",
        "normalize_means": config.normalize != "none",
        "normalize_vars": config.normalize == "mean_variance",
        "return_attention_mask": True,
    }
    return Preprocessing(content)


def read_filter_banks(config: SpeechProcessorConfig, content: Mapping[str, Any]) -> Preprocessing:
    """The processor options that correspond to a preprocessor_config.json.

    Raises:
        TPError: the file is for another class, or has an invalid value.
    """
    _check_class(content, _FILTER_BANKS)
    notes = []
    if content.get("dither"):
        notes.append("adds random noise (dither), which tp does not support")
    normalized = _flag(content, "do_ceptral_normalize", True)
    means, variances = (_flag(content, key, True) and normalized for key in ("normalize_means", "normalize_vars"))
    if variances and not means:
        notes.append("normalises only the variance; tp normalises the mean as well (normalize: mean_variance)")
    options = {
        "num_mel_bins": _whole(content, "num_mel_bins", 80),
        "sampling_rate": _whole(content, "sampling_rate", 16000),
        "normalize": "mean_variance" if variances else ("mean" if means else "none"),
        **_FIXED,
        "high_frequency": 0.0,
    }
    return Preprocessing(options, tuple(notes))


# -- waveforms ---------------------------------------------------------------------------------------------------


def written_waveforms(config: WaveformProcessorConfig) -> Preprocessing:
    """A preprocessor_config.json for wav2vec 2.0's feature extractor."""
    content = {
        "feature_extractor_type": _WAVEFORMS,
        "feature_size": 1,
        "sampling_rate": config.sampling_rate,
        "padding_side": "right",
        "padding_value": 0.0,
        "do_normalize": config.normalize,
        "return_attention_mask": config.attention_mask,
    }
    return Preprocessing(content)


def read_waveforms(config: WaveformProcessorConfig, content: Mapping[str, Any]) -> Preprocessing:
    """The processor options that correspond to a preprocessor_config.json.

    Raises:
        TPError: the file is for another class, or has an invalid value.
    """
    _check_class(content, _WAVEFORMS)
    rate = _whole(content, "sampling_rate", 16000)
    flags = {"normalize": ("do_normalize", True), "attention_mask": ("return_attention_mask", False)}
    found = {option: _flag(content, key, default) for option, (key, default) in flags.items()}
    return Preprocessing({"sampling_rate": rate, **found})


# -- values ------------------------------------------------------------------------------------------------------


def _check_class(content: Mapping[str, Any], expected: str) -> None:
    name = content.get("feature_extractor_type", expected)
    if name != expected:
        raise TPError(f"'feature_extractor_type' is {json.dumps(name)}; expected {expected}")


def _flag(content: Mapping[str, Any], key: str, default: bool) -> bool:
    value = content.get(key, default)
    if not isinstance(value, bool):
        raise TPError(f"'{key}' is {json.dumps(value)}; expected true or false")
    return value


def _whole(content: Mapping[str, Any], key: str, default: int) -> int:
    value = content.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise TPError(f"'{key}' is {json.dumps(value)}; expected a whole number")
    return value
