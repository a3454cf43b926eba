"""Preparation of recordings with texts as rows, shared by all processors for speech recognition."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tp_audio.processors.gaps import Gaps
from tp_audio.processors.options import AudioProcessorConfig
from tp_audio.processors.recorded import Recorded, RecordedRows
from tp_core.data.fields import required_text
from tp_core.errors import DataError
from tp_core.interfaces import Record, Report, Tokenizer

#: Characters that stand for a space in tokens.
_SPACES = " \t▁Ġ"


class TranscribedRows(RecordedRows):
    """Reads records with ``audio`` and ``text`` and stores them as rows of samples and token ids.

    Args:
        config: options for reading recordings.
        tokenizer: the tokenizer of the texts.
        least: minimum number of samples of a recording.
    """

    def __init__(self, config: AudioProcessorConfig, tokenizer: Tokenizer, least: int = 1) -> None:
        super().__init__(config, least)
        self.tokenizer, self.unknown = tokenizer, tokenizer.special.get("unk")
        self.gaps = Gaps(tokenizer, self._known)

    def prepare(
        self, records: Iterable[Record], report: Report, check: Callable[[list[int]], None] | None = None
    ) -> Iterator[dict[str, list[Any]]]:
        """Chunks of rows with ``audio`` (samples), ``text`` (token ids) and ``written`` (the text in UTF-8).

        Args:
            records: the records.
            report: called with the error of each record that cannot be used.
            check: raises ValueError for ids that cannot be learned.
        """
        self.gaps.reset()
        for chunk in self.chunks(records, report, text_of):
            yield self._rows(chunk, report, check)

    def _rows(
        self, chunk: list[Recorded], report: Report, check: Callable[[list[int]], None] | None
    ) -> dict[str, list[Any]]:
        columns: dict[str, list[Any]] = {"audio": [], "text": [], "written": []}
        for each, ids in zip(chunk, self.tokenizer.encode_batch([each.more for each in chunk])):
            try:
                if not any(map(self._known, ids)):
                    # With a vocabulary of another script or case, the model would learn to write only [UNK].
                    raise ValueError(f"the text '{each.more[:40]}' has no token of the vocabulary")
                if check is not None:
                    check(ids)
            except ValueError as error:
                report(DataError(str(error), file=each.record.file, line=each.record.line))
                continue
            columns["audio"].append(each.samples)
            columns["text"].append(ids)
            columns["written"].append(each.more.encode())
            self.gaps.add(each.more, ids)
        return columns

    def remarks(self) -> list[str]:
        """A remark on the characters that the vocabulary lacks, for the texts of the last preparation."""
        remark = self.gaps.remark()
        return [] if remark is None else [remark]

    def _known(self, number: int) -> bool:
        """True if the id belongs to a token that is neither the unknown token nor white space."""
        return number != self.unknown and bool((self.tokenizer.token(number) or "").strip(_SPACES))


def text_of(record: Record) -> str:
    """A record's text.

    Raises:
        DataError: the record has no text, or only white space.
    """
    text = required_text(record, "text")
    if not text.strip():
        raise DataError("the text is empty", file=record.file, line=record.line)
    return text
