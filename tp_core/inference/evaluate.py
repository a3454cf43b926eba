"""``evaluate`` computes losses and metrics of a trained model on a file."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from tp_core.artifacts.contents import changed_labels
from tp_core.artifacts.load import LoadedModel, loaded_model
from tp_core.data.cache.prepared import prepared_rows
from tp_core.data.cache.rows import ArrowRows, write_rows
from tp_core.data.sampling.loader import evaluation_batches
from tp_core.data.sampling.portions import EvaluationBatch
from tp_core.data.sources.records import BadRecords
from tp_core.errors import DataError, TPError, warn
from tp_core.evaluation.batches import evaluate_batches
from tp_core.evaluation.tables import Tables
from tp_core.evaluation.texts import writer_for
from tp_core.inference.batches import digest, need_batch_size
from tp_core.inference.predict import as_records
from tp_core.interfaces import Processor, Record
from tp_core.local.trust import trusting
from tp_core.metrics.tables import Table
from tp_core.options.choice import Chosen, chosen_of
from tp_core.options.source import SourceConfig
from tp_core.processes.group import ProcessGroup
from tp_core.processes.shared import ALONE, Processes
from tp_core.spec.metrics import set_metrics, set_tables
from tp_core.spec.schema import Spec


def evaluate(
    model: LoadedModel | str | os.PathLike[str],
    data: str | Iterable[Any] | Record | SourceConfig,
    batch_size: int = 32,
    columns: dict[str, str] | None = None,
    device: str = "auto",
    say: Callable[[str], None] | None = None,
    processes: Processes = ALONE,
    trust_code: bool = False,
    done: Callable[[int], None] = lambda _: None,
    tables: dict[str, Table] | None = None,
) -> dict[str, float]:
    """Mean loss, loss per target and metrics of a model on labelled data.

    Args:
        model: a loaded model, or its folder.
        data: a file in any form that training reads, a source's config, or several of these; or records, as they are
            or as dictionaries of fields.
        columns: field the processor reads → column of the file; the spec's if None. Records have fields already.
        processes: share the batches (:func:`tp_core.processes.shared.shared`); each gets the figures of all.
            Without it, each process evaluates all of its data.
        trust_code: run the Python files of the model's folder, where its modules are in such files.
        say: told of the data that are prepared, and of files that make labels and have changed since the training;
            without it, a warning tells of these.
        done: told of each batch of this process, how many samples it has.
        tables: a dictionary to which the tables of the evaluation are added, by name, on the first process: figures per
            class and the confusion matrix of a classifier (``cls/classes``, ``cls/confusion``), figures per type of
            span.

    Raises:
        TPError: the model has no target or processor, or the data cannot be used.
    """
    need_batch_size(batch_size)
    if not isinstance(data, (str, os.PathLike, Iterable, Record, SourceConfig, Chosen)):
        raise TPError(f"expected the file of data, several, or records, got {type(data).__name__}")
    if columns is not None and not (isinstance(columns, Mapping) and all(map(_is_text, chain(*columns.items())))):
        raise TPError(f"columns: expected columns by fields, such as {{'text': 'review'}}, got {columns!r}")
    loaded = loaded_model(model, device, processes, trust_code)
    if loaded.processor is None or not len(loaded.model.targets):
        raise TPError("evaluation needs a model with a target and a processor; this one's spec has none")
    options = loaded.spec.data.options
    if columns is not None:
        options = options.model_copy(update={"columns": columns})
    spec = dataclasses.replace(loaded.spec, data=dataclasses.replace(loaded.spec.data, options=options))
    processor = loaded.processor
    if loaded.weights is not None and processes.first:
        with trusting(spec.trust_code):
            changed = changed_labels(spec, loaded.weights.parent)
        if changed:
            (say or warn)(f"since the model was trained, files that make its labels have changed: {changed}")
    with _rows(spec, processor, data, say or (lambda _: None), processes) as rows:
        seed = spec.train.options.seed
        batches = evaluation_batches(rows, loaded.feed, batch_size, seed, processes.rank, processes.count)
        facts = set_metrics(loaded.model.spec, spec)
        counted = _told(batches, done)
        wanted = None if tables is None else Tables(set_tables(loaded.model.spec, spec))
        found = evaluate_batches(
            loaded.model,
            counted,
            processes.group or ProcessGroup(),
            loaded.device,
            contextlib.nullcontext,
            facts,
            processor,
            writer=writer_for(loaded.model, spec, processor),
            tables=wanted,
        )
        if tables is not None and wanted is not None:
            tables.update(wanted.found)
        return found


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _told(batches: Iterable[EvaluationBatch], done: Callable[[int], None]) -> Iterator[EvaluationBatch]:
    for each in batches:
        yield each
        done(each.batch.size)


@contextlib.contextmanager
def _rows(
    spec: Spec, processor: Processor, data: Any, say: Callable[[str], None], processes: Processes
) -> Iterator[ArrowRows]:
    """The prepared rows of files and sources, which are cached, or of records, which are not."""
    one = isinstance(data, (str, os.PathLike, Mapping, Record, Chosen, SourceConfig))
    given = [chosen_of(each) if isinstance(each, SourceConfig) else each for each in ([data] if one else data)]
    if not given:
        raise DataError("no instances: there are no records")
    if all(isinstance(each, (str, os.PathLike, Chosen)) for each in given):
        sources = [each if isinstance(each, Chosen) else os.fspath(each) for each in given]
        rows = processes.first_then_others(lambda: prepared_rows(spec, processor, sources, say))
        processes.need_same(rows.path.name, "the data")
        yield rows
        return
    texts = next((number for number, each in enumerate(given, 1) if isinstance(each, str)), None)
    if texts is not None:
        raise DataError("expected a dictionary of fields or a record, got a text", file="input", line=texts)
    records = list(as_records(given))
    processes.need_same(str(digest(records)), "the records")
    bad = BadRecords(spec.data.options.on_bad_record)
    with tempfile.TemporaryDirectory(prefix="tp-") as folder:
        path = Path(folder) / "records.arrow"
        count = write_rows(path, processor.prepare(records, bad.report))
        for remark in filter(None, [bad.summary(), *processor.remarks()]):
            say(remark)
        if not count:
            raise DataError("no instances: the records hold nothing that the processor can use")
        yield ArrowRows(path)
