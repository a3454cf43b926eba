"""Recordings are as long as what is in them, whatever their headers say, and memory is asked for by that."""

from __future__ import annotations

import base64
import io
import random
import struct
import tracemalloc
import zlib
from collections import Counter

import numpy as np
import pytest
import soundfile

from tests.audio.tones import RATE, tone
from tp_audio.audio.decoding import MAX_SAMPLES, Limits, decode
from tp_audio.audio.ogg import checksum

SAMPLES = tone("low high middle")
STEPS = np.round(SAMPLES * 32767).astype(np.int16)
EXACT = STEPS.astype(np.float32) / 32768

#: What flac 1.4 wrote with --ogg of the values below: 400 samples, 8,000 a second.
OGG_FLAC = zlib.decompress(
    base64.b85decode(
        b"c-r$%PY-5bVt@j6D1G9Z-g-vkdN&_OXGR7FrZk^KXP~H(0D}Mn1EVkyF@9nA0Ax=1B*lJ8vD#~{2h%<=-RFDe`-6;QKsJsMq%rrc"
        b"8lw&i1A~SFkXMwNmRgjWmz=7QlbHmvLcvhaM9)aU$iT?R5QsrKG0g$Fv2|OjJ)>AN1A`C)8ep6N*1<A?5ut+_h#emrZDsl|^8ZH("
        b"2LofjipU>{Keht)|NpoD|Nl=xfP)2SDzhB}vm--;1DMN*#9)W10ShuP7(ZYz!LJ6pftYGA4aA`a#Xz8%KR~B{!0lo%g8``KBW@Q%"
        b")VO~H00%H)m;"
    )
)
OGG_FLAC_STEPS = np.array([(37 * number) % 2000 - 1000 for number in range(400)])


def encoded(samples: np.ndarray = STEPS, form: str = "WAV", subtype: str | None = None, rate: int = RATE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, subtype=subtype)
    return file.getvalue()


def mp3(samples: np.ndarray, rate: int, mode: str, level: float) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="MP3", bitrate_mode=mode, compression_level=level)
    return file.getvalue()


def without_info(data: bytes, samples: int) -> tuple[bytes, int]:
    """An MP3 stream without the frame before the others that counts them, and its length by this count."""
    place = max(data.find(b"Xing"), data.find(b"Info"))
    (count,) = struct.unpack_from(">I", data, place + 8)
    end = data.index(data[:2], place + 120)  # the next header
    return data[end:], count * samples


def refused(data: bytes, seconds: float | None = None) -> str:
    with pytest.raises(ValueError) as error:
        decode(data, Limits(seconds=seconds))
    return str(error.value)


def replaced(data: bytes, place: int, value: bytes) -> bytes:
    return data[:place] + value + data[place + len(value) :]


MP3S = [
    (16000, "CONSTANT", 0.0, 576),
    (16000, "CONSTANT", 0.5, 576),
    (16000, "CONSTANT", 0.3, 576),
    (16000, "VARIABLE", 0.3, 576),
    (44100, "CONSTANT", 0.2, 1152),
    (44100, "CONSTANT", 0.7, 1152),
    (44100, "VARIABLE", 0.1, 1152),
    (48000, "AVERAGE", 0.5, 1152),
]


@pytest.mark.parametrize(("rate", "mode", "level", "frame"), MP3S)
def test_an_mp3_file_that_does_not_count_its_frames_is_decoded_to_its_end(
    rate: int, mode: str, level: float, frame: int
) -> None:
    time = np.arange(3 * rate) / rate
    # A loud beginning: by its frames, a decoder takes the file for shorter.
    wave = (np.random.default_rng(0).normal(size=len(time)) * 0.2 * (time < 0.2) + 0.3 * np.sin(6000 * time)).astype(
        "f4"
    )
    counting = mp3(wave, rate, mode, level)
    assert len(decode(counting).samples) == len(wave)  # LAME's tag has the delay and what is filled up
    bare, length = without_info(counting, frame)
    found = decode(bare)
    assert (len(found.samples), found.rate) == (length, rate)
    behind = found.samples[1105 : 1105 + len(wave)]  # LAME's delay and the decoder's
    assert np.array_equal(behind, decode(counting).samples)
    tagged = b"ID3\x04\0\0\0\0\x01\0" + bytes(128) + bare + b"TAG" + bytes(125)
    assert np.array_equal(decode(tagged).samples, found.samples)


def test_an_mp3_file_that_says_too_little_is_decoded_to_its_end_and_one_that_says_too_much_is_truncated() -> None:
    data = mp3(SAMPLES, RATE, "CONSTANT", 0.5)
    bare, length = without_info(data, 576)
    place = max(data.find(b"Xing"), data.find(b"Info")) + 8
    assert len(decode(replaced(data, place, struct.pack(">I", 2))).samples) == length - 1105
    assert len(decode(data + bare).samples) == 2 * length - 1105
    assert "is truncated: it has " in refused(replaced(data, place, struct.pack(">I", 10**9)))
    assert refused(data[:-50]) == "is truncated: its last MP3 frame is cut"
    middle = len(bare) // 2
    assert "is damaged: no MP3 frame begins at byte" in refused(bare[:middle] + b"lost" + bare[middle:])


def test_a_stream_of_flac_that_does_not_know_its_length_is_decoded_to_its_end() -> None:
    data = encoded(form="FLAC")
    unknown = replaced(data, 22, bytes(4))
    assert data[21] & 15 == 0
    assert np.array_equal(decode(unknown).samples, EXACT)
    assert np.array_equal(decode(replaced(data, 22, struct.pack(">I", 9))).samples, EXACT)
    assert np.array_equal(decode(unknown + b"TAG" + bytes(125)).samples, EXACT)
    assert refused(unknown[:-9]) == "is truncated: its last FLAC frame is cut"


def test_a_header_of_flac_that_invents_samples_costs_no_memory() -> None:
    data = encoded(form="FLAC")
    invented = replaced(data, 21, bytes([data[21] | 15]) + b"\xff" * 4)
    tracemalloc.start()
    try:
        message = refused(invented)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert message == f"is truncated: it has {len(STEPS):,} samples, its header says {(1 << 36) - 1:,}"
    assert most < 1 << 22


def test_a_last_page_of_ogg_that_invents_samples_is_refused_before_memory_is_asked_for() -> None:
    data = encoded(np.tile(STEPS, 20), form="OGG")
    last = data.rindex(b"OggS")
    page = replaced(data[last:], 6, struct.pack("<q", 1 << 40))
    page = replaced(page, 22, struct.pack("<I", checksum(page)))
    message = refused(data[:last] + page)
    assert f"has {1 << 40:,} samples" in message
    assert f"at most {MAX_SAMPLES:,} are read" in message


def test_what_is_too_long_is_refused_by_its_length_and_not_decoded() -> None:
    assert refused(encoded(), 0.2) == "is 0.5 seconds long; max_seconds is 0.2"
    assert np.array_equal(decode(encoded(), Limits(seconds=1)).samples, EXACT)


def test_flac_in_ogg_is_decoded() -> None:
    found = decode(OGG_FLAC)
    assert found.rate == 8000
    assert np.array_equal(found.samples * 32768, OGG_FLAC_STEPS)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_streams_of_ogg_that_follow_each_other_are_all_decoded(subtype: str) -> None:
    first, second = encoded(form="OGG", subtype=subtype), encoded(STEPS[::-1].copy(), "OGG", subtype)
    both = np.concatenate([decode(first).samples, decode(second).samples])
    assert len(both) == 2 * len(SAMPLES)
    assert np.array_equal(decode(first + second).samples, both)
    assert "truncated" in refused(first + second[: second.rindex(b"OggS")])


def sized(form: str) -> tuple[bytes, int, bytes]:
    """A file, where its header has the bytes of samples, and what a writer to a pipe leaves there."""
    data = encoded(form=form)
    if form == "AIFF":
        return data, data.index(b"SSND") + 4, b"\x7f\0\0\x08"
    if form == "AU":
        return data, 8, b"\xff" * 4
    if form == "CAF":
        return data, data.index(b"data") + 4, b"\xff" * 8
    if form == "W64":
        return data, data.index(b"data") + 16, b"\xff" * 8
    if form == "RF64":
        return data, data.index(b"ds64") + 16, bytes(8)
    assert form == "NIST"
    place = data.index(b"sample_count")
    return data, place, b"#" * (data.index(b"\n", place) - place)


@pytest.mark.parametrize("form", ["AIFF", "AU", "CAF", "W64", "RF64", "NIST"])
def test_forms_of_samples_are_read_from_pipes_and_named_if_they_are_cut(form: str) -> None:
    data, place, unknown = sized(form)
    assert np.array_equal(decode(data).samples, EXACT)
    assert np.array_equal(decode(replaced(data, place, unknown)).samples, EXACT)
    assert refused(data[:-2001]).startswith("is truncated: ")


@pytest.mark.parametrize(
    "size", [0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, *(2 * len(STEPS) + more for more in (1, 8, 36, 44))]
)
def test_a_wav_file_whose_header_does_not_know_its_length_or_counts_itself_is_read_whole(size: int) -> None:
    data = encoded()
    assert np.array_equal(decode(replaced(data, data.index(b"data") + 4, struct.pack("<I", size))).samples, EXACT)


def test_a_wav_file_without_samples_but_with_notes_behind_them_has_none() -> None:
    assert refused(encoded(STEPS[:0]) + b"LIST" + struct.pack("<I", 4) + b"INFO") == "has no samples"


@pytest.mark.parametrize("subtype", ["GSM610", "MS_ADPCM", "IMA_ADPCM"])
def test_codecs_with_samples_in_blocks_give_as_many_as_were_encoded(subtype: str) -> None:
    data = encoded(subtype=subtype)
    data = replaced(data, data.index(b"fact") + 8, struct.pack("<I", len(SAMPLES)))  # libsndfile writes full blocks
    found = decode(data).samples
    assert len(found) == len(SAMPLES)
    assert np.corrcoef(found, SAMPLES)[0, 1] > 0.8
    piped = replaced(data, data.index(b"data") + 4, struct.pack("<I", 0x7FFFF000))
    assert np.array_equal(decode(piped).samples, found)


def test_mp3_inside_wav_is_decoded() -> None:
    stream = mp3(SAMPLES, RATE, "CONSTANT", 0.5)
    header = struct.pack("<HHIIHHH", 0x55, 1, RATE, 8000, 1, 0, 0)
    chunks = b"fmt " + struct.pack("<I", len(header)) + header + b"data" + struct.pack("<I", len(stream)) + stream
    data = b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks
    assert np.array_equal(decode(data).samples, decode(stream).samples)


FORMS = [
    *[("WAV", subtype) for subtype in ("PCM_16", "PCM_24", "FLOAT", "ULAW", "GSM610", "MS_ADPCM", "IMA_ADPCM")],
    *[(form, None) for form in ("RF64", "W64", "AIFF", "AU", "CAF", "NIST", "FLAC", "OGG", "MP3")],
    ("OGG", "OPUS"),
]


@pytest.mark.slow
def test_damaged_recordings_are_read_or_refused_with_a_message() -> None:
    """Each of 5,000 damaged files is survived: samples, or a ValueError, in little memory."""
    draw = random.Random(0)
    files = [encoded(STEPS[:2000], form, subtype) for form, subtype in FORMS] + [OGG_FLAC]
    found: Counter[str] = Counter()
    for _ in range(5000):
        data = bytearray(draw.choice(files))
        kind = draw.randrange(4)
        place = draw.randrange(len(data) if draw.random() < 0.5 else min(len(data), 160))
        if kind == 0:
            data = data[:place]
        elif kind == 1:
            data[place] ^= 1 << draw.randrange(8)
        elif kind == 2:
            data[place : place + 4] = draw.choice([b"\xff" * 4, bytes(4), b"\xff\xff\xff\x7f", draw.randbytes(4)])
        else:
            data[place:place] = data[draw.randrange(len(data)) :][:200]
        try:
            samples, rate = decode(bytes(data))
            assert len(samples)
            assert np.isfinite(samples).all()
            assert rate > 0
            found["read"] += 1
        except ValueError:
            found["refused"] += 1
    assert found.total() == 5000
    assert min(found.values()) > 500


@pytest.mark.parametrize("form", ["CAF", "W64"])
def test_headers_that_a_writer_to_a_pipe_repeats_are_no_samples(form: str) -> None:
    """As SoX writes to a pipe through libsndfile: two headers that know no size, the samples, and the right header."""
    data, place, _ = sized(form)
    start = data.index(b"data") + (16 if form == "CAF" else 24)
    empty = replaced(data, place, struct.pack(">q", 4) if form == "CAF" else struct.pack("<q", 24))[:start]
    assert np.array_equal(decode(2 * empty + data[start:] + data[:start]).samples, EXACT)


def test_flac_whose_sizes_a_writer_to_a_pipe_puts_behind_its_frames_is_decoded_to_its_end() -> None:
    """As libsndfile writes to a pipe: the checksum of all samples, their number and the sizes of frames come last."""
    data = encoded(form="FLAC")
    late = data[26:42] + data[21:26] + data[12:18]
    piped = replaced(data, 21, bytes([data[21] & 0xF0, 0, 0, 0, 0])) + late
    assert np.array_equal(decode(piped).samples, EXACT)
    assert refused(piped[:-1]).startswith("is truncated: ")


def test_bytes_that_are_no_recording_are_not_taken_for_a_cut_one() -> None:
    generator = random.Random(0)
    for length in (100, 1000, 10_000, 100_000):
        for _ in range(5):
            assert "format not recognised" in refused(generator.randbytes(length))
