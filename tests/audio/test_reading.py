"""Recordings are read as samples of one channel at one rate, and each that cannot be is named."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torchaudio.functional import resample

from tests.audio.tones import RATE, record, tone
from tp_audio.audio.reading import Reading, read_samples
from tp_core.errors import DataError

SAMPLES = tone("low high")


def encoded(samples: np.ndarray = SAMPLES, rate: int = RATE, form: str = "WAV", subtype: str | None = None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, subtype=subtype)
    return file.getvalue()


def read(data: object, **how: bool) -> np.ndarray:
    return read_samples(record(Path("list.tsv"), audio=data), Reading(RATE, **how))


def refused(data: object, **how: bool) -> str:
    with pytest.raises(DataError) as error:
        read(data, **how)
    return str(error.value)


@pytest.mark.parametrize(("form", "subtype"), [("WAV", "PCM_16"), ("FLAC", None), ("WAV", "PCM_24"), ("WAV", "FLOAT")])
def test_forms_without_loss_give_back_the_samples(form: str, subtype: str | None) -> None:
    assert np.abs(read(encoded(form=form, subtype=subtype)) - SAMPLES).max() < 1 / 32768


def test_ogg_gives_about_the_samples() -> None:
    found = read(encoded(form="OGG"))
    assert found.dtype == np.float32
    assert np.corrcoef(found, SAMPLES)[0, 1] > 0.9


def test_a_field_is_bytes_a_path_beside_the_manifest_or_both(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(encoded())
    manifest = tmp_path / "list.tsv"
    values = ["a.wav", str(tmp_path / "a.wav"), encoded(), {"bytes": encoded(), "path": "gone.wav"}, {"path": "a.wav"}]
    each = [read_samples(record(manifest, audio=value), Reading(RATE)) for value in values]
    assert all(np.array_equal(each[0], other) for other in each)


def test_another_rate_is_resampled_as_torchaudio_does_or_refused() -> None:
    data = encoded(rate=2 * RATE, subtype="FLOAT")
    assert np.array_equal(read(data), resample(torch.from_numpy(SAMPLES), 2 * RATE, RATE).numpy())
    assert refused(data, resample=False) == (
        "list.tsv:7: the recording has 16000 samples per second, expected 8000 (resample: true resamples)"
    )


def test_channels_are_averaged_or_refused() -> None:
    data = encoded(np.stack([SAMPLES, 0 * SAMPLES], axis=1), subtype="FLOAT")
    assert np.allclose(read(data), SAMPLES / 2)
    assert "has 2 channels, expected one (mix_channels: true averages them)" in refused(data, mix=False)


def test_a_truncated_recording_is_named(tmp_path: Path) -> None:
    (tmp_path / "cut.wav").write_bytes(encoded()[:-101])
    with pytest.raises(DataError) as error:
        read_samples(record(tmp_path / "list.tsv", audio="cut.wav"), Reading(RATE))
    place, _, message = str(error.value).partition(": ")
    assert place == f"{tmp_path}/list.tsv:7"
    assert message == "the recording 'cut.wav' is truncated: 101 bytes are missing at the end"
    flac = encoded(form="FLAC")
    assert "truncated" in refused(flac[: len(flac) // 2]) or "decoded" in refused(flac[: len(flac) // 2])


def test_a_stream_that_does_not_know_its_length_is_read_to_its_end() -> None:
    data = bytearray(encoded(subtype="PCM_16"))
    place = data.index(b"data") + 4
    data[place : place + 4] = struct.pack("<I", 0xFFFFFFFF)
    assert len(read(bytes(data))) == len(SAMPLES)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (encoded(SAMPLES[:0]), "the recording has no samples"),
        (b"RIFF is not enough", "the recording cannot be decoded: "),
        (encoded()[:30], "the recording cannot be decoded: "),
        (b"", "the audio is empty"),
        (encoded(np.array([0.5, np.nan], np.float32), subtype="FLOAT"), "has samples that are not finite numbers"),
    ],
    ids=["no samples", "no recording", "half a header", "no bytes", "not finite"],
)
def test_what_is_no_recording_is_refused_with_its_row(data: bytes, message: str) -> None:
    found = refused(data)
    assert found.startswith("list.tsv:7: ")
    assert message in found


def test_a_file_that_is_missing_is_named_with_its_row_and_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "one.wav").write_bytes(encoded())
    with pytest.raises(DataError) as error:
        read_samples(record(tmp_path / "list.tsv", audio="ona.wav"), Reading(RATE))
    assert f"{tmp_path}/list.tsv:7: audio 'ona.wav' cannot be read: No such file" in str(error.value)
    assert "one.wav" in str(error.value)
