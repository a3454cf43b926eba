"""Shared parts of all text processors: special tokens, padding, samples for inference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tp_core.data.fields import text_field
from tp_core.data.padding import lengths_of, width_of
from tp_core.data.spelling import spelled
from tp_core.errors import TPError
from tp_core.interfaces import IGNORE, Batch, Inputs, Processor, Record, Report, Sample, Sides, Tokenizer
from tp_core.interfaces.framing import BARE, Frame, role_frame
from tp_core.options.context import DataContext
from tp_text.embeddings.segment_options import SegmentConfig
from tp_text.processors.reading import TokenizedTexts, text_of, tokenized
from tp_text.processors.text_options import TextProcessorConfig
from tp_text.processors.text_sides import TextSides

Ids = NDArray[np.int32]


class TextProcessor(Processor):
    """Base of the text processors."""

    def __init__(self, config: TextProcessorConfig, data: DataContext, tokenizer: Tokenizer) -> None:
        self.max_length, self.pad_to = config.max_length, config.pad
        self.data, self.tokenizer = data, tokenizer
        self.cls, self.sep = tokenizer.special.get("cls"), tokenizer.special.get("sep")
        self.mask = tokenizer.special.get("mask")
        self.pad = tokenizer.special.get("pad", 0)
        self._frames = self.frames_of(tokenizer)
        # Number of segments of the segment embedding; None if the model has no such embedding.
        embedding = data.fact(SegmentConfig)
        self._unfit = [embedding is not None and f.segment_count > embedding.num_segments for f in self._frames]

    @staticmethod
    def frames_of(tokenizer: Tokenizer) -> tuple[Frame, Frame]:
        """The tokenizer's special tokens around a text and a pair; by default ``[CLS]`` and ``[SEP]`` as in BERT."""
        special, separators = tokenizer.special, tokenizer.pair_separators
        own = (tokenizer.frame(pair) or role_frame(special, pair, separators) for pair in (False, True))
        single, pair = (frame or bare for frame, bare in zip(own, BARE, strict=True))
        return single, pair

    # -- building rows -----------------------------------------------------------------------------------------

    def tokenized(self, records: Iterable[Record], report: Report) -> Iterator[TokenizedTexts]:
        """The texts of the records with their ids; a record without a text is reported."""
        return tokenized(self.tokenizer, records, report)

    def frame(self, pair: bool = False) -> Frame:
        """The special tokens around a text, or around and between the texts of a pair."""
        return self._frames[pair]

    def assemble(self, first: Any, second: Any | None = None) -> Sample:
        """A text, or a pair, with the tokenizer's special tokens and segment numbers."""
        texts = (first,) if second is None else (first, second)
        frame = self.frame(second is not None)
        if self._unfit[second is not None]:
            what = "a text" if second is None else "a pair of texts"
            raise TPError(f"{what} has {frame.segment_count} segments, more than num_segments of the embedding 'seg'")
        return {"input_ids": frame.join(*texts), "token_type_ids": frame.types(*map(len, texts))}

    # -- batches -----------------------------------------------------------------------------------------------

    def collate(self, samples: list[Sample]) -> Batch:
        """Pad ``input_ids`` and ``token_type_ids``; the mask is left out when nothing is padded."""
        lengths = lengths_of([sample["input_ids"] for sample in samples])
        return Batch.of(self.padded_inputs(samples, lengths), len(samples), labels=self.labels(samples))

    def padded_inputs(self, samples: list[Sample], lengths: NDArray[np.int64]) -> Inputs:
        """The inputs of sequences whose ids the samples have one after the other.

        Args:
            samples: samples with ``input_ids`` and ``token_type_ids``.
            lengths: the lengths of the sequences, (sequences,).
        """
        width = width_of(lengths, self.max_length, self.pad_to == "max_length")
        real = np.arange(width) < lengths[:, None]
        source: Inputs = {
            "input_ids": _padded(samples, "input_ids", real, self.pad),
            "token_type_ids": _padded(samples, "token_type_ids", real, 0),
        }
        if not real.all():
            source["attention_mask"] = torch.from_numpy(real.astype(np.int64))
        return source

    def labels(self, samples: list[Sample]) -> dict[str, Inputs]:
        """The labels of a batch, by label name."""
        return {}

    # -- inference ---------------------------------------------------------------------------------------------

    def encode(self, records: list[Record]) -> list[Sample]:
        """Samples from ``text_a`` (or ``text``) and ``text_b`` of the records, cut to the maximum length."""
        first = self._inference_ids([text_of(r) for r in records])
        second = self._inference_ids([text_field(r, "text_b") or "" for r in records])
        samples = []
        for a, b in zip(first, second):
            samples.append(self.assemble(*fit(a, b, self.max_length - self.special_count(bool(b)))))
            self._mark_masks(samples[-1])
        return samples

    def _mark_masks(self, sample: Sample) -> None:
        if self.mask is not None:
            places = np.flatnonzero(sample["input_ids"] == self.mask)
            if len(places):
                sample["mask_positions"] = places

    def search_sides(self) -> Sides | None:
        return TextSides()

    def special_count(self, pair: bool) -> int:
        """Number of special tokens around a text or a pair."""
        return self.frame(pair).special_count

    def _inference_ids(self, texts: list[str]) -> list[list[int]]:
        """Ids of texts that may contain the mask token as text."""
        return self.tokenizer.encode_masked(texts)

    def mask_labels(self, samples: list[Sample]) -> dict[str, Inputs]:
        """Positions to predict: those of the mask tokens in the text (-1: none)."""
        found = [s.get("mask_positions", ()) for s in samples]
        width = max(1, *(len(f) for f in found)) if found else 1
        places = np.full((len(samples), width), -1, dtype=np.int64)
        for row, positions in zip(places, found):
            row[: len(positions)] = positions
        return {"mlm": {"positions": torch.from_numpy(places), "labels": torch.full(places.shape, IGNORE)}}

    def describe(self, predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Replace token ids by tokens."""
        return [spelled(p, self.tokenizer) for p in predictions]


def _padded(samples: list[Sample], name: str, real: NDArray[np.bool_], fill: int) -> torch.Tensor:
    values = np.full(real.shape, fill, dtype=np.int64)
    values[real] = np.concatenate([s[name] for s in samples])
    return torch.from_numpy(values)


def fit(first: list[int], second: list[int], room: int) -> tuple[list[int], list[int] | None]:
    """Cut a text, or a pair from its longer side, to ``room`` tokens.

    If both are cut, the text that was longer keeps one more token, as in Hugging Face's tokenizers library.
    """
    if not second:
        return first[:room], None
    a, b = len(first), len(second)
    if a + b > room:
        shorter = min(a, b, room)
        longer = max(shorter, room - shorter)
        if shorter + longer > room:
            shorter, longer = room // 2, room - room // 2
        a, b = (longer, shorter) if a > b else (shorter, longer)
    return first[:a], second[:b]
