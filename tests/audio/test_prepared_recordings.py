"""Training hears the very samples that inference hears, which are those that are in the file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tests.audio.tones import refuse, tokenizer
from tp_audio.audio.exact import packed, unpacked
from tp_core.data.cache.rows import ArrowRows, write_rows
from tp_core.data.sampling.order import EVALUATION, generator
from tp_core.interfaces import Processor, Record
from tp_core.options.context import DataContext
from tp_core.testing.specs import config_class_of

RATE = 16000
LENGTH = 6000
OPTIONS: dict[str, dict[str, Any]] = {
    "speech_ctc": {"num_mel_bins": 20},
    "speech_text": {"num_mel_bins": 20},
    "speech_cls": {"num_mel_bins": 20},
    "waveform_ctc": {"mask_time_prob": 0.0, "mask_time_min_masks": 0},
    "waveform_cls": {"normalize": False},
    "wav2vec2": {"mask_time_length": 2},
    "units": {"mask_time_length": 2, "normalize": False},
}


def noise(seed: int = 0, channels: int = 1) -> NDArray[np.float64]:
    """A tone with noise, of which no sample is a multiple of a 16-bit step, between -1 and 1."""
    random = np.random.default_rng(seed)
    tones = 0.6 * np.sin(np.arange(LENGTH)[:, None] / 5 + np.arange(channels))
    return tones + 0.1 * random.uniform(-1, 1, (LENGTH, channels))


def encoded(samples: NDArray[Any], form: str, subtype: str, rate: int = RATE) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=form, subtype=subtype)
    return stream.getvalue()


def quiet(decibels: float) -> NDArray[np.float64]:
    """Noise whose level (of its mean square) is so many dB below full scale."""
    samples = noise()
    return samples * 10 ** (decibels / 20) / np.sqrt(np.square(samples).mean())


#: What is encoded, how, and the bytes that a sample is kept in.
FILES = {
    "16 bits, WAV": (noise(), "WAV", "PCM_16", 2),
    "16 bits, FLAC": (noise(), "FLAC", "PCM_16", 2),
    "16 bits, full scale": (np.array([[-1.0], [1.0]] * 3000), "WAV", "PCM_16", 2),
    "16 bits, quiet": (quiet(-85), "WAV", "PCM_16", 2),
    "8 bits": (noise(), "WAV", "PCM_U8", 2),
    "mu-law": (noise(), "WAV", "ULAW", 2),
    "24 bits, WAV": (noise(), "WAV", "PCM_24", 4),
    "24 bits, FLAC": (noise(), "FLAC", "PCM_24", 4),
    "floats": (noise(), "WAV", "FLOAT", 4),
    "floats above 1": (8 * noise(), "WAV", "FLOAT", 4),
    "floats, -95 dB": (quiet(-95), "WAV", "FLOAT", 4),
    "floats, -200 dB": (quiet(-200), "WAV", "FLOAT", 4),
    "floats of 16-bit steps": (np.rint(noise() * 32767) / 32768, "WAV", "FLOAT", 2),
    "floats of 16-bit steps, one of them 1": (np.append(np.zeros(5999), 1.0)[:, None], "WAV", "FLOAT", 4),
    "floats with a negative zero": (np.append(np.full(5999, 0.5), -0.0)[:, None], "WAV", "FLOAT", 4),
    "doubles": (noise(), "WAV", "DOUBLE", 4),
    "two channels": (noise(channels=2), "WAV", "PCM_16", 4),
    "OGG": (noise(), "OGG", "VORBIS", 4),
    "MP3": (noise(), "MP3", "MPEG_LAYER_III", 4),
}


def built(folder: Path, name: str, **options: Any) -> Any:
    config: Any = config_class_of("processor", name)(sampling_rate=RATE, **{**OPTIONS[name], **options})
    return config.build(DataContext(), tokenizer(folder))


def rows_of(processor: Processor, files: list[bytes], folder: Path) -> ArrowRows:
    records = [record(data) for data in files]
    assert write_rows(folder / "rows", processor.prepare(iter(records), refuse)) == len(files)
    return ArrowRows(folder / "rows")


def record(data: bytes) -> Record:
    return Record({"audio": data, "text": "low high", "label": 1, "units": [0] * 60}, "list.tsv", 2)


def same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


@pytest.mark.parametrize("name", FILES)
def test_rows_keep_the_samples_of_the_file_bit_for_bit(tmp_path: Path, name: str) -> None:
    samples, form, subtype, width = FILES[name]
    data = encoded(samples, form, subtype)
    exact, rate = soundfile.read(io.BytesIO(data), dtype="float64", always_2d=True)
    assert rate == RATE
    processor = built(tmp_path, "speech_ctc")
    rows = rows_of(processor, [data], tmp_path)
    found = processor.rows.stored(rows, 0)
    expected = exact[:, 0] if exact.shape[1] == 1 else exact.mean(axis=1)
    assert same(found, processor.rows.samples(record(data)))
    if form == "MP3":  # which libsndfile decodes in the precision that it is asked for
        np.testing.assert_allclose(found, expected, rtol=0, atol=2**-23)
    else:
        assert same(found, expected.astype(np.float32))
    assert rows.get("audio", 0).shape == (len(exact), width)


def test_each_recording_is_kept_in_its_own_way_and_lengths_are_of_samples(tmp_path: Path) -> None:
    files = [encoded(samples[: 5000 + 77 * n], form, kind) for n, (samples, form, kind, _) in enumerate(FILES.values())]
    processor = built(tmp_path, "speech_ctc")
    rows = rows_of(processor, files, tmp_path)
    heard = [processor.rows.samples(record(data)) for data in files]
    assert all(same(processor.rows.stored(rows, index), each) for index, each in enumerate(heard))
    assert rows.lengths("audio").tolist() == [len(each) for each in heard]
    assert [rows.get("audio", index).shape[1] for index in range(len(files))] == [each[3] for each in FILES.values()]


@pytest.mark.parametrize("name", OPTIONS)
def test_a_sample_for_training_is_the_one_for_inference(tmp_path: Path, name: str) -> None:
    processor = built(tmp_path, name)
    kinds = ["16 bits, WAV", "floats above 1", "floats, -95 dB", "two channels", "MP3", "doubles"]
    files = [encoded(samples, form, subtype) for samples, form, subtype, _ in map(FILES.__getitem__, kinds)]
    files.append(encoded(noise(), "WAV", "PCM_16", 11025))
    rows = rows_of(processor, files, tmp_path)
    given = processor.encode([record(data) for data in files])
    for index, expected in enumerate(given):
        sample = processor.evaluation_sample(rows, index, generator(0, EVALUATION, 0, index))
        for key, value in expected.items():
            assert same(sample[key], value)


def test_recordings_of_16_bits_take_two_bytes_a_sample_in_the_cache(tmp_path: Path) -> None:
    for width, subtype in ((2, "PCM_16"), (4, "FLOAT")):
        data = [encoded(noise(seed), "WAV", subtype) for seed in range(20)]
        path = rows_of(built(tmp_path, "wav2vec2"), data, tmp_path).path
        assert path.stat().st_size < width * LENGTH * 20 + 3000


def test_samples_come_back_from_any_place_in_memory() -> None:
    for samples in (noise().astype(np.float32)[:, 0], (np.arange(-100, 100) / 32768).astype(np.float32)):
        data = packed(samples)
        for shift in range(1, 4):
            room = np.zeros(data.size + shift, np.uint8)
            room[shift:] = data.reshape(-1)
            found = unpacked(room[shift:].reshape(data.shape))
            assert same(found, samples)
            assert found.flags.aligned
            assert found.flags.writeable


def test_units_that_are_no_integers_are_refused(tmp_path: Path) -> None:
    said: list[str] = []
    data = encoded(noise(), "WAV", "PCM_16")
    for units in ([0] * 59 + [1.5], ["0"] * 59 + ["1.5"], " 1.5" * 60):
        values = {"audio": data, "units": units}
        rows = built(tmp_path, "units").prepare(iter([Record(values, "x", 3)]), lambda error: said.append(str(error)))
        assert not any(chunk["units"] for chunk in rows)
    assert [each.partition(", got")[0] for each in said] == ["x:3: 'units' are integers"] * 3
    rows = rows_of(built(tmp_path, "units"), [data], tmp_path)
    assert rows.get("units", 0).tolist() == [0] * 60
