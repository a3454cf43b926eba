"""BERT's and ALBERT's instances: pairs of segments of running text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch

from tp_core.config import DataContext
from tp_core.data.order import PREPARE, Generators
from tp_core.errors import DataError
from tp_core.interfaces import IGNORE, Inputs, Record, Report, Rows, Sample, Tokenizer
from tp_text.processors.config import BertProcessorConfig
from tp_text.processors.filling import SentenceRows
from tp_text.processors.masking import Masking
from tp_text.processors.text import TextProcessor

_WRITE = 1000


class BertProcessor(TextProcessor):
    """One sentence per line, a blank line between documents.

    A row is a run of sentences of one document. Where it is cut into two segments, and whether the second is replaced
    by text of another document, is drawn anew at each visit.
    """

    def __init__(self, config: BertProcessorConfig, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data, tokenizer)
        self.task, self.short_rate = config.sentence_task, config.short_rate
        self.masking = Masking(config, tokenizer, config.max_length)
        self._draws = Generators(0, PREPARE)
        self.room = config.max_length - self.special_count(pair=config.sentence_task != "none")

    # -- rows --------------------------------------------------------------------------------------------------

    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        filling = SentenceRows(self.room, self._target)
        for texts in self.tokenized(records, report):
            filling.add(texts)
            if len(filling.rows["document"]) >= _WRITE:
                yield filling.take()
        filling.end_document()
        if self.task == "next" and filling.documents == 1:
            file, line = filling.place
            raise DataError(
                "next-sentence prediction draws from other documents, and the corpus holds only one; put a blank "
                "line between documents, or use sentence_task: order",
                file=file,
                line=line,
            )
        yield filling.take()

    def _target(self, number: int) -> int:
        """Length to fill a row to: mostly all there is, sometimes less, as downstream texts are shorter too."""
        draw = self._draws(0, number)
        return int(draw.integers(min(2, self.room), self.room + 1)) if draw.random() < self.short_rate else self.room

    # -- samples -----------------------------------------------------------------------------------------------

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        tokens, lengths = rows.get("tokens", index), rows.get("lengths", index)
        label = None
        if self.task == "none":
            sample = self.assemble(tokens)
        else:
            first, second, label = self._pair(rows, index, tokens, lengths, generator)
            sample = self.assemble(first, second)
        self.masking(sample, generator)
        sample["sp"] = label
        return sample

    def _pair(
        self, rows: Rows, index: int, tokens: Any, lengths: Any, generator: np.random.Generator
    ) -> tuple[Any, Any, int | None]:
        """Two segments and their label: 0 when the second follows the first, 1 when it does not, else None."""
        ends = np.cumsum(lengths)
        single = len(lengths) < 2
        cut = int(ends[generator.integers(len(ends) - 1)]) if not single else len(tokens) // 2
        swap = generator.random() < 0.5
        if self.task == "order":
            if len(tokens) < 2:  # one token has no order
                return tokens[:0], tokens, None
            first, second = tokens[:cut], tokens[cut:]
            return (second, first, 1) if swap else (first, second, 0)
        if not (swap or single):
            return tokens[:cut], tokens[cut:], 0
        first = tokens if single else tokens[:cut]
        return *self._trim(first, self._elsewhere(rows, index, generator), generator), 1

    def _elsewhere(self, rows: Rows, index: int, generator: np.random.Generator) -> Any:
        """Text of another document, from the start of a random sentence on."""
        own = rows.get("document", index)
        other = index
        for _ in range(16):
            other = int(generator.integers(len(rows)))
            if rows.get("document", other) != own:
                break
        else:  # one document holds nearly all rows: the nearest row of another is looked for
            for step in range(1, len(rows)):
                other = (index + step) % len(rows)
                if rows.get("document", other) != own:
                    break
        tokens, lengths = rows.get("tokens", other), rows.get("lengths", other)
        begins = np.cumsum(lengths) - lengths
        return tokens[int(begins[generator.integers(len(begins))]) :]

    def _trim(self, first: Any, second: Any, generator: np.random.Generator) -> tuple[Any, Any]:
        """Cut the longer segment, at its front or back token by token, until both fit (Devlin et al., 2019)."""
        over = len(first) + len(second) - self.room
        if over <= 0:
            return first, second
        longer = min(over, abs(len(first) - len(second)))
        cuts = [(over - longer + 1) // 2, (over - longer) // 2]
        cuts[0 if len(first) >= len(second) else 1] += longer
        trimmed = []
        for segment, cut in zip((first, second), cuts):
            front = int(generator.binomial(cut, 0.5))
            trimmed.append(segment[front : len(segment) - (cut - front)])
        return trimmed[0], trimmed[1]

    def labels(self, samples: list[Sample]) -> dict[str, Inputs]:
        if "mlm_positions" not in samples[0]:
            return self.mask_labels(samples)
        labels: dict[str, Inputs] = {"mlm": self.masking.labels(samples)}
        if self.task != "none":
            values = [IGNORE if s["sp"] is None else s["sp"] for s in samples]
            labels["sp"] = {"labels": torch.tensor(values)}
        return labels
