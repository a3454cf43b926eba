"""Special tokens around texts: read from and written to post-processors of the Rust library."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tp_core.errors import TPError
from tp_core.interfaces.tokenizer import Frame, Tokenizer

if TYPE_CHECKING:
    from pathlib import Path


class DocumentEnds(Tokenizer):
    """Tokenizer with the options ``add_bos`` and ``add_eos``, which add these tokens before and after each text."""

    _add_bos = False
    _add_eos = False

    def add_ends(self, bos: bool, eos: bool, file: Path) -> None:
        """Set the options; ``self.special`` must be set before.

        Raises:
            TPError: the vocabulary lacks a requested token.
        """
        for asked, role in ((bos, "bos"), (eos, "eos")):
            if asked and role not in self.special:
                raise TPError(f"{file} has no {role} token, but add_{role} is true; set {role}_token")
        self._add_bos, self._add_eos = bos, eos

    def frame(self, pair: bool = False) -> Frame | None:
        if not (self._add_bos or self._add_eos):
            return super().frame(pair)
        head = (self.special["bos"],) if self._add_bos else ()
        tail = (self.special["eos"],) if self._add_eos else ()
        if not pair:
            return Frame((head, tail), ((0,) * len(head), (0,) * len(tail)))
        between = (*((0,) * len(tail)), *((1,) * len(head)))
        return Frame((head, (*tail, *head), tail), ((0,) * len(head), between, (1,) * len(tail)), (0, 1))


def backend_frame(backend: Any, pair: bool) -> Frame | None:
    """The special tokens that a pipeline's post-processor adds; None if it adds none.

    Args:
        backend: ``tokenizers.Tokenizer``.
    """
    text = _probe(backend)
    encoding = backend.encode(text, text, add_special_tokens=True) if pair else backend.encode(text)
    count = 2 if pair else 1
    special: list[list[int]] = [[] for _ in range(count + 1)]
    segments: list[list[int]] = [[] for _ in range(count + 1)]
    own = [0] * count
    done = 0  # number of texts that have begun
    for index, segment, sequence in zip(encoding.ids, encoding.type_ids, encoding.sequence_ids, strict=True):
        if sequence is None:
            special[done].append(index)
            segments[done].append(segment)
        else:
            own[sequence], done = segment, sequence + 1
    if not any(special):
        return None
    return Frame(tuple(map(tuple, special)), tuple(map(tuple, segments)), tuple(own))


def _probe(backend: Any) -> str:
    """A text with at least one id; without ids, the encoding would not show where a text is."""

    def words() -> Iterator[str]:
        yield from ("a", "1", "。")
        yield from (token for token in backend.get_vocab() if token.isalnum())

    return next((text for text in words() if backend.encode(text, add_special_tokens=False).ids), "a")


def framing(tokenizer: Tokenizer, single: Frame, pair: Frame) -> Any:
    """A post-processor of the Rust library that adds the special tokens of the frames; None if they have none."""
    from tokenizers.processors import TemplateProcessing

    ids = sorted({index for frame in (single, pair) for part in frame.special for index in part})
    if not ids:
        return None
    return TemplateProcessing(
        single=_template(tokenizer, single, "A"),
        pair=_template(tokenizer, pair, "AB"),
        special_tokens=[(tokenizer.token(index), index) for index in ids],
    )


def framing_of_nothing() -> Any:
    """A post-processor of the Rust library that adds no tokens."""
    from tokenizers.processors import TemplateProcessing

    return TemplateProcessing(single="$A:0", pair="$A:0 $B:1", special_tokens=[])


def _template(tokenizer: Tokenizer, frame: Frame, texts: str) -> list[str]:
    pieces: list[str] = []
    for place, (ids, segments) in enumerate(zip(frame.special, frame.special_segments, strict=True)):
        pieces += [f"{tokenizer.token(index)}:{segment}" for index, segment in zip(ids, segments, strict=True)]
        if place < len(texts):
            pieces.append(f"${texts[place]}:{frame.segments[place]}")
    return pieces
