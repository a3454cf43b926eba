"""Search between pictures and texts with a contrastive model of two streams (CLIP)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tp_core.artifacts.load import LoadedModel, loaded_model
from tp_core.data.fields import missing_field, text_field
from tp_core.data.sources.unreadable import Unreadable
from tp_core.errors import DataError, TPError
from tp_core.evaluation.mode import evaluating
from tp_core.inference.batches import Unusable, answers
from tp_core.inference.predict import skips
from tp_core.inference.vectors import batch_vectors
from tp_core.interfaces import Batch, Record, Sample
from tp_core.modules.targets.contrastive import Contrastive
from tp_core.processes.shared import ALONE, Processes
from tp_core.spec.sections.embed import EmbedOptions
from tp_core.spec.trained.vectors import vector_plan
from tp_crossmodal.processors.image_text_pair import ImageTextPairProcessor

Vectors = NDArray[np.float32]
#: Maximum number of similarities in memory.
_BLOCK = 1 << 24
RANKS = (1, 5, 10)
_NONE: Vectors = np.empty((0, 0), dtype=np.float32)


@dataclass(frozen=True)
class Collection:
    """Pictures and texts to search in. Each picture and each text occurs once, even if several records have it.

    Attributes:
        images: name of each picture: its file, or the file and row that contain it.
        image_vectors: (images, size).
        texts: the different texts.
        text_vectors: (texts, size).
        pairs: (pairs, 2), the indices of a picture and a text that belong together; each pair occurs once. A picture
            may have several texts, and a text several pictures.
    """

    images: list[str]
    image_vectors: Vectors
    texts: list[str]
    text_vectors: Vectors
    pairs: NDArray[np.int64]


class Searcher:
    """A trained model as a search engine.

    Args:
        model: a loaded model, or its folder.
        processes: the processes that share the records (:func:`tp_core.processes.shared.shared`). The first gets
            all vectors, the others get none.

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
        self.loaded = loaded_model(model, device, processes)
        self.batch_size, self.processes = batch_size, processes
        targets = [target for target in self.loaded.model.named_targets().values() if isinstance(target, Contrastive)]
        processor = self.loaded.processor
        if not targets or not isinstance(processor, ImageTextPairProcessor):
            names = ", ".join(self.loaded.model.named_targets()) or "none"
            needed = "the target clr and the processor image_text_pair"
            raise TPError(f"retrieval compares vectors and needs a model with {needed}; this one's targets are {names}")
        self.processor = processor

    def vectors(self, records: Iterable[Record]) -> Vectors:
        """Vectors (records, size) of records that have only a text or only a picture.

        Raises:
            DataError: a text or a picture cannot be used.
        """
        parts = [vector for _, _, vector in self._embedded(records, self.processor.encode)]
        return np.stack(parts) if parts else _NONE

    def of_texts(self, texts: list[str]) -> Vectors:
        """Vectors (texts, size) of texts."""
        return self.vectors(Record({"text": text}, "texts", number) for number, text in enumerate(texts, 1))

    def of_image(self, path: str | os.PathLike[str]) -> Vectors:
        """Vector (1, size) of a picture file."""
        file = os.path.abspath(path)
        return self.vectors([Record({"image": file}, file, 1)])

    def collect(self, records: Iterable[Record], skipped: list[str] | None = None) -> Collection:
        """Embed the pictures of records, and their texts if they have any.

        Args:
            skipped: list to which errors of skipped records are added, if the model's spec skips bad records.

        Raises:
            DataError: a picture is missing or cannot be used, and the spec does not skip bad records; or there are no
                records.
        """
        collection = self.pictures(records, skipped)
        texts = self.processes.from_first(collection.texts)
        return replace(collection, texts=texts, text_vectors=self.of_texts(texts))

    def pictures(self, records: Iterable[Record], skipped: list[str] | None = None) -> Collection:
        """:meth:`collect`, without the vectors of texts."""
        images: list[str] = []
        parts: list[Vectors] = []
        used: list[int] = []
        seen = [] if skipped is None else skipped
        pictures = _Pictures(records, self.processor.visual.content, seen if skips(self.loaded) else None)
        made = self._embedded(pictures, self._visual_samples, seen if skips(self.loaded) else None)
        for number, record, vector in made:
            images.append(_name(record))
            parts.append(vector)
            used.append(number)
        if not images and self.processes.first:
            raise DataError(f"there is nothing to search in: no record{' that can be used' if seen else ''}")
        if not images:
            return Collection([], _NONE, [], _NONE, np.empty((0, 2), dtype=np.int64))
        # All records have been read, so that all texts of each picture are known.
        texts: dict[str, int] = {}
        owned = enumerate(pictures.texts[number] for number in used)
        pairs = [(image, texts.setdefault(text, len(texts))) for image, own in owned for text in own]
        empty = np.empty((0, parts[0].size), np.float32)
        return Collection(images, np.stack(parts), list(texts), empty, np.array(pairs, dtype=np.int64).reshape(-1, 2))

    def _visual_samples(self, records: list[Record]) -> list[Sample]:
        """Encode the pictures of records, without their texts."""
        field = self.processor.visual.field
        for record in records:
            if record.value.get(field) in (None, ""):
                raise missing_field(record, f"'{field}'")
        alone = [{name: value for name, value in each.value.items() if name != "text"} for each in records]
        return self.processor.encode([Record(v, each.file, each.line) for v, each in zip(alone, records)])

    def _embedded(
        self,
        records: Iterable[Record],
        encode: Callable[[list[Record]], list[Sample]],
        skipped: list[str] | None = None,
    ) -> Iterator[tuple[int, Record, Vectors]]:
        """Yield the number, the record and its vector (size,) for each record, in order.

        Args:
            skipped: list to which errors of skipped records are added; None if a bad record raises its error.
        """
        skip, device = skipped is not None, self.loaded.device
        made = answers(
            records, self.loaded.feed, self.batch_size, device, self._batch_vectors, encode, skip, self.processes
        )
        numbers = count()
        for chunk, found in made:
            for record, answer, number in zip(chunk, found, numbers):
                if not isinstance(answer, Unusable):
                    yield number, record, answer
                elif skipped is not None:
                    skipped.append(answer.error)

    def _batch_vectors(self, batch: Batch, numbers: list[int], records: list[Record]) -> Sequence[Vectors]:
        (stream,) = batch.source
        plan = vector_plan(self.loaded.spec, EmbedOptions(stream=stream))
        with evaluating(self.loaded.model):
            return list(batch_vectors(self.loaded.model, batch, plan).cpu().numpy())


class _Pictures(Iterable[Record]):
    """Yields the first record of each picture, and collects the texts of all records of each picture.

    Args:
        content: the fields that identify a picture.
        skipped: list to which errors of records with unusable texts are added; None if they raise their error.

    Attributes:
        texts: the different texts of each picture, in order.
    """

    def __init__(self, records: Iterable[Record], content: Sequence[str], skipped: list[str] | None) -> None:
        self.texts: list[dict[str, None]] = []
        self._records, self._content, self._skipped = records, content, skipped

    def __iter__(self) -> Iterator[Record]:
        known: dict[bytes, int] = {}
        for record in self._records:
            try:
                own = dict.fromkeys(_texts(record))
            except DataError as error:
                if self._skipped is None:
                    raise
                self._skipped.append(str(error))
                continue
            picture = _identity(record, self._content)
            if picture is not None and picture in known:
                self.texts[known[picture]].update(own)
                continue
            if picture is not None:
                known[picture] = len(self.texts)
            self.texts.append(own)
            yield record


def _identity(record: Record, content: Sequence[str]) -> bytes | None:
    """Hash that identifies a picture by the path of its file or by its content; None if the record has neither."""
    digest = hashlib.blake2b(digest_size=16)
    for field in content:
        value = record.value.get(field)
        if isinstance(value, Mapping):
            value = value.get("path") if value.get("bytes") is None else value["bytes"]
        if isinstance(value, str) and value:
            known = os.fsencode(os.path.realpath(os.path.join(os.path.dirname(record.file), value)))
        elif isinstance(value, (bytes, bytearray)):
            known = bytes(value)
        elif isinstance(value, (list, tuple, np.ndarray)):
            try:
                numbers = np.asarray(value, dtype=np.float64)
            except (TypeError, ValueError):
                return None
            known = f"{numbers.shape}".encode() + numbers.tobytes()
        else:
            return None
        digest.update(f"{type(value).__name__} {len(known)} ".encode() + known)
    return digest.digest()


def _texts(record: Record) -> list[str]:
    """Texts of a record, which are one text or a list of texts. Blank texts are left out.

    Raises:
        DataError: the field contains something else.
    """
    value = record.value.get("text")
    many = value if isinstance(value, (list, tuple)) else [value]
    found = [text_field(Record({"text": each}, record.file, record.line), "text") for each in many]
    return [text for text in found if text is not None and text.strip()]


def _name(record: Record) -> str:
    value = record.value.get("image")
    return value if isinstance(value, str) else f"{record.file}:{record.line}"


def nearest(query: Vectors, candidates: Vectors, names: list[str], top: int) -> list[dict[str, Any]]:
    """Return the candidates that are most similar to a query, the best first.

    Args:
        query: (1, size).
        candidates: vectors of ``names``, (candidates, size).
    """
    similarity = candidates @ query[0]
    best = np.argsort(-similarity, kind="stable")[:top]
    return [{"name": names[number], "similarity": float(similarity[number])} for number in best]


def recall(collection: Collection, ranks: Iterable[int] = RANKS) -> dict[str, float]:
    """Compute the share of queries with a correct answer among the first k (Karpathy & Fei-Fei, 2015).

    ``image_to_text/recall@k`` is the share of pictures for which one of their own texts is among the first k of all
    texts. ``text_to_image/recall@k`` is the share of texts for which one of their own pictures is among the first k of
    all pictures with texts. A wrong answer that is exactly as similar as the best correct answer is ranked before it.

    Raises:
        DataError: no picture has a text.
    """
    if not len(collection.pairs):
        raise DataError("recall needs pictures with texts, and none of these has one")
    paired, own = np.unique(collection.pairs[:, 0], return_inverse=True)
    order = np.argsort(own, kind="stable")
    # Sorted by picture, like the blocks.
    own, truth = own.reshape(-1)[order], collection.pairs[order, 1]
    images, texts = collection.image_vectors[paired], collection.text_vectors
    own_text = np.full(len(images), -np.inf, dtype=np.float32)
    own_image = np.full(len(texts), -np.inf, dtype=np.float32)
    for rows, similarity in _blocks(images, texts):
        here = slice(*np.searchsorted(own, (rows.start, rows.start + len(similarity))))
        right = similarity[own[here] - rows.start, truth[here]]
        with np.errstate(invalid="ignore"):
            np.maximum.at(own_text, own[here], right)
            np.maximum.at(own_image, truth[here], right)
    of_images, of_texts = np.empty(len(images), dtype=np.int64), np.zeros(len(texts), dtype=np.int64)
    for rows, similarity in _blocks(images, texts):
        here = slice(*np.searchsorted(own, (rows.start, rows.start + len(similarity))))
        similarity[own[here] - rows.start, truth[here]] = -np.inf
        # "not less" instead of "greater or equal", so that NaN does not count as a correct answer.
        of_images[rows] = (~(similarity < own_text[rows, None])).sum(axis=1)
        of_texts += (~(similarity < own_image)).sum(axis=0)
    found: dict[str, float] = {}
    for direction, places in (("image_to_text", of_images), ("text_to_image", of_texts)):
        found |= {f"{direction}/recall@{k}": float((places < k).mean()) for k in ranks}
    return found


def _blocks(images: Vectors, texts: Vectors) -> Iterator[tuple[slice, Vectors]]:
    """Yield blocks of similarities of some pictures (rows) and all texts, with the slice of the pictures."""
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
        query: a text, for which pictures are found, or the file of a picture, for which texts are found. None computes
            :func:`recall`.
        top: number of results of a query.
        skipped: list to which errors of skipped records are added, if the model's spec skips bad records.
        processes: the processes that share the records; the first gets the answer, the others an empty list.

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
        names = _all_texts(records, skipped if skips(searcher.loaded) else None)
        if not names:
            raise DataError(
                "the query is a picture, which needs texts to search in, but the data has no texts (the field text)"
            )
        vector, candidates = searcher.of_image(query), searcher.of_texts(names)
    return nearest(vector, candidates, names, top) if processes.first else []


def _all_texts(records: Iterable[Record], skipped: list[str] | None) -> list[str]:
    """Different texts of all records, in order.

    Args:
        skipped: as in :class:`_Pictures`.
    """
    found: dict[str, None] = {}
    for record in records:
        try:
            if isinstance(record, Unreadable):
                raise DataError(record.error)
            found |= dict.fromkeys(_texts(record))
        except DataError as error:
            if skipped is None:
                raise
            skipped.append(str(error))
    return list(found)


def is_image(query: str) -> bool:
    """True if a query is the path of an existing file, which is then read as a picture."""
    try:
        return Path(query).is_file()
    except OSError:  # the query is too long for a file name
        return False
