"""Recordings are prepared in threads as one thread prepares them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import soundfile

from tests.audio.tones import RATE, processor, texts, tone
from tests.preparing import assert_same, table
from tp_audio.processors import recorded


def test_threads_prepare_the_same_rows_and_say_the_same_of_bad_recordings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forms = ["WAV", "FLAC", "OGG", "MP3"]
    records: list[dict[str, Any]] = []
    for number, text in enumerate(texts(120)):
        rate = RATE * (1 + number % 2)
        stream = io.BytesIO()
        soundfile.write(stream, tone(text, rate, seed=number), rate, format=forms[number % 4])
        data = stream.getvalue()
        if number % 11 == 4:
            data = data[:-200] if number % 4 != 3 else b"no recording"
        (tmp_path / f"{number}.bin").write_bytes(b"" if number % 29 == 7 else data)
        name = f"{number}.bin" if number % 17 != 9 else f"{number}.gone"
        records.append({"audio": name, "text": "" if number % 19 == 3 else "bass" if number % 23 == 1 else text})
    made = processor(tmp_path, "speech_text", max_seconds=0.55)
    words = ["truncated", "cannot be decoded", "is empty", "cannot be read: No such file", "text", "seconds long"]
    data_file = table(tmp_path / "data.jsonl", records)
    monkeypatch.setattr(recorded, "_WRITE", 1)  # texts are tokenized, and refused, with each batch of rows
    assert_same(made, data_file, monkeypatch, [*words, "has no token of the vocabulary"])
