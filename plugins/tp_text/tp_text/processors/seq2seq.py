"""Shared parts of the processors for encoder-decoder models."""

from __future__ import annotations

from typing import Any, Literal

import torch

from tp_core.data.fields import missing_field, text_field
from tp_core.data.padding import Ids, joined, padded, token_inputs
from tp_core.data.spelling import spelled
from tp_core.errors import TPError
from tp_core.interfaces import IGNORE, Batch, GenerationTokens, PromptRoom, Record, Sample, Tokenizer
from tp_core.interfaces.framing import Frame
from tp_core.options.context import DataContext
from tp_text.processors.prompts import prompt
from tp_text.processors.seq2seq_options import EncoderDecoderConfig, Role
from tp_text.processors.text import TextProcessor


class EncoderDecoderProcessor(TextProcessor):
    """Base of the processors for encoder-decoder models.

    A sample has ``input_ids``, the encoder input, and ``target_ids``, the target with its end token. The decoder input
    is the start token followed by the target without its last token, so the label of each position is the next token.
    Samples for inference have no ``target_ids``; their decoder input is only the start token.
    """

    def __init__(self, config: EncoderDecoderConfig, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data, tokenizer)
        self.target_tokenizer = data.target_tokenizer or tokenizer
        self.target_max_length = config.target_sequence_length() or config.max_length
        self.start = self._edge(config, "start")
        self.end = self._edge(config, "end")
        self.target_pad = self.target_tokenizer.special.get("pad", 0)
        self.head, self.tail = edges(tokenizer, ("cls",), ("sep", "eos"))
        #: Special tokens of the target before its text. If the start token is bos or cls, there are none. Otherwise
        #: (eos or padding), the target begins with the tokenizer's initial special tokens: BART's with ``<s>``.
        begins = self.start in (self.target_tokenizer.special.get(role) for role in ("bos", "cls"))
        self.target_head = () if begins else edges(self.target_tokenizer, (), ())[0]

    def _edge(self, config: EncoderDecoderConfig, option: Literal["start", "end"]) -> int:
        found = config.edge(option, self.target_tokenizer.special)
        if found is None:
            have = ", ".join(self.target_tokenizer.special) or "none"
            roles = " or ".join(config.roles(option))
            raise TPError(
                f"data.processor: the decoder side's vocabulary has no token for '{option}': expected {roles}; "
                f"its special tokens are {have}"
            )
        return found

    def bare_source(self, start: Role | None) -> None:
        """Give sources no special tokens but an end token, and a token before the text if ``start`` names one.

        Raises:
            TPError: the vocabulary has no such token.
        """
        special, end = self.tokenizer.special, end_of(self.tokenizer)
        if start is not None and start not in special:
            raise TPError(f"data.processor: the vocabulary has no {start} token for source_start")
        self.head = () if start is None else (special[start],)
        self.tail = () if end is None else (end,)

    # -- rows --------------------------------------------------------------------------------------------------

    @property
    def source_room(self) -> int:
        """Maximum number of text tokens in a source."""
        return self.max_length - len(self.head) - len(self.tail)

    @property
    def target_room(self) -> int:
        """Maximum number of text tokens in a target."""
        return self.target_max_length - len(self.target_head) - 1

    def frame(self, pair: bool = False) -> Frame:
        """The special tokens around a source; for a pair, those of the base class."""
        if pair:
            return super().frame(pair)
        segments = ((0,) * len(self.head), (0,) * len(self.tail))
        return Frame((tuple(self.head), tuple(self.tail)), segments)

    def framed(self, ids: Any) -> Ids:
        """A source with its special tokens, cut to the maximum length."""
        return joined(self.head, ids[: self.source_room], self.tail)

    def ended(self, ids: Any) -> Ids:
        """A target with its special tokens, cut to the maximum length."""
        return joined(self.target_head, ids[: self.target_room], [self.end])

    # -- batches -----------------------------------------------------------------------------------------------

    def collate(self, samples: list[Sample]) -> Batch:
        whole = self.pad_to == "max_length"
        source = token_inputs([s["input_ids"] for s in samples], self.max_length, self.pad, whole)
        if "target_ids" not in samples[0]:
            alone = torch.full((len(samples), 1), self.start)
            labels = torch.full_like(alone, IGNORE)
            return Batch.of(source, len(samples), {"input_ids": alone}, {"lm": {"labels": labels}})
        targets: list[Ids] = [s["target_ids"] for s in samples]
        shifted = [joined([self.start], target[:-1]) for target in targets]
        target = token_inputs(shifted, self.target_max_length, self.target_pad, whole)
        labels = padded(targets, target["input_ids"].shape[1], IGNORE)
        return Batch.of(source, len(samples), target, {"lm": {"labels": labels}})

    # -- inference ---------------------------------------------------------------------------------------------

    def encode(self, records: list[Record]) -> list[Sample]:
        """Sources only, from ``source``, ``text_a`` or ``text``."""
        return [{"input_ids": self.framed(ids)} for ids in self._inference_ids([source_text(r) for r in records])]

    def prompts(self, records: list[Record], room: PromptRoom) -> list[Sample]:
        """Sources, cut to ``room``, or to ``max_length`` if the room is unlimited."""
        room = PromptRoom(self.max_length if room.length is None else room.length, room.side)
        rows = self._inference_ids([source_text(r) for r in records])
        return [prompt(record, ids, room, self.head, self.tail) for record, ids in zip(records, rows)]

    def describe(self, predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Replace ids of the decoder side by tokens."""
        return [spelled(p, self.target_tokenizer) for p in predictions]

    def generation(self) -> GenerationTokens:
        return GenerationTokens((self.start, *self.target_head), (self.end,), self.target_pad)

    def decode(self, ids: list[int], prompt: list[int] | None = None) -> str:
        return self.target_tokenizer.decode(ids)


def source_text(record: Record) -> str:
    """The source text of a record at inference.

    Raises:
        DataError: the record has none of the fields.
    """
    text = text_field(record, "source", "text_a", "text")
    if text is None:
        raise missing_field(record, "'source', 'text_a' or 'text'")
    return text


def edges(
    tokenizer: Tokenizer, begin: tuple[str, ...], end: tuple[str, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The special ids before and after a text.

    They come from the tokenizer's frame. Without a frame, each side gets its first role that the vocabulary has.
    """
    frame = tokenizer.frame()
    if frame is not None:
        return frame.head, frame.tail
    found = [
        next(((tokenizer.special[role],) for role in side if role in tokenizer.special), ()) for side in (begin, end)
    ]
    return found[0], found[1]


def end_of(tokenizer: Tokenizer) -> int | None:
    """The end token of a text: ``eos``, else ``sep``."""
    return tokenizer.special.get("eos", tokenizer.special.get("sep"))
