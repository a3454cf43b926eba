"""Search between pictures and texts with a model of two streams that were trained to agree (CLIP)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tp_core.errors import DataError, TPError
from tp_core.inference.batches import inference_batches
from tp_core.inference.load import LoadedModel, load_model
from tp_core.interfaces import Record
from tp_core.modules.targets.contrastive import Contrastive
from tp_crossmodal.processors.image_text_pair import ImageTextPairProcessor

Vectors = NDArray[np.float32]
#: Records whose pictures are in memory at a time.
_CHUNK = 1024
RANKS = (1, 5, 10)


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

    Raises:
        TPError: the model does not compare pictures with texts.
    """

    def __init__(self, model: LoadedModel | str | os.PathLike[str], device: str = "auto", batch_size: int = 32) -> None:
        self.loaded = model if isinstance(model, LoadedModel) else load_model(model, device)
        self.batch_size = batch_size
        targets = [target for target in self.loaded.model.targets.values() if isinstance(target, Contrastive)]
        processor = self.loaded.processor
        if not targets or not isinstance(processor, ImageTextPairProcessor):
            names = ", ".join(self.loaded.model.targets) or "none"
            needed = "the target clr and the processor image_text_pair"
            raise TPError(f"retrieval compares vectors and needs a model with {needed}; this one's targets are {names}")
        self.target, self.processor = targets[0], processor

    def vectors(self, records: Iterable[Record]) -> Vectors:
        """(records, size) of records that have a text only, or a picture only."""
        parts: list[Vectors] = []
        for chunk, groups, batches in inference_batches(records, self.processor, self.batch_size, self.loaded.device):
            part: Vectors | None = None
            for group, batch in zip(groups, batches):
                with torch.inference_mode():
                    ((name, sequence),) = self.loaded.model.encode_source(batch).streams.items()
                    found = self.target.vector(name, sequence).cpu().numpy()
                if part is None:
                    part = np.empty((len(chunk), found.shape[1]), dtype=np.float32)
                part[group] = found
            if part is not None:
                parts.append(part)
        return np.concatenate(parts) if parts else np.empty((0, 0), dtype=np.float32)

    def of_texts(self, texts: list[str]) -> Vectors:
        """(texts, size)."""
        return self.vectors(Record({"text": text}, "texts", number) for number, text in enumerate(texts, 1))

    def of_image(self, path: str | os.PathLike[str]) -> Vectors:
        """(1, size) of a picture's file."""
        file = os.path.abspath(path)
        return self.vectors([Record({"image": file}, file, 1)])

    def collect(self, records: Iterable[Record]) -> Collection:
        """Embed the pictures of records, and their texts where they have some.

        Raises:
            DataError: a picture or a text cannot be used, or there is none.
        """
        images: list[str] = []
        numbers: dict[str, int] = {}
        truth: list[int] = []
        parts: list[Vectors] = []
        source: Iterator[Record] = iter(records)
        field = self.processor.visual.field
        while chunk := list(islice(source, _CHUNK)):
            for record in chunk:
                if record.value.get(field) in (None, ""):
                    fields = ", ".join(record.value) or "none"
                    message = f"no field '{field}'; the fields are {fields} (data.columns renames them)"
                    raise DataError(message, file=record.file, line=record.line)
                text = record.value.get("text")
                own = str(text) if text not in (None, "") else None
                truth.append(-1 if own is None else numbers.setdefault(own, len(numbers)))
                images.append(_name(record))
            parts.append(self.vectors(Record({field: r.value.get(field)}, r.file, r.line) for r in chunk))
        if not images:
            raise DataError("there is nothing to search in: no record")
        texts = list(numbers)
        return Collection(images, np.concatenate(parts), texts, self.of_texts(texts), np.array(truth))


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
    truth = collection.truth[paired]
    similarity = collection.image_vectors[paired] @ collection.text_vectors.T
    own = np.zeros_like(similarity, dtype=bool)
    own[np.arange(len(truth)), truth] = True
    right = np.where(own, similarity, -np.inf)
    of_images = (~own & (similarity >= right.max(axis=1, keepdims=True))).sum(axis=1)
    of_texts = (~own & (similarity >= right.max(axis=0, keepdims=True))).sum(axis=0)
    found: dict[str, float] = {}
    for direction, places in (("image_to_text", of_images), ("text_to_image", of_texts)):
        found |= {f"{direction}/recall@{k}": float((places < k).mean()) for k in ranks}
    return found


def retrieve(
    model: LoadedModel | str | os.PathLike[str],
    records: Iterable[Record],
    query: str | None = None,
    top: int = 10,
    batch_size: int = 32,
    device: str = "auto",
) -> dict[str, float] | list[dict[str, Any]]:
    """Search in pictures and texts, or measure how well the model finds their pairs.

    Args:
        query: a text, to which pictures are found; or the file of a picture, to which texts are found. None for
            :func:`recall`.
        top: how many answers to a query.

    Raises:
        TPError: the model does not compare pictures with texts, or the records cannot be used.
    """
    searcher = Searcher(model, device, batch_size)
    collection = searcher.collect(records)
    if query is None:
        return recall(collection)
    if not is_image(query):
        return nearest(searcher.of_texts([query]), collection.image_vectors, collection.images, top)
    if not collection.texts:
        raise DataError("a picture's texts are asked for, and the data has pictures only")
    return nearest(searcher.of_image(query), collection.text_vectors, collection.texts, top)


def is_image(query: str) -> bool:
    """Whether a query is the file of a picture."""
    return Path(query).is_file()
