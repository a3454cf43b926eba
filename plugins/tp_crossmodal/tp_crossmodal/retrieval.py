"""Search between pictures and texts with a model of two streams that were trained to agree (CLIP)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tp_core.errors import DataError, TPError
from tp_core.inference.batches import Unusable, answers
from tp_core.inference.load import LoadedModel, load_model
from tp_core.inference.mode import evaluating
from tp_core.inference.predict import skips
from tp_core.inference.processes import ALONE, Processes
from tp_core.inference.vectors import batch_vectors
from tp_core.interfaces import Batch, Record, Sample
from tp_core.modules.targets.contrastive import Contrastive
from tp_core.spec.schema_embed import EmbedOptions
from tp_core.spec.vectors import vector_plan
from tp_crossmodal.processors.image_text_pair import ImageTextPairProcessor

Vectors = NDArray[np.float32]
#: Similarities that are in memory at a time.
_BLOCK = 1 << 24
RANKS = (1, 5, 10)
_NONE: Vectors = np.empty((0, 0), dtype=np.float32)


@dataclass(frozen=True)
class Collection:
    """Pictures and texts to search in.

    Attributes:
        images: name of each picture: its file, or the file and row that hold it.
        image_vectors: (images, size).
        texts: the different texts.
        text_vectors: (texts, size).
        truth: number of each picture's own text; -1 for a picture without.
    """

    images: list[str]
    image_vectors: Vectors
    texts: list[str]
    text_vectors: Vectors
    truth: NDArray[np.int64]


class Searcher:
    """A trained model as a search engine.

    Args:
        model: a loaded model, or its folder.
        processes: share the records (:func:`tp_core.inference.processes.shared`). The first gets all vectors, and the
            others none.

    Raises:
        TPError: the model does not compare pictures with texts.
    """

    def __init__(
        self,
        model: LoadedModel | str | os.PathLike[str],
        device: str = "auto",
        batch_size: int = 32,
        processes: Processes = ALONE,
    ) -> None:
        self.loaded = model if isinstance(model, LoadedModel) else load_model(model, device, processes=processes)
        self.batch_size, self.processes = batch_size, processes
        targets = [target for target in self.loaded.model.named_targets().values() if isinstance(target, Contrastive)]
        processor = self.loaded.processor
        if not targets or not isinstance(processor, ImageTextPairProcessor):
            names = ", ".join(self.loaded.model.named_targets()) or "none"
            needed = "the target clr and the processor image_text_pair"
            raise TPError(f"retrieval compares vectors and needs a model with {needed}; this one's targets are {names}")
        self.processor = processor

    def vectors(self, records: Iterable[Record]) -> Vectors:
        """(records, size) of records that have a text only, or a picture only.

        Raises:
            DataError: a text or a picture cannot be used.
        """
        parts = [vector for _, vector in self._embedded(records, self.processor.encode)]
        return np.stack(parts) if parts else _NONE

    def of_texts(self, texts: list[str]) -> Vectors:
        """(texts, size)."""
        return self.vectors(Record({"text": text}, "texts", number) for number, text in enumerate(texts, 1))

    def of_image(self, path: str | os.PathLike[str]) -> Vectors:
        """(1, size) of a picture's file."""
        file = os.path.abspath(path)
        return self.vectors([Record({"image": file}, file, 1)])

    def collect(self, records: Iterable[Record], skipped: list[str] | None = None) -> Collection:
        """Embed the pictures of records, and their texts where they have some.

        Args:
            skipped: what is said of records that cannot be used is added to it, if the model's spec skips such records.

        Raises:
            DataError: a record has no picture, or one that cannot be used, and the spec does not skip it; or there is
                none.
        """
        collection = self.pictures(records, skipped)
        texts = self.processes.from_first(collection.texts)
        return replace(collection, texts=texts, text_vectors=self.of_texts(texts))

    def pictures(self, records: Iterable[Record], skipped: list[str] | None = None) -> Collection:
        """:meth:`collect`, without the vectors of texts."""
        images: list[str] = []
        numbers: dict[str, int] = {}
        truth: list[int] = []
        parts: list[Vectors] = []
        seen = [] if skipped is None else skipped
        for record, vector in self._embedded(records, self._visual_samples, seen if skips(self.loaded) else None):
            own = _text(record)
            truth.append(-1 if own is None else numbers.setdefault(own, len(numbers)))
            images.append(_name(record))
            parts.append(vector)
        if not images and self.processes.first:
            raise DataError(f"there is nothing to search in: no record{' that can be used' if seen else ''}")
        texts = list(numbers)
        if not images:
            return Collection([], _NONE, [], _NONE, np.array(truth, dtype=np.int64))
        return Collection(images, np.stack(parts), texts, np.empty((0, parts[0].size), np.float32), np.array(truth))

    def _visual_samples(self, records: list[Record]) -> list[Sample]:
        """Samples of the pictures only."""
        field = self.processor.visual.field
        for record in records:
            if record.value.get(field) in (None, ""):
                fields = ", ".join(record.value) or "none"
                message = f"no field '{field}'; the fields are {fields} (data.columns renames them)"
                raise DataError(message, file=record.file, line=record.line)
        alone = [{name: value for name, value in each.value.items() if name != "text"} for each in records]
        return self.processor.encode([Record(v, each.file, each.line) for v, each in zip(alone, records)])

    def _embedded(
        self,
        records: Iterable[Record],
        encode: Callable[[list[Record]], list[Sample]],
        skipped: list[str] | None = None,
    ) -> Iterator[tuple[Record, Vectors]]:
        """Records in order, each with its vector, (size,).

        Args:
            skipped: what is said of records that cannot be used, and are left out; None if they are an error.
        """
        skip, device = skipped is not None, self.loaded.device
        made = answers(
            records, self.processor, self.batch_size, device, self._batch_vectors, encode, skip, self.processes
        )
        for chunk, found in made:
            for record, answer in zip(chunk, found):
                if not isinstance(answer, Unusable):
                    yield record, answer
                elif skipped is not None:
                    skipped.append(answer.error)

    def _batch_vectors(self, batch: Batch, numbers: list[int], records: list[Record]) -> Sequence[Vectors]:
        (stream,) = batch.source
        plan = vector_plan(self.loaded.spec, EmbedOptions(stream=stream))
        with evaluating(self.loaded.model):
            return list(batch_vectors(self.loaded.model, batch, plan).cpu().numpy())


def _text(record: Record) -> str | None:
    value = record.value.get("text")
    return None if value is None or not str(value).strip() else str(value)


def _name(record: Record) -> str:
    value = record.value.get("image")
    return value if isinstance(value, str) else f"{record.file}:{record.line}"


def nearest(query: Vectors, candidates: Vectors, names: list[str], top: int) -> list[dict[str, Any]]:
    """The candidates that are most like a query, the best first.

    Args:
        query: (1, size).
        candidates: (candidates, size), of ``names``.
    """
    similarity = candidates @ query[0]
    best = np.argsort(-similarity, kind="stable")[:top]
    return [{"name": names[number], "similarity": float(similarity[number])} for number in best]


def recall(collection: Collection, ranks: Iterable[int] = RANKS) -> dict[str, float]:
    """How often the right answer is among the first k, of pictures that have a text.

    ``image_to_text/recall@k``: a picture's own text, among the different texts. ``text_to_image/recall@k``: any picture
    of the text, among all. What is exactly as like as the right answer counts as before it.

    Raises:
        DataError: no picture has a text.
    """
    paired = collection.truth >= 0
    if not paired.any():
        raise DataError("recall needs pictures with texts, and none of these has one")
    truth, images, texts = collection.truth[paired], collection.image_vectors[paired], collection.text_vectors
    own_text = np.empty(len(truth), dtype=np.float32)
    own_image = np.full(len(texts), -np.inf, dtype=np.float32)
    for rows, similarity in _blocks(images, texts):
        own_text[rows] = similarity[np.arange(len(similarity)), truth[rows]]
        with np.errstate(invalid="ignore"):
            np.maximum.at(own_image, truth[rows], own_text[rows])
    of_images, of_texts = np.empty(len(truth), dtype=np.int64), np.zeros(len(texts), dtype=np.int64)
    for rows, similarity in _blocks(images, texts):
        similarity[np.arange(len(similarity)), truth[rows]] = -np.inf
        # Not "as like or more": what is no number must not count as a right answer.
        of_images[rows] = (~(similarity < own_text[rows, None])).sum(axis=1)
        of_texts += (~(similarity < own_image)).sum(axis=0)
    found: dict[str, float] = {}
    for direction, places in (("image_to_text", of_images), ("text_to_image", of_texts)):
        found |= {f"{direction}/recall@{k}": float((places < k).mean()) for k in ranks}
    return found


def _blocks(images: Vectors, texts: Vectors) -> Iterator[tuple[slice, Vectors]]:
    """The similarities of some pictures (rows) and all texts at a time, with the pictures' places."""
    rows = max(1, _BLOCK // max(1, len(texts)))
    for start in range(0, len(images), rows):
        yield slice(start, start + rows), images[start : start + rows] @ texts.T


def retrieve(
    model: LoadedModel | str | os.PathLike[str],
    records: Iterable[Record],
    query: str | None = None,
    top: int = 10,
    batch_size: int = 32,
    device: str = "auto",
    skipped: list[str] | None = None,
    processes: Processes = ALONE,
) -> dict[str, float] | list[dict[str, Any]]:
    """Search in pictures and texts, or measure how well the model finds their pairs.

    Args:
        query: a text, to which pictures are found; or the file of a picture, to which texts are found. None for
            :func:`recall`.
        top: how many answers to a query.
        skipped: what is said of pictures that cannot be used is added to it, if the model's spec skips such records.
        processes: share the records; the first gets the answer, the others an empty list.

    Raises:
        TPError: the model does not compare pictures with texts, or the records cannot be used.
    """
    if query is not None and not query.strip():
        raise TPError("the query is empty; expected a text, or the file of a picture")
    searcher = Searcher(model, device, batch_size, processes)
    if query is None:
        collection = searcher.collect(records, skipped)
        return recall(collection) if processes.first else []
    if not is_image(query):
        found = searcher.pictures(records, skipped)
        vector, candidates, names = searcher.of_texts([query]), found.image_vectors, found.images
    else:
        names = list(dict.fromkeys(text for text in map(_text, records) if text is not None))
        if not names:
            raise DataError("a picture's texts are asked for, and the data has no texts (the field text)")
        vector, candidates = searcher.of_image(query), searcher.of_texts(names)
    return nearest(vector, candidates, names, top) if processes.first else []


def is_image(query: str) -> bool:
    """Whether a query is the file of a picture."""
    try:
        return Path(query).is_file()
    except OSError:  # longer than a name may be
        return False
