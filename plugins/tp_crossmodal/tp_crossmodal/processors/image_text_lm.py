"""Processor of pictures and texts as one sequence of tokens, in which one part is generated from the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tp_core.data.fields import missing_field, text_field
from tp_core.data.padding import joined, padded
from tp_core.data.sources.read_in_order import read_in_order
from tp_core.errors import DataError, TPError
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
    Sides,
    Tokenizer,
)
from tp_core.local.trust import trusted, trusting
from tp_core.modules import built
from tp_core.options.context import BuildContext, DataContext
from tp_crossmodal.processors.image_text import caption
from tp_crossmodal.processors.image_text_lm_options import ImageTextLmConfig
from tp_text.processors.seq2seq import end_of
from tp_text.processors.text import TextProcessor
from tp_vision import VisualTokenizer
from tp_vision.processors.image import PictureProcessor

Ids = NDArray[np.int32]

#: Number of pictures that are turned into tokens together, and of rows that are written together.
_CHUNK = 64


class ImageTextLmProcessor(TextProcessor):
    """Makes ``[CLS] text [SEP] image`` or ``[CLS] image [SEP] text [EOS]``; missing special tokens are left out.

    The id of image token k is the size of the text vocabulary plus k. ``token_type_ids`` are 1 at image tokens and 0
    elsewhere, for both orders. Pictures become tokens when data are prepared. Rows hold ``text``, ids without special
    tokens, and ``image``, image tokens.
    """

    #: Number of records that are encoded together at inference; their pictures are all in memory.
    read_ahead = 256

    def __init__(self, config: ImageTextLmConfig, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data, tokenizer)
        begin = self.cls if self.cls is not None else tokenizer.special.get("bos")
        end, grid, longest = end_of(tokenizer), config.grid, config.sequence_length()
        assert end is not None  # the config has checked this and the size of pictures
        assert grid is not None
        assert longest is not None
        self.head = () if begin is None else (begin,)
        self.between = () if self.sep is None else (self.sep,)
        self.end, self.config, self.grid = end, config, grid
        self.text_length, self.max_length = config.max_length, longest
        self.room = self.text_length - len(self.head) - len(self.between)
        self.first = tokenizer.vocab_size
        self.inner = PictureProcessor(config.pictures(), data)
        self._image_tokenizer: VisualTokenizer | None = None
        self._trust_code = trusted()  # the image tokenizer is built later, but with the trust of the processor

    def __getstate__(self) -> dict[str, Any]:
        """State for other processes, without the image tokenizer, because they do not make image tokens."""
        return {**self.__dict__, "_image_tokenizer": None}

    # -- image tokens ------------------------------------------------------------------------------------------

    @property
    def image_ids(self) -> range:
        """Ids of image tokens."""
        return range(self.first, self.first + self.config.extra_ids())

    def image_tokenizer(self) -> VisualTokenizer:
        """Return the frozen image tokenizer, on the CPU.

        Raises:
            TPError: the spec sets no image tokenizer, or it cannot be loaded.
        """
        if self._image_tokenizer is None:
            chosen = self.config.image_tokenizer
            if chosen is None:
                raise TPError(
                    "data.processor.image_text_lm.image_tokenizer is not set; pictures cannot be turned into tokens"
                )
            with trusting(self._trust_code):
                found: VisualTokenizer = built(chosen.config, BuildContext().with_facts(self.grid), VisualTokenizer)
            self._image_tokenizer = found.requires_grad_(False).eval()
        return self._image_tokenizer

    @torch.no_grad()
    def _tokens(self, pictures: list[Tensor]) -> list[Ids]:
        """Turn pictures of any size, (channels, height, width) uint8, into tokens."""
        if not pictures:
            return []
        pixels = torch.stack([self.inner.pictures.plain(picture) for picture in pictures])
        tokens = self.image_tokenizer()(pixels)
        if tokens.shape != (len(pictures), self.grid.patches):
            made, expected = tuple(tokens.shape[1:]), self.grid.patches
            raise TPError(f"the image tokenizer gives tokens of shape {made} per picture; expected ({expected},)")
        if int(tokens.max()) >= len(self.image_ids):
            raise TPError(
                f"the image tokenizer gives the token {int(tokens.max())}; expected 0 to {len(self.image_ids) - 1}"
            )
        return list(tokens.numpy().astype(np.int32))

    def _picture(self, record: Record) -> Tensor:
        if not _has(record, "image"):
            raise missing_field(record, "'image'" if _has(record, "text") else "'image' or 'text'")
        return self.inner.read(record)[1]

    # -- rows --------------------------------------------------------------------------------------------------

    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        texts: list[str] = []
        pictures: list[Tensor] = []
        for text, picture in read_in_order(self._read, records, report):
            texts.append(text)
            pictures.append(picture)
            if len(texts) == _CHUNK:
                yield self._columns(texts, pictures)
                texts, pictures = [], []
        yield self._columns(texts, pictures)

    def _read(self, record: Record) -> tuple[str, Tensor]:
        picture, text = self._picture(record), caption(record, "image")
        return text, self.inner.pictures.resized(picture)

    def _columns(self, texts: list[str], pictures: list[Tensor]) -> dict[str, list[Any]]:
        ids = [each[: self.room] for each in self.tokenizer.encode_batch(texts)]
        return {"text": ids, "image": self._tokens(pictures)}

    # -- samples -----------------------------------------------------------------------------------------------

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        draws = self.config.direction == "text_to_image"
        if self.config.direction == "both":
            draws = bool(generator.random() < 0.5)
        return self._whole(rows.get("text", index), rows.get("image", index), draws)

    def _whole(self, text: Any, image: Any, draws: bool) -> Sample:
        """Build a sample with the picture after its text, or the text after its picture; labels are the next tokens."""
        filled = 0
        if draws:
            prefix, rest = self._text_first(text), np.asarray(image, np.int32) + np.int32(self.first)
            filled = len(prefix) - len(self._text_first(text, fill=False))
        else:
            prefix, rest = self._image_first(image), joined(text[: self.room], [self.end])
        sample = self._sample(prefix, rest)
        labels = np.append(sample["input_ids"][1:], np.int32(IGNORE))
        last = len(prefix) - 1  # the position that predicts the first token of the second part
        labels[last - filled if self.config.prefix_loss else 0 : last] = IGNORE
        sample["labels"] = labels
        return sample

    def _text_first(self, text: Any, fill: bool = True) -> Ids:
        ids = joined(self.head, text[: self.room], self.between)
        if fill and self.config.pad_text:
            ids = joined(ids, [self.pad] * (self.text_length - len(ids)))
        return ids if len(ids) else joined([self.end])

    def _image_first(self, image: Any) -> Ids:
        return joined(self.head, np.asarray(image, np.int32) + np.int32(self.first), self.between)

    def _sample(self, prefix: Ids, rest: Any = ()) -> Sample:
        ids = joined(prefix, rest)
        types = (ids >= self.first).astype(np.int32)
        return {"input_ids": ids, "token_type_ids": types, "prefix_length": len(prefix)}

    # -- batches -----------------------------------------------------------------------------------------------

    def collate(self, samples: list[Sample]) -> Batch:
        batch = super().collate(samples)
        source: Inputs = batch.inputs
        if not self.config.prefix_loss:
            source = source | {"prefix_lengths": torch.tensor([s["prefix_length"] for s in samples])}
        nothing = np.empty(0, dtype=np.int32)
        labels = padded([s.get("labels", nothing) for s in samples], source["input_ids"].shape[1], IGNORE)
        return Batch.of(source, batch.size, labels={"lm": {"labels": labels}})

    # -- inference ---------------------------------------------------------------------------------------------

    def encode(self, records: list[Record]) -> list[Sample]:
        """Encode records with a text, a picture or both. With both, the text is first only for ``text_to_image``."""
        seen = [number for number, record in enumerate(records) if _has(record, "image") or not _has(record, "text")]
        images = dict(zip(seen, self._tokens([self._picture(records[number]) for number in seen])))
        texts = self._inference_ids([text_field(record, "text") or "" for record in records])
        found = []
        for number, (record, text) in enumerate(zip(records, texts)):
            if number not in images:
                sample = self._sample(self._text_first(text))
            elif not _has(record, "text"):
                sample = self._sample(self._image_first(images[number]))
            else:
                sample = self._whole(text, images[number], self.config.direction == "text_to_image")
                del sample["labels"]
            found.append(sample)
        return found

    def search_sides(self) -> Sides | None:
        """None, because an encoder reads text and picture together."""
        return None

    def prompts(self, records: list[Record], room: PromptRoom) -> list[Sample]:
        """Encode pictures as prompts, from which texts are generated. Texts of the records are not read."""
        for record in records:
            if not _has(record, "image") and _has(record, "text"):
                message = "no field 'image': texts are generated from pictures; use tp draw to make pictures from texts"
                raise DataError(message, file=record.file, line=record.line)
        images = self._tokens([self._picture(record) for record in records])
        return [self._sample(self._image_first(image)) for image in images]

    def generation(self) -> GenerationTokens:
        if self.config.direction == "text_to_image":
            raise TPError("the model makes pictures from texts (direction: text_to_image); use tp draw")
        ids = range(self.first)
        return GenerationTokens(end=(self.end,), pad=self.pad, inputs={"token_type_ids": 0}, ids=ids)

    def decode(self, ids: list[int], prompt: list[int] | None = None) -> str:
        return self.tokenizer.decode(ids)

    # -- drawing -----------------------------------------------------------------------------------------------

    def drawing_prompts(self, records: list[Record]) -> list[Sample]:
        """Encode texts as prompts, from which pictures are generated. Pictures of the records are not read."""
        texts = self._inference_ids([caption(record, "record") for record in records])
        return [self._sample(self._text_first(text)) for text in texts]

    def drawing(self) -> GenerationTokens:
        """Tokens for the generation of a picture: only image tokens are allowed.

        Raises:
            TPError: the model was trained in the other direction only.
        """
        if self.config.direction == "image_to_text":
            raise TPError("the model makes texts from pictures (direction: image_to_text); use tp generate")
        return GenerationTokens(pad=self.pad, inputs={"token_type_ids": 1}, ids=self.image_ids)

    @torch.no_grad()
    def drawn(self, ids: list[list[int]]) -> Tensor:
        """Decode generated ids to pictures, (pictures, channels, height, width), uint8.

        Raises:
            TPError: the tokenizer cannot turn tokens into pictures.
        """
        pixels = self.image_tokenizer().decode(torch.tensor(ids) - self.first)
        restored = pixels.float() * self.inner.pictures.std + self.inner.pictures.mean
        return (restored.clamp(0, 1) * 255).round().to(torch.uint8)


def _has(record: Record, name: str) -> bool:
    return record.value.get(name) not in (None, "")
