"""Recordings are read as samples of one channel at one rate, and each that cannot be is named."""

from __future__ import annotations

import io
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torchaudio.functional import resample

from tests.audio.tones import RATE, record, tone
from tp_audio.audio import reading
from tp_audio.audio.reading import Reading, read_samples, resampled
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


def test_an_odd_rate_is_resampled_without_a_filter_of_gigabytes_and_an_absurd_one_refused() -> None:
    odd = 44101
    second = np.sin(2 * np.pi * 440 * np.arange(odd) / odd).astype(np.float32)
    found = resampled(second, odd, 16000)
    expected = np.sin(2 * np.pi * 440 * np.arange(len(found)) / 16000)
    assert abs(len(found) - 16000) <= 1
    assert np.abs(found - expected)[100:-100].max() < 0.01
    assert len(resampled(second[:16001], 16001, 44100)) == pytest.approx(44100, abs=3)
    assert "has 1 samples per second, too far from 8000 to be resampled" in refused(encoded(rate=1))


def test_samples_of_another_scale_are_refused_and_not_cut_off() -> None:
    loud = encoded(SAMPLES / np.abs(SAMPLES).max() * 20000, subtype="FLOAT")
    assert "has samples as large as 20,000; floating-point samples must be between -1 and 1" in refused(loud)
    assert np.abs(read(encoded(SAMPLES * 1.5, subtype="FLOAT")) - SAMPLES * 1.5).max() < 1e-6


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


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_damage_to_an_ogg_stream_is_named_though_libsndfile_reads_on(subtype: str) -> None:
    samples = np.tile(SAMPLES, 20)
    whole = encoded(samples, form="OGG", subtype=subtype)
    assert len(read(whole)) == len(samples)
    assert len(read(whole + b"TAG of an old player")) == len(samples)
    pages = [place for place in range(len(whole)) if whole[place : place + 4] == b"OggS"]
    assert len(pages) > 3
    last = pages[-1]
    flipped = bytearray(whole)
    flipped[(pages[2] + pages[3]) // 2] ^= 1
    for damaged, message in (
        (whole[: last - 7], "is truncated: its last Ogg page is cut"),
        (whole[: last + 20], "is truncated: its last Ogg page is cut"),
        (whole[:last], "is truncated: its last Ogg page is missing"),
        (bytes(flipped), f"is damaged: the checksum of the Ogg page at byte {pages[2]:,} is wrong"),
        (whole[: last - 7] + whole[last:], "is damaged: "),
    ):
        assert message in refused(damaged)


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


def test_a_long_recording_waits_for_another_thread_that_reads_one(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[bool] = []

    def resample(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
        def try_turn() -> None:
            free = reading._memory._lock.acquire(blocking=False)
            held.append(not free)
            if free:
                reading._memory._lock.release()

        other = threading.Thread(target=try_turn)
        other.start()
        other.join()
        return resampled(samples, rate, wanted)

    monkeypatch.setattr(reading, "resampled", resample)
    data = encoded(rate=2 * RATE)
    expected = read(data)
    monkeypatch.setattr(reading, "_LARGE", len(SAMPLES) - 1)
    assert np.array_equal(read(data), expected)
    refused(encoded(rate=2 * RATE, subtype="FLOAT", samples=100 * SAMPLES))
    assert np.array_equal(read(data), expected)
    assert held == [False, True, True]
