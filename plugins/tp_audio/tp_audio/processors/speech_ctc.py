"""Speech and its text, for the target ``ctc``."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tp_audio.error_rate import character_errors, word_errors
from tp_audio.processors.speech import TranscribedSpeechProcessor
from tp_audio.processors.speech_ctc_options import SpeechCtcProcessorConfig
from tp_audio.targets.ctc_options import CTCConfig
from tp_core.data.padding import padded
from tp_core.data.spelling import spelled
from tp_core.errors import TPError
from tp_core.interfaces import IGNORE, Batch, Rows, Sample, Tokenizer
from tp_core.options.context import DataContext


class CtcTexts:
    """Texts as labels of the target ``ctc``, and error rates of what it finds."""

    def __init__(self, data: DataContext, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        target = data.fact(CTCConfig)
        self.blank = 0 if target is None else target.blank

    def check(self, ids: list[int]) -> None:
        """Raises ValueError for a text that holds the blank."""
        if self.blank in ids:
            token = self.tokenizer.token(self.blank)
            raise ValueError(
                f"the text holds '{token}' (id {self.blank}), the blank; model.target.ctc.blank is another"
            )

    def labels(self, samples: list[Sample]) -> dict[str, torch.Tensor]:
        """``labels`` (batch, longest); of samples without texts, none.

        Of samples for an evaluation also ``written`` (batch, longest text): the texts in UTF-8, byte by byte.
        """
        if "text" not in samples[0]:
            return {"labels": torch.full((len(samples), 1), IGNORE)}
        labels = {"labels": padded([sample["text"] for sample in samples], None, IGNORE)}
        if "written" in samples[0]:
            labels["written"] = padded([sample["written"] for sample in samples], None, IGNORE)
        return labels

    def score(self, predictions: list[dict[str, Any]], batch: Batch) -> dict[str, tuple[float, float]]:
        """Error rates of words and characters, against the texts as they are written, not as the vocabulary has them.

        Raises:
            TPError: the samples are not those of an evaluation.
        """
        if "written" not in batch.labels["ctc"]:
            raise TPError("error rates need the samples of an evaluation (evaluation_sample), which have their texts")
        rows = batch.labels["ctc"]["written"].tolist()
        wanted = [bytes(each for each in row if each != IGNORE).decode() for row in rows]
        found = [spelled(each.get("ctc", each), self.tokenizer)["text"] for each in predictions]
        return {
            "word_error_rate": word_errors(wanted, found),
            "character_error_rate": character_errors(wanted, found),
        }


class SpeechCtcProcessor(TranscribedSpeechProcessor):
    """Reads ``audio`` and ``text``."""

    def __init__(self, config: SpeechCtcProcessorConfig, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, tokenizer)
        self.texts = CtcTexts(data, tokenizer)

    def check_text(self, ids: list[int]) -> None:
        self.texts.check(ids)

    def evaluation_sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        """With the text as it is written."""
        return {**super().evaluation_sample(rows, index, generator), "written": rows.get("written", index)}

    def collate(self, samples: list[Sample]) -> Batch:
        return Batch.of(self.inputs(samples), len(samples), labels={"ctc": self.texts.labels(samples)})

    def describe(self, predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Ids as texts."""
        return [spelled(each, self.tokenizer) for each in predictions]

    def score(self, predictions: list[dict[str, Any]], batch: Batch) -> dict[str, tuple[float, float]]:
        return self.texts.score(predictions, batch)
