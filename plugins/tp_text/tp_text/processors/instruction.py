"""Training samples for instruction tuning: conversations whose answers are predicted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice, pairwise
from typing import Any

import numpy as np
import torch

from tp_core.data.fields import is_blank
from tp_core.data.padding import padded, token_inputs
from tp_core.errors import DataError
from tp_core.interfaces import (
    IGNORE,
    Batch,
    GenerationTokens,
    Inputs,
    PromptRoom,
    Record,
    Report,
    Rows,
    Sample,
    Tokenizer,
)
from tp_core.interfaces.framing import Frame
from tp_core.options.context import DataContext
from tp_text.processors.chat import ROLES, Role, Template, Turn, questions_of, turns_of
from tp_text.processors.instruction_options import InstructionProcessorConfig
from tp_text.processors.prompts import prompt
from tp_text.processors.reading import CHUNK
from tp_text.processors.records import in_columns
from tp_text.processors.seq2seq import edges
from tp_text.processors.text import TextProcessor
from tp_text.scoring.written import REFERENCE, ComparesTexts


class InstructionProcessor(ComparesTexts, TextProcessor):
    """Joins the turns of a conversation after ``[BOS]``; each turn has the prefix and suffix of its role.

    An answer ends with ``[EOS]``. Only the answers, their suffix and ``[EOS]`` are predicted. A conversation that is
    too long is cut at its end. One whose answers are all cut off is reported as an error.
    """

    def __init__(self, config: InstructionProcessorConfig, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data, tokenizer)
        self.text_metrics = config
        self.eos = tokenizer.special["eos"]
        # If bos and eos are the same token, a text does not begin with it.
        self.head = [token for token in edges(tokenizer, ("bos",), ())[0] if token != self.eos]
        self.pack = config.pack
        self.template = Template.of(config)
        texts = [*(self.template.prefix[r] for r in ROLES), *(self.template.suffix[r] for r in ROLES)]
        ids = tokenizer.encode_batch(texts)
        self.prefix: dict[Role, list[int]] = dict(zip(ROLES, ids))
        self.suffix: dict[Role, list[int]] = dict(zip(ROLES, ids[len(ROLES) :]))
        self.suffix["assistant"] = [*self.suffix["assistant"], self.eos]

    def frame(self, pair: bool = False) -> Frame:
        """The special tokens at the start of a conversation; the prefixes and suffixes of turns are plain text."""
        return super().frame(pair) if pair else Frame((tuple(self.head), ()), ((0,) * len(self.head), ()))

    # -- rows --------------------------------------------------------------------------------------------------

    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        conversations = self._conversations(records, report)
        return in_columns(self._packed(conversations) if self.pack else conversations)

    def _conversations(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, Any]]:
        source = self._read(records, report)
        while chunk := list(islice(source, CHUNK)):
            contents = iter(self.tokenizer.encode_batch([turn.content for _, turns in chunk for turn in turns]))
            for record, turns in chunk:
                tokens, answer = self._joined(turns, [next(contents) for _ in turns])
                if 1 in answer[: self.max_length + 1]:
                    length = min(len(tokens), self.max_length + 1)
                    row: dict[str, Any] = {"tokens": tokens[:length], "answer": answer[:length], "lengths": [length]}
                    if self.has_metrics:
                        row[REFERENCE] = self._last_answer(turns, answer[:length]).encode()
                    yield row
                    continue
                message = f"the first answer begins after {answer.index(1)} tokens, and max_length is {self.max_length}"
                report(DataError(message, file=record.file, line=record.line))

    def _read(self, records: Iterable[Record], report: Report) -> Iterator[tuple[Record, list[Turn]]]:
        for record in records:
            if is_blank(record):
                continue
            try:
                yield record, self.template.complete(turns_of(record))
            except DataError as error:
                report(error)

    def _joined(self, turns: list[Turn], contents: list[list[int]]) -> tuple[list[int], list[int]]:
        """The ids of a conversation, and a flag for each id: 1 if it is part of an answer, else 0."""
        tokens, answer = list(self.head), [0] * len(self.head)
        for turn, content in zip(turns, contents):
            prefix, rest = self.prefix[turn.role], [*content, *self.suffix[turn.role]]
            tokens += [*prefix, *rest]
            answer += [0] * len(prefix) + [int(turn.role == "assistant")] * len(rest)
        answer[:1] = [0]  # the first token has no position before it, so it cannot be predicted
        return tokens, answer

    @staticmethod
    def _last_answer(turns: list[Turn], answer: list[int]) -> str:
        """The last answer of a conversation that begins within its row."""
        begun = sum(now > before for before, now in pairwise([0, *answer]))
        return [turn.content for turn in turns if turn.role == "assistant"][begun - 1]

    def _packed(self, conversations: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Pack consecutive conversations into one row as long as they fit."""
        row: dict[str, Any] | None = None
        for each in conversations:
            if row is not None and len(row["tokens"]) + len(each["tokens"]) <= self.max_length + 1:
                row = {name: [*row[name], *each[name]] for name in row}
                continue
            if row is not None:
                yield row
            row = each
        if row is not None:
            yield row

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        tokens, lengths = rows.get("tokens", index), rows.get("lengths", index)
        labels = np.where(rows.get("answer", index) == 1, tokens, np.int32(IGNORE))[1:]
        return {"input_ids": tokens[:-1], "labels": labels, "lengths": lengths}

    def evaluation_sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        return {**self.sample(rows, index, generator), **self.reference(rows, index)}

    def question(self, sample: Sample) -> Sample:
        """The conversation up to its last answer."""
        answered = sample["labels"] != IGNORE
        begins = np.flatnonzero(answered & ~np.append(False, answered[:-1]))
        return {"input_ids": sample["input_ids"][: begins[-1] + 1]}

    def longest_text(self) -> int:
        return self.max_length

    # -- batches -----------------------------------------------------------------------------------------------

    def collate(self, samples: list[Sample]) -> Batch:
        """Pad on the right, where causal attention needs no mask."""
        rows, whole = [s["input_ids"] for s in samples], self.pad_to == "max_length"
        source = token_inputs(rows, self.max_length, self.pad, whole, causal="labels" in samples[0])
        width = source["input_ids"].shape[1]
        if self.pack:
            source |= _documents([s.get("lengths", [len(s["input_ids"])]) for s in samples], width)
        nothing = np.empty(0, dtype=np.int32)
        labels = padded([s.get("labels", nothing) for s in samples], width, IGNORE)
        return Batch.of(source, len(samples), labels={"lm": {"labels": labels}})

    # -- inference ---------------------------------------------------------------------------------------------

    def encode(self, records: list[Record]) -> list[Sample]:
        """Conversations up to the requested answer; long ones are cut on the left."""
        samples = []
        for tokens in self._questions(records):
            tokens += self.prefix["assistant"]
            samples.append({"input_ids": np.array(tokens[-self.max_length :] or [self.eos], dtype=np.int32)})
        return samples

    def _questions(self, records: list[Record]) -> Iterator[list[int]]:
        """The ids of each conversation, up to the start of the requested answer."""
        each = [self.template.complete(_without_last_answer(questions_of(record))) for record in records]
        contents = iter(self.tokenizer.encode_batch([turn.content for turns in each for turn in turns]))
        for turns in each:
            yield self._joined(turns, [next(contents) for _ in turns])[0]

    def prompts(self, records: list[Record], room: PromptRoom) -> list[Sample]:
        """Conversations up to the requested answer, cut to ``room``; the answer's prefix is always kept."""
        samples, tail = [], self.prefix["assistant"]
        for record, tokens in zip(records, self._questions(records)):
            ids = tokens[len(self.head) :]
            samples.append(prompt(record, ids if ids or tail else [self.eos], room, self.head, tail))
        return samples

    def generation(self) -> GenerationTokens:
        return GenerationTokens(end=(self.eos,), pad=self.pad)

    def decode(self, ids: list[int], prompt: list[int] | None = None) -> str:
        return self.tokenizer.decode(ids).removesuffix(self.template.suffix["assistant"])


def _without_last_answer(turns: list[Turn]) -> list[Turn]:
    """The conversation without its last answer."""
    return turns[:-1] if len(turns) > 1 and turns[-1].role == "assistant" else turns


def _documents(lengths: list[Any], width: int) -> Inputs:
    """For each token, the number of its conversation and its position there; both (batch, width)."""
    numbers, positions = np.zeros((2, len(lengths), width), dtype=np.int64)
    for row, each in enumerate(lengths):
        ends = np.cumsum(each)
        # Padding after the last conversation gets its own number.
        numbers[row] = np.searchsorted(ends, np.arange(width), side="right")
        starts = np.concatenate([[0], ends])
        positions[row] = np.arange(width) - starts[numbers[row]]
    return {"document_ids": torch.from_numpy(numbers), "position_ids": torch.from_numpy(positions)}
