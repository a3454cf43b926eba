"""Transcripts of LibriSpeech: a line of ``*.trans.txt`` names a recording in its folder, and has its text.

Torch-free. Source: Panayotov et al. (2015), with the folders ``speaker/chapter/``::

    84/121123/84-121123-0000.flac
    84/121123/84-121123.trans.txt      a line: 84-121123-0000 GO DO YOU HEAR
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tp_core.data.sources.base import Reading
from tp_core.data.sources.columns import NewColumns, by_field
from tp_core.data.sources.file import FileSource
from tp_core.data.sources.lines import line_runs
from tp_core.data.sources.options import AudioConfig, LibriSpeechConfig, form_of
from tp_core.errors import DataError
from tp_core.interfaces.record import Record


class TranscriptFile(FileSource):
    """A file of transcripts. Each line is a record with ``audio``, ``text`` and ``id``, the name of the recording.

    ``lists`` of the source are the recordings that belong to the file. Bad records are a line without a text, a line
    without a recording or with several, a name that occurs twice, and a recording without a line. New records, for
    which a text is not needed, may lack it. If the reader reads no recordings, lines need none.
    """

    def identity(self) -> str:
        return "\n".join(sorted(self._recordings()))

    def read(self, reading: Reading) -> Iterator[Iterable[Record]]:
        yield self._records(reading)

    def _records(self, reading: Reading) -> Iterator[Record]:
        columns = NewColumns(reading.columns, reading.columns)
        for record in self._found(reading):
            value = by_field(record.value, record.file, record.line, columns, reading.bad)
            if value is not None:
                yield Record(value, record.file, record.line)

    def _found(self, reading: Reading) -> Iterator[Record]:
        rules = reading.rules
        by_name: dict[str, list[str]] = {}
        for recording in sorted(self._recordings()):
            by_name.setdefault(os.path.splitext(recording)[0], []).append(recording)
        needed = rules.media is not None and AudioConfig.form in rules.media_forms
        seen: dict[str, int] = {}
        for first, lines in line_runs(self, reading.bad):
            for number, line in enumerate(lines, first):
                if not line.strip():
                    continue
                try:
                    value = _value(line, number, by_name, seen, needed)
                except ValueError as error:
                    reading.bad.report(DataError(str(error), file=self.path, line=number))
                else:
                    yield Record(value, self.path, number)
        for name, recordings in by_name.items() if needed else ():
            for recording in recordings if name not in seen else ():
                path = os.path.abspath(os.path.join(os.path.dirname(self.path), recording))
                if rules.transcribed == "needed":
                    message = f"this recording has no text: there is no line '{name} ...' in {self.path}"
                    reading.bad.report(DataError(message, file=path))
                else:
                    yield Record({AudioConfig.form: path, "id": name}, path, 1)

    def _recordings(self) -> Iterable[str]:
        """The names of the recordings that belong to this file."""
        if self.lists is not None:
            return self.lists
        folder, own = os.path.split(self.path)
        try:
            names = os.listdir(folder or ".")
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror}", file=folder) from error
        others = [name for name in names if name != own and is_transcript(name)]
        return belonging([own, *others], [name for name in names if form_of(name) == AudioConfig.form])[own]


def is_transcript(name: str) -> bool:
    """True for the name of a file of transcripts."""
    return name.lower().endswith(LibriSpeechConfig.ending) and not name.startswith(".")


def belonging(transcripts: Sequence[str], recordings: Iterable[str]) -> dict[str, frozenset[str]]:
    """The recordings of a folder that belong to each of its files of transcripts.

    If there are several such files, a recording belongs to that with the longest beginning of its name:
    ``84-121123-0000.flac`` to ``84-121123.trans.txt``.

    Args:
        transcripts: names of files.
        recordings: names of files.
    """
    found: dict[str, set[str]] = {name: set() for name in transcripts}
    begins = {name: f"{name[: len(name) - len(LibriSpeechConfig.ending)]}-" for name in transcripts}
    for recording in recordings:
        fitting = [name for name in transcripts if len(transcripts) == 1 or recording.startswith(begins[name])]
        if fitting:
            found[max(fitting, key=len)].add(recording)
    return {name: frozenset(each) for name, each in found.items()}


def _value(
    line: str, number: int, recordings: Mapping[str, Sequence[str]], seen: dict[str, int], needed: bool
) -> dict[str, Any]:
    """The fields of a line.

    Args:
        recordings: names without ending → names of recordings.
        seen: names of earlier lines → the number of the line; gets this one.
        needed: True if the line needs a recording.

    Raises:
        ValueError: the line cannot be used.
    """
    name, *rest = line.split(maxsplit=1)
    first = seen.setdefault(name, number)
    if first != number:
        raise ValueError(f"the recording '{name}' occurs twice, first in line {first}")
    if not rest:
        raise ValueError(f"'{name}' has no text; expected the name of a recording and its text, separated by a space")
    found = recordings.get(name, ())
    if len(found) > 1:
        raise ValueError(f"several recordings have the name '{name}': {', '.join(found)}")
    if needed and not found:
        raise ValueError(f"there is no recording '{name}' in this folder, such as {name}.flac")
    audio = {AudioConfig.form: found[0]} if found else {}
    return {**audio, "text": rest[0].strip(), "id": name}
