"""Folders of recordings: LibriSpeech's layout, and files of every ending that is decoded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.audio.tones import RATE, tone
from tp_audio.audio.decoding import decode
from tp_core.data.sources.folder_rules import FolderRules
from tp_core.data.sources.media import media_bytes
from tp_core.data.sources.options import FORMS
from tp_core.data.sources.records import read_records

RULES = FolderRules(frozenset({"audio"}))

#: Ending → format and encoding of libsndfile.
WRITTEN = {
    **dict.fromkeys((".wav", ".wave"), ("WAV", "PCM_16")),
    ".flac": ("FLAC", "PCM_16"),
    **dict.fromkeys((".ogg", ".oga"), ("OGG", "VORBIS")),
    ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
    **dict.fromkeys((".au", ".snd"), ("AU", "PCM_16")),
    **dict.fromkeys((".aif", ".aiff", ".aifc"), ("AIFF", "PCM_16")),
    ".caf": ("CAF", "PCM_16"),
    ".w64": ("W64", "PCM_16"),
    ".rf64": ("RF64", "PCM_16"),
    **dict.fromkeys((".sph", ".nist"), ("NIST", "PCM_16")),
}


def test_the_endings_of_recordings_are_those_that_are_tried_here() -> None:
    assert {ending for ending, form in FORMS.items() if form == "audio"} == set(WRITTEN)


@pytest.mark.parametrize("ending", sorted(WRITTEN))
def test_a_recording_of_every_ending_is_found_in_a_folder_and_decoded(tmp_path: Path, ending: str) -> None:
    form, encoding = WRITTEN[ending]
    samples = tone("low top", RATE)
    with open(tmp_path / f"X{ending.upper()}", "wb") as file:
        soundfile.write(file, samples, RATE, format=form, subtype=encoding)
    (record,) = read_records([str(tmp_path)], rules=RULES)
    found = decode(media_bytes(record, "audio"))
    assert found.rate in (RATE, 48000)  # Opus
    if encoding == "PCM_16":
        assert np.abs(found.samples - samples).max() < 1e-4


def test_librispeechs_own_layout_is_read(tmp_path: Path) -> None:
    names = ["84/121123/84-121123-0000.flac", "84/121123/84-121123-0001.flac", "174/50561/174-50561-0000.flac"]
    for number, name in enumerate(names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / name, tone("low", seed=number), RATE)
    for name in ("README.TXT", "CHAPTERS.TXT", "84/121123/84-121123.trans.txt", "174/50561/174-50561.trans.txt"):
        (tmp_path / name).write_text("84-121123-0000 GO DO YOU HEAR\n")
    records = read_records([str(tmp_path)], rules=RULES)
    assert [Path(record.value["audio"]).relative_to(tmp_path).as_posix() for record in records] == sorted(names)
    told: list[str] = []
    records.passed.tell(told.append)
    assert told == [f"passed over in {tmp_path}: .txt (4)"]
