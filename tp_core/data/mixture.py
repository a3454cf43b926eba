"""Several data sets trained in turn: which of them a step's batch comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from tp_core.data.order import TURN, generator
from tp_core.framing import Frame
from tp_core.interfaces import (
    Batch,
    GenerationTokens,
    MetricState,
    Processor,
    PromptRoom,
    Record,
    Report,
    Rows,
    Sample,
)


@dataclass(frozen=True)
class DataSet:
    """Prepared instances with the processor that makes samples of them.

    Attributes:
        name: empty when there is only one set.
        share: how often a batch comes from this set, relative to the others.
        bucket: number of batches whose instances are sorted by length together; None for no order by length.
        length_column: the column of the rows whose cells' lengths are meant.
    """

    name: str
    rows: Rows
    processor: Processor
    share: float = 1.0
    bucket: int | None = None
    length_column: str | None = None


class Turns:
    """For each step, the number of its data set and how many steps that set has had before.

    A pure function of (seed, step): set ``i`` is drawn with probability ``share[i]``, and each set goes on in its own
    order where it last stopped.
    """

    def __init__(self, shares: Sequence[float], steps: int, seed: int) -> None:
        self._single = len(shares) == 1
        if self._single:
            return
        bounds = np.cumsum(shares) / np.sum(shares)
        # One stream of numbers from the first step on: a longer run begins as the shorter one does.
        draws = generator(seed, TURN, 0, 0).random(steps)
        self._turns = np.minimum(np.searchsorted(bounds, draws, side="right"), len(shares) - 1).astype(np.int32)
        self._before = np.empty(steps, dtype=np.int64)
        for number in range(len(shares)):
            own = self._turns == number
            self._before[own] = np.arange(np.count_nonzero(own))

    def at(self, step: int) -> tuple[int, int]:
        """(number of the data set, its own steps before this one)."""
        return (0, step) if self._single else (int(self._turns[step]), int(self._before[step]))

    def before(self, step: int, number: int) -> int:
        """The steps that a data set, given by its number, has had before ``step``."""
        return step if self._single else int(np.count_nonzero(self._turns[:step] == number))


class SetProcessor(Processor):
    """A processor whose batches say which of the model's streams and targets they are for.

    Args:
        inner: the set's processor.
        targets: targets that the set feeds; None for all.
        stream: the stream that a processor of one input feeds; None when the model has none or the processor feeds all.
        number: of the set among the model's sets, which the batch carries as ``task_ids``.
    """

    def __init__(
        self, inner: Processor, targets: Sequence[str] | None, stream: str | None, number: int | None = None
    ) -> None:
        self.inner, self.stream, self.number = inner, stream, number
        self.targets = None if targets is None else tuple(targets)

    def prepare(self, records: Any, report: Report) -> Any:
        return self.inner.prepare(records, report)

    def remarks(self) -> list[str]:
        return self.inner.remarks()

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        return self.inner.sample(rows, index, generator)

    def evaluation_sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        return self.inner.evaluation_sample(rows, index, generator)

    @property
    def read_ahead(self) -> int:
        return self.inner.read_ahead

    def encode(self, records: list[Record]) -> list[Sample]:
        return self.inner.encode(records)

    def describe(self, predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return self.inner.describe(predictions)

    def score(self, predictions: list[dict[str, Any]], batch: Batch) -> Mapping[str, MetricState]:
        return self.inner.score(predictions, batch)

    @property
    def scores(self) -> bool:
        return self.inner.scores

    def prompts(self, records: list[Record], room: PromptRoom) -> list[Sample]:
        return self.inner.prompts(records, room)

    def generation(self) -> GenerationTokens:
        return self.inner.generation()

    def frame(self, pair: bool = False) -> Frame | None:
        return self.inner.frame(pair)

    def decode(self, ids: list[int], prompt: list[int] | None = None) -> str:
        return self.inner.decode(ids, prompt)

    def collate(self, samples: list[Sample]) -> Batch:
        batch = self.inner.collate(samples)
        source = batch.source
        if self.number is not None:
            task = {"task_ids": torch.full((batch.size,), self.number)}
            nested = any(isinstance(value, dict) for value in source.values())
            source = {n: {**v, **task} for n, v in source.items()} if nested else {**source, **task}
        if self.stream is not None:
            source = {self.stream: source}
        return replace(batch, source=source, targets=self.targets)
