"""The processor of speech with texts, for an encoder-decoder model."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch

from tp_audio.error_rate import character_errors, word_errors
from tp_audio.processors.speech import TranscribedSpeechProcessor
from tp_audio.processors.speech_text_options import SpeechTextProcessorConfig
from tp_core.data.padding import padded
from tp_core.data.spelling import spelled
from tp_core.errors import TPError
from tp_core.interfaces import IGNORE, Batch, GenerationTokens, Rows, Sample, Tokenizer
from tp_core.options.context import DataContext


class SpeechTextProcessor(TranscribedSpeechProcessor):
    """Reads ``audio`` and ``text``.

    The decoder's input is the start token and the text; its labels are the text and the end token.
    """

    def __init__(self, config: SpeechTextProcessorConfig, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data.target_tokenizer or tokenizer)
        self.metrics = config.metrics
        self.room = config.target_max_length - 1
        self.start, self.end = self._edge(config, "start"), self._edge(config, "end")
        self.pad = self.tokenizer.special.get("pad", 0)

    def _edge(self, config: SpeechTextProcessorConfig, option: Literal["start", "end"]) -> int:
        found = config.edge(option, self.tokenizer.special)
        if found is None:
            roles, have = " or ".join(config.roles(option)), ", ".join(self.tokenizer.special) or "none"
            message = f"the vocabulary has no token for '{option}': expected {roles}; its special tokens are {have}"
            raise TPError(f"data.processor: {message}")
        return found

    def check_text(self, ids: list[int]) -> None:
        if len(ids) > self.room:
            raise ValueError(f"the text has {len(ids)} tokens; target_max_length leaves room for {self.room}")

    def collate(self, samples: list[Sample]) -> Batch:
        source, size = self.inputs(samples), len(samples)
        if "text" not in samples[0]:
            alone = torch.full((size, 1), self.start)
            return Batch.of(source, size, {"input_ids": alone}, {"lm": {"labels": torch.full_like(alone, IGNORE)}})
        texts = [np.asarray(sample["text"], dtype=np.int32) for sample in samples]
        read = padded([np.append(np.int32(self.start), text) for text in texts], None, self.pad)
        labels = padded([np.append(text, np.int32(self.end)) for text in texts], None, IGNORE)
        target = {"input_ids": read}
        if bool((labels == IGNORE).any()):
            target["attention_mask"] = (labels != IGNORE).long()
        return Batch.of(source, size, target, {"lm": {"labels": labels}})

    # -- metrics of generated texts ----------------------------------------------------------------------------

    @property
    def has_metrics(self) -> bool:
        return bool(self.metrics)

    @property
    def writes(self) -> bool:
        return bool(self.metrics)

    def evaluation_sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        """A sample; with metrics, it has the original text in ``written``."""
        own = {"written": rows.get("written", index)} if self.metrics else {}
        return {**super().evaluation_sample(rows, index, generator), **own}

    def question(self, sample: Sample) -> Sample:
        return {name: value for name, value in sample.items() if name not in ("text", "written")}

    def carried(self, sample: Sample) -> Sample:
        return {"written": sample["written"]}

    def longest_text(self) -> int:
        return self.room

    def score(self, predictions: list[dict[str, Any]], samples: list[list[Sample]]) -> dict[str, tuple[float, float]]:
        """Word and character error rates against the original texts."""
        wanted = [bytes(sample["written"]).decode() for (sample,) in samples]
        found = [each["text"] for each in predictions]
        rates = {"word_error_rate": word_errors, "character_error_rate": character_errors}
        return {name: rates[name](wanted, found) for name in self.metrics}

    def describe(self, predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The predictions with ids of the decoder's vocabulary replaced by tokens."""
        return [spelled(each, self.tokenizer) for each in predictions]

    def generation(self) -> GenerationTokens:
        return GenerationTokens((self.start,), (self.end,), self.pad)

    def decode(self, ids: list[int], prompt: list[int] | None = None) -> str:
        return self.tokenizer.decode(ids)
