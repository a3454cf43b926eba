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
    """Prepares texts as labels of the target ``ctc`` and computes error rates of its predictions."""

    def __init__(self, data: DataContext, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        target = data.fact(CTCConfig)
        self.blank = 0 if target is None else target.blank

    def check(self, ids: list[int]) -> None:
        """Check a text's ids.

        Raises:
            ValueError: the text contains the blank.
        """
        if self.blank in ids:
            token = self.tokenizer.token(self.blank)
            raise ValueError(
                f"the text contains '{token}' (id {self.blank}), the blank; set model.target.ctc.blank to another id"
            )

    def labels(self, samples: list[Sample]) -> dict[str, torch.Tensor]:
        """``labels`` (batch, longest); all ``IGNORE`` if the samples have no texts."""
        if "text" not in samples[0]:
            return {"labels": torch.full((len(samples), 1), IGNORE)}
        return {"labels": padded([sample["text"] for sample in samples], None, IGNORE)}

    def carried(self, sample: Sample) -> Sample:
        """The original text of an evaluation sample, its bytes in UTF-8.

        Raises:
            TPError: it is no evaluation sample.
        """
        if "written" not in sample:
            raise TPError("error rates need evaluation samples (evaluation_sample), which contain the original texts")
        return {"written": sample["written"]}

    def score(self, predictions: list[dict[str, Any]], samples: list[list[Sample]]) -> dict[str, tuple[float, float]]:
        """Word and character error rates against the original texts, not against their decoded token ids."""
        wanted = [bytes(sample["written"]).decode() for (sample,) in samples]
        found = [each.get("ctc", each)["text"] for each in predictions]
        return {
            "word_error_rate": word_errors(wanted, found),
            "character_error_rate": character_errors(wanted, found),
        }


class SpeechCtcProcessor(TranscribedSpeechProcessor):
    """Reads ``audio`` and ``text``, for the target ``ctc``."""

    def __init__(self, config: SpeechCtcProcessorConfig, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, tokenizer)
        self.texts = CtcTexts(data, tokenizer)

    def check_text(self, ids: list[int]) -> None:
        self.texts.check(ids)

    def evaluation_sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        """A sample with the original text in ``written``."""
        return {**super().evaluation_sample(rows, index, generator), "written": rows.get("written", index)}

    def collate(self, samples: list[Sample]) -> Batch:
        return Batch.of(self.inputs(samples), len(samples), labels={"ctc": self.texts.labels(samples)})

    def describe(self, predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The predictions with ids replaced by texts."""
        return [spelled(each, self.tokenizer) for each in predictions]

    def carried(self, sample: Sample) -> Sample:
        return self.texts.carried(sample)

    def score(self, predictions: list[dict[str, Any]], samples: list[list[Sample]]) -> dict[str, tuple[float, float]]:
        return self.texts.score(predictions, samples)
