"""Filter banks, normalisation and what training does to them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.audio.tones import tone
from tp_audio.audio.augment import Masks, at_speed
from tp_audio.audio.features import filter_banks, normalised
from tp_core.data.sampling.order import TRAIN, generator

RATE = 16000
SAMPLES = tone("low top middle", RATE)


def reference(samples: np.ndarray, rate: int, bins: int) -> np.ndarray:
    """Kaldi's filter banks in float64, from their definition."""
    window, shift = int(0.025 * rate), int(0.01 * rate)
    size = 1 << (window - 1).bit_length()
    x = samples.astype(np.float64) * 32768
    frames = np.stack([x[i : i + window] for i in range(0, len(x) - window + 1, shift)])
    frames -= frames.mean(axis=1, keepdims=True)
    frames -= 0.97 * np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    povey = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / (window - 1))) ** 0.85
    power = np.abs(np.fft.rfft(frames * povey, size)) ** 2
    mel = lambda f: 1127 * np.log(1 + np.asarray(f) / 700)  # noqa: E731
    edges = np.linspace(mel(20.0), mel(rate / 2), bins + 2)
    place = mel(np.arange(size // 2) * rate / size)[None]
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    banks = np.clip(np.minimum((place - left) / (centre - left), (right - place) / (right - centre)), 0, None)
    return np.log(np.maximum(power[:, : size // 2] @ banks.T, np.finfo(np.float32).eps))


@pytest.mark.parametrize(("rate", "bins"), [(16000, 80), (8000, 40), (22050, 23)])
def test_filter_banks_are_those_of_kaldi(rate: int, bins: int) -> None:
    samples = tone("low top", rate)
    found = filter_banks(samples, rate, bins)
    assert found.dtype == np.float32
    expected = reference(samples, rate, bins)
    # Logarithms of squares: an amplitude is as exact as sums in float32 make the loudest of its frame.
    loudest = expected.max(axis=1, keepdims=True)
    assert (np.abs(found - expected) < 2e-5 + 1e-6 * np.exp((loudest - expected) / 2)).all()


def test_features_are_those_of_transformers() -> None:
    transformers: Any = pytest.importorskip("transformers")
    extractor = transformers.Speech2TextFeatureExtractor()
    others = [SAMPLES, SAMPLES[:5000]]
    theirs = extractor(others, sampling_rate=RATE, padding=True, return_tensors="np")
    for row, samples, mask in zip(theirs["input_features"], others, theirs["attention_mask"]):
        ours = normalised(filter_banks(samples, RATE), "mean_variance")
        assert len(ours) == mask.sum()
        assert np.abs(row[: len(ours)] - ours).max() < 1e-5
        assert not row[len(ours) :].any()


def test_normalised_frames_have_mean_0_and_variance_1_and_silence_stays_finite() -> None:
    frames = filter_banks(SAMPLES, RATE)
    both = normalised(frames, "mean_variance")
    assert np.abs(both.mean(axis=0)).max() < 1e-4
    assert np.abs(both.std(axis=0) - 1).max() < 1e-4
    assert np.array_equal(normalised(frames, "none"), frames)
    assert np.abs(normalised(frames, "mean") - (frames - frames.mean(axis=0))).max() < 1e-5
    level = normalised(frames, "level")
    assert np.allclose(level, (frames - frames.mean()) / frames.std(), atol=1e-5)
    silence = normalised(filter_banks(np.zeros(8000, np.float32), RATE), "mean_variance")
    assert np.abs(silence).max() < 0.1


def draw(epoch: int) -> np.random.Generator:
    return generator(1, TRAIN, epoch, 5)


def test_masks_are_a_function_of_the_generator_and_within_their_limits() -> None:
    frames = np.random.default_rng(0).normal(size=(200, 40)).astype(np.float32) + 3
    masks = Masks(2, 30, 0.1, 2, 8)
    first, again, other = masks(frames, draw(0)), masks(frames, draw(0)), masks(frames, draw(1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    for epoch in range(50):
        hidden = masks(frames, draw(epoch)) == frames.mean()
        assert hidden.all(axis=1).sum() <= 2 * 20  # a tenth of 200, which is less than 30
        assert hidden.all(axis=0).sum() <= 2 * 8
    assert Masks()(frames, draw(0)) is frames


def test_every_width_of_a_mask_is_drawn_and_none_above() -> None:
    frames = np.random.default_rng(0).normal(size=(6, 30)).astype(np.float32)
    masks = Masks(frequency_masks=1, frequency_mask_width=4)
    widths = [int((masks(frames, draw(epoch)) == frames.mean()).all(axis=0).sum()) for epoch in range(200)]
    assert set(widths) == {0, 1, 2, 3, 4}


def test_a_faster_recording_is_shorter_and_higher() -> None:
    samples = tone("middle", RATE, seconds=0.5)
    assert at_speed(samples, [1.0], draw(0)) is samples
    fast = at_speed(samples, [1.1], draw(0))
    assert abs(len(fast) - len(samples) / 1.1) < 2
    pitch = lambda x: np.fft.rfftfreq(len(x), 1 / RATE)[np.abs(np.fft.rfft(x)).argmax()]  # noqa: E731
    assert pitch(fast) / pitch(samples) == pytest.approx(1.1, rel=0.01)
    lengths = {len(at_speed(samples, [0.9, 1.0, 1.1], draw(epoch))) for epoch in range(20)}
    assert len(lengths) == 3
    state = torch.random.get_rng_state()
    at_speed(samples, [0.9, 1.1], draw(3))
    assert torch.equal(state, torch.random.get_rng_state())
