"""``retrieve``: search in records by vectors, and measures of how well a model finds what belongs together."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, count, islice
from typing import Any

import numpy as np

from tp_core.artifacts.load import LoadedModel, loaded_model
from tp_core.data.fields import number_field
from tp_core.errors import DataError, TPError
from tp_core.inference.batches import Unusable, need_batch_size
from tp_core.inference.collection import NO_VECTORS, Collection, Distinct, Items, items_of
from tp_core.inference.embed import Embedder
from tp_core.inference.predict import skips
from tp_core.inference.ranking import RANKS, Vectors, measures, nearest, paired_similarities, places
from tp_core.interfaces import Item, Record
from tp_core.metrics.correlation import pearson, spearman
from tp_core.options.facts import Comparison
from tp_core.processes.shared import ALONE, Processes
from tp_core.spec.schema import Spec

#: Number of queries that are answered together.
_QUERIES = 4096


class Searcher:
    """A trained model as a search engine.

    Args:
        model: a loaded model, or its folder.
        by: the function that compares vectors; default: that of ``inference.embed``, else that of the model's target.
        prompt: name of the prompt before each text to search in; default: that of ``inference.embed``.
        query_prompt: name of the prompt before each query. Of pairs, the first texts are queries.
        processes: the processes that share the records (:func:`tp_core.processes.shared.shared`). The first gets
            all vectors and results, the others none.
        say: called with a sentence that describes the vectors.

    Attributes:
        sides: reads the two sides of records.
        by: the function that compares vectors.

    Raises:
        TPError: the model's processor has no two sides, or their vectors cannot be compared.
    """

    def __init__(
        self,
        model: LoadedModel | str | os.PathLike[str],
        device: str = "auto",
        batch_size: int = 32,
        processes: Processes = ALONE,
        by: Comparison | None = None,
        prompt: str | None = None,
        query_prompt: str | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        need_batch_size(batch_size)
        self.loaded = loaded_model(model, device, processes)
        self.batch_size, self.processes = batch_size, processes
        sides = None if self.loaded.processor is None else self.loaded.processor.search_sides()
        if sides is None:
            chosen = self.loaded.spec.data.processor
            made = f"the processor {chosen.name}" if chosen is not None else "none"
            raise TPError(f"retrieval needs a processor of texts, or of pictures with texts; this model has {made}")
        self.sides = sides
        self._queries = [self._embedder(side, query_prompt) for side in (0, 1)]
        self._candidates = [self._embedder(side, prompt) for side in (0, 1)]
        _need_comparable(self.loaded.spec, self._candidates)
        self.by: Comparison = by or self._candidates[0].similarity
        ways = dict.fromkeys(each.describe() for each in (self._queries[0], *self._candidates))
        say("\n".join([*ways, f"compared by: {self.by}"]))

    def _embedder(self, side: int, prompt: str | None) -> Embedder:
        given = {"stream": self.sides.streams[side] or None, "prompt": prompt if self.sides.prompted[side] else ""}
        return Embedder(self.loaded, given)

    # -- reading -----------------------------------------------------------------------------------------------

    def collect(self, records: Iterable[Record], skipped: list[str] | None = None) -> Collection:
        """Embed the items of both sides of records, and note which belong together.

        Args:
            skipped: list to which errors of skipped records are added, if the model's spec skips bad records.

        Raises:
            DataError: a record lacks a side or cannot be used, and the spec does not skip bad records; or there are no
                records.
        """
        firsts, used, reader = self._distinct(self._queries[0], records, 0, skipped, paired=True)
        partners, pairs = reader.pairs(used)
        partners = self.processes.from_first(partners)
        numbers, vectors = self._embed(self._candidates[1], (each.record for each in partners), skipped)
        if len(numbers) < len(partners):  # without the partners that could not be used
            new = {number: index for index, number in enumerate(numbers)}
            pairs = np.array([(one, new[other]) for one, other in pairs.tolist() if other in new], dtype=np.int64)
        seconds = Items([partners[number].name for number in numbers], vectors)
        return Collection(firsts, seconds, pairs.reshape(-1, 2))

    def candidates(self, records: Iterable[Record], side: int, skipped: list[str] | None = None) -> Items:
        """Embed the different items of one side of records.

        Args:
            skipped: as in :meth:`collect`.

        Raises:
            DataError: a record cannot be used, or there is no item.
        """
        found, _, reader = self._distinct(self._candidates[side], records, side, skipped)
        if self.processes.first and not found.names and reader.count and not skipped:
            raise DataError(self.sides.nothing(side))
        return found

    def _distinct(
        self,
        embedder: Embedder,
        records: Iterable[Record],
        side: int,
        skipped: list[str] | None,
        paired: bool = False,
    ) -> tuple[Items, list[int], Distinct]:
        """The different items of a side, their numbers in the reader, and the reader."""
        errors = [] if skipped is None else skipped
        reader = Distinct(records, self.sides, side, skips(self.loaded), paired)
        used, vectors = self._embed(embedder, reader, errors)
        if self.processes.first and not used and (not reader.count or errors):
            raise DataError(f"there is nothing to search in: no record{' that can be used' if errors else ''}")
        return Items([reader.names[number] for number in used], vectors), used, reader

    def _embed(
        self, embedder: Embedder, records: Iterable[Record], skipped: list[str] | None
    ) -> tuple[list[int], Vectors]:
        """The numbers of the usable records, and their vectors (records, size); none but on the first process."""
        numbers: list[int] = []
        parts: list[Vectors] = []
        counted = count()
        for _, found in embedder.answers(records, self.batch_size, self.processes, skip=skips(self.loaded)):
            for answer, number in zip(found, counted):
                if not isinstance(answer, Unusable):
                    numbers.append(number)
                    parts.append(answer)
                elif skipped is not None:
                    skipped.append(answer.error)
        return numbers, np.stack(parts) if parts else NO_VECTORS

    # -- answers -----------------------------------------------------------------------------------------------

    def measure(self, records: Iterable[Record], skipped: list[str] | None = None) -> dict[str, float]:
        """``recall@1/5/10`` and ``mrr`` in both directions (:func:`tp_core.inference.ranking.measures`).

        Raises:
            DataError: as in :meth:`collect`; or nothing belongs together.
        """
        collection = self.collect(records, skipped)
        return measured(collection, self.sides.names, by=self.by) if self.processes.first else {}

    def correlation(self, records: Iterable[Record], skipped: list[str] | None = None) -> dict[str, float]:
        """Correlations of the similarities of pairs with their labels, numbers in the field ``label``: ``pearson`` and
        ``spearman``.

        Raises:
            DataError: a record lacks a side or a label, or cannot be used.
        """
        skip, errors = skips(self.loaded), [] if skipped is None else skipped
        others: list[Item] = []
        labels: list[float] = []

        def firsts() -> Iterator[Record]:
            for record in records:
                try:
                    one, other = (items_of(self.sides, record, side) for side in (0, 1))
                    label = number_field(record, "label") if one and other else None
                except DataError as error:
                    if not skip:
                        raise
                    errors.append(str(error))
                    continue
                if label is not None:
                    others.append(other[0])
                    labels.append(label)
                    yield one[0].record

        used, vectors = self._embed(self._queries[0], firsts(), errors)
        rest = self.processes.from_first([others[number] for number in used])
        kept, second = self._embed(self._candidates[1], (each.record for each in rest), errors)
        if not self.processes.first:
            return {}
        if not kept:
            raise DataError(f"there is nothing to compare: no record{' that can be used' if errors else ''}")
        found = paired_similarities(vectors[kept], second, self.by)
        wanted = np.array(labels)[used][kept]
        return {"pearson": pearson(found, wanted), "spearman": spearman(found, wanted)}

    def search(
        self,
        queries: Iterable[Record],
        records: Iterable[Record],
        top: int = 10,
        side: str | None = None,
        skipped: list[str] | None = None,
    ) -> Iterator[list[dict[str, Any]] | Unusable]:
        """The items of records that are most similar to each query, the best first.

        Args:
            queries: records of one side; the first one determines the side.
            records: the records to search in.
            top: maximum number of items of a query.
            side: name of the side in which to search; default: :meth:`tp_core.interfaces.Sides.searched`.
            skipped: as in :meth:`collect`.

        Yields:
            For each query, ``name`` and ``similarity`` of the items; an empty list for a blank query. With the spec's
            ``on_bad_record: skip``, an :class:`Unusable` for a query that cannot be used.

        Raises:
            TPError: there is no side of this name.
            DataError: a query or a record cannot be used, or there is nothing to search in.
        """
        asked, data = iter(queries), iter(records)
        first = next(asked, None)
        if first is None:
            return
        asking = self.sides.side_of(first)
        head = list(islice(data, 1))
        searched = self._side(side) if side else self.sides.searched(asking, head[0]) if head else 1 - asking
        found = self.candidates(chain(head, data), searched, skipped)
        asked = chain([first], asked)
        while queue := list(islice(asked, _QUERIES)):
            yield from self._answers(queue, asking, found, top)

    def _answers(
        self, queries: list[Record], asking: int, found: Items, top: int
    ) -> Iterator[list[dict[str, Any]] | Unusable]:
        results: list[list[dict[str, Any]] | Unusable] = [[] for _ in queries]
        embedded: list[tuple[int, Record]] = []
        skip = skips(self.loaded)
        for number, record in enumerate(queries):
            try:
                embedded += [(number, item.record) for item in items_of(self.sides, record, asking)[:1]]
            except DataError as error:
                if not skip:
                    raise
                results[number] = Unusable(str(error))
        errors: list[str] = []
        made = (record for _, record in embedded)
        used, vectors = self._embed(self._queries[asking], made, errors)
        if not self.processes.first:
            return
        failed = sorted(set(range(len(embedded))) - set(used))
        for number, reason in zip(failed, errors):
            results[embedded[number][0]] = Unusable(reason)
        best = nearest(vectors, found.vectors, found.names, top, self.by) if used else []
        for number, answer in zip(used, best):
            results[embedded[number][0]] = answer
        yield from results

    def _side(self, name: str) -> int:
        if name not in self.sides.names:
            raise TPError(f"there is no side '{name}' to search in; the sides are {' and '.join(self.sides.names)}")
        return self.sides.names.index(name)


def measured(
    collection: Collection, names: tuple[str, str], ranks: Iterable[int] = RANKS, by: Comparison = "dot"
) -> dict[str, float]:
    """``recall@k`` and ``mrr`` of both directions: ``text_a_to_text_b/recall@1``.

    Recall is the share of queries for which one of the correct answers is among the first k (Karpathy & Fei-Fei, 2015).

    Args:
        names: the names of the two sides.
        ranks: the values of k.

    Raises:
        DataError: the collection has no pairs.
    """
    ranks = tuple(ranks)
    one, other = names
    there, back = places(collection.first.vectors, collection.second.vectors, collection.pairs, by)
    directions = {f"{one}_to_{other}": there, f"{other}_to_{one}": back}
    return {f"{way}/{name}": value for way, at in directions.items() for name, value in measures(at, ranks).items()}


def retrieve(
    model: LoadedModel | str | os.PathLike[str],
    records: Iterable[Record],
    query: str | None = None,
    top: int = 10,
    batch_size: int = 32,
    device: str = "auto",
    skipped: list[str] | None = None,
    processes: Processes = ALONE,
    by: Comparison | None = None,
    side: str | None = None,
) -> dict[str, float] | list[dict[str, Any]]:
    """Search in records, or measure how well the model finds what belongs together.

    Args:
        query: a text, or the file of a picture. None computes recall and the mean reciprocal rank
            (:meth:`Searcher.measure`).
        top: number of results of a query.
        skipped: list to which errors of skipped records are added, if the model's spec skips bad records.
        processes: the processes that share the records; the first gets the answer, the others an empty one.
        by: the function that compares vectors; default: that of the model.
        side: name of the side in which to search, such as ``text_b``.

    Raises:
        TPError: the model's vectors cannot be compared, or the records cannot be used.
    """
    searcher = Searcher(model, device, batch_size, processes, by)
    if query is None:
        return searcher.measure(records, skipped)
    asked = searcher.sides.query(query, "query")
    for answer in searcher.search([asked], records, top, side, skipped):
        if isinstance(answer, Unusable):
            raise DataError(answer.error)
        return answer
    return []


def _need_comparable(spec: Spec, embedders: list[Embedder]) -> None:
    """Raise a :class:`TPError` if the vectors of the two sides are not made to be compared."""
    if spec.model.fusion is not None:
        name = spec.model.fusion.name
        raise TPError(f"retrieval compares vectors of single items, but the encoder {name} reads both streams together")
    plans = [each.plan for each in embedders]
    own = {spec.model.streams[plan.stream].same_as or plan.stream for plan in plans}
    if len(own) > 1 and not all(plan.facts.compared for plan in plans):
        targets = ", ".join(target.instance_name for target in spec.model.targets) or "none"
        streams = " and ".join(plan.stream for plan in plans)
        raise TPError(
            f"retrieval compares the vectors of the streams {streams}, which have weights of their own, and no target "
            f"has learned to compare them (clr does); this model's targets are {targets}"
        )
