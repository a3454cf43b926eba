"""Recordings with their texts, as rows: what all processors of speech recognition begin with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tp_audio.processors.gaps import Gaps
from tp_audio.processors.options import AudioProcessorConfig
from tp_audio.processors.recorded import Recorded, RecordedRows
from tp_core.data.fields import required_text
from tp_core.errors import DataError
from tp_core.interfaces import Record, Report, Tokenizer

#: How tokenizers write a space.
_SPACES = " \t▁Ġ"


class TranscribedRows(RecordedRows):
    """Reads records with ``audio`` and ``text``, and keeps them as rows of samples and ids.

    Args:
        least: fewest samples that a recording must have.
    """

    def __init__(self, config: AudioProcessorConfig, tokenizer: Tokenizer, least: int = 1) -> None:
        super().__init__(config, least)
        self.tokenizer, self.unknown = tokenizer, tokenizer.special.get("unk")
        self.gaps = Gaps(tokenizer, self._known)

    def prepare(
        self, records: Iterable[Record], report: Report, check: Callable[[list[int]], None] | None = None
    ) -> Iterator[dict[str, list[Any]]]:
        """Chunks of rows: ``audio``, the samples, ``text``, the ids, and ``written``, the text itself in UTF-8.

        Args:
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
                    # A vocabulary of another script or case would teach the model to write [UNK], and do so well.
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
        """The characters that the vocabulary lacks, of the texts that were prepared last."""
        remark = self.gaps.remark()
        return [] if remark is None else [remark]

    def _known(self, number: int) -> bool:
        """True if an id stands for a token that is neither the unknown token nor only spaces."""
        return number != self.unknown and bool((self.tokenizer.token(number) or "").strip(_SPACES))


def text_of(record: Record) -> str:
    """A record's text.

    Raises:
        DataError: it has none, or a blank one.
    """
    text = required_text(record, "text")
    if not text.strip():
        raise DataError("the text is empty", file=record.file, line=record.line)
    return text
