"""Predictions for each record by the model that has not seen it, and metrics over all held-out records."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tp_core.artifacts.layout import STEM
from tp_core.artifacts.load import LoadedModel, load_model
from tp_core.artifacts.weights import read_weights
from tp_core.data.cache.prepared import prepared_rows
from tp_core.data.sampling.loader import evaluation_batches
from tp_core.data.sampling.portions import EvaluationBatch
from tp_core.data.sources.bad import BadRecords
from tp_core.data.sources.folder_rules import folder_rules
from tp_core.data.sources.records import read_records
from tp_core.data.sources.unreadable import in_their_places
from tp_core.errors import TPError
from tp_core.evaluation.batches import evaluate_batches
from tp_core.evaluation.texts import writer_for
from tp_core.files.tensor_paths import stored_at
from tp_core.files.whole_files import draft, write_whole
from tp_core.inference.predict import predict, skips
from tp_core.interfaces import Record
from tp_core.local.trust import trusted
from tp_core.metrics.plain import as_json
from tp_core.options.choice import chosen_of
from tp_core.options.source import SourceConfig
from tp_core.processes.group import ProcessGroup
from tp_core.spec.metrics import set_metrics
from tp_core.spec.schema import Spec
from tp_core.spec.sections.data import Given
from tp_core.sweep.folds import Folds

Say = Callable[[str], None]


@dataclass(frozen=True)
class FoldModels:
    """The models of a cross-validation.

    Attributes:
        spec: the spec of one of the runs.
        runs: folders of the runs, by the number of the held-out fold.
    """

    folds: Folds
    spec: Spec
    runs: Sequence[Path]

    def held_out(self, number: int) -> list[Given]:
        """The records that the model of a fold has not seen."""
        config: SourceConfig = self.folds.config(number, held_out=True)
        return [chosen_of(config)]

    def loaded(self, number: int, say: Say) -> LoadedModel:
        return load_model(self.runs[number] / "model", say=say, trust_code=trusted())


def write_out_of_fold(models: FoldModels, path: Path, say: Say) -> dict[str, float]:
    """Write the predictions for all records, in the order of the data, and the metrics over all of them.

    Args:
        path: path of both files, without their endings ``.jsonl`` and ``.metrics.json``. A file that exists is kept.

    Returns:
        The metrics.

    Raises:
        TPError: the models make no predictions.
        DataError: a record cannot be used.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    rows, measured = Path(f"{path}.jsonl"), Path(f"{path}.metrics.json")
    if not rows.exists():
        _write_predictions(models, rows, say)
    if not measured.exists():
        write_whole(measured, as_json(_pooled(models)) + "\n")
    found = json.loads(measured.read_text(encoding="utf-8"))
    return {name: float("nan") if value is None else float(value) for name, value in found.items()}


def _write_predictions(models: FoldModels, path: Path, say: Say) -> None:
    """Each model writes a file of its own; their lines are then merged in the order of the records."""
    count = models.folds.count
    with contextlib.ExitStack() as stack:
        parts = [stack.enter_context(draft(path.with_name(f"{path.name}.{number}"))) for number in range(count)]
        for number, part in enumerate(parts):
            with open(part, "w", encoding="utf-8") as file:
                for prediction in _predictions(models, number, say):
                    file.write(json.dumps(prediction, ensure_ascii=False, default=str) + "\n")
        whole = stack.enter_context(draft(path))
        files = [stack.enter_context(open(part, encoding="utf-8")) for part in parts]
        with open(whole, "w", encoding="utf-8", newline="\n") as file:
            for row, fold in enumerate(models.folds.division, 1):
                line = next(files[fold], "")
                if not line:
                    raise TPError(f"fold {fold} has fewer predictions than records")
                file.write(json.dumps({"row": row, "fold": fold, **json.loads(line)}, ensure_ascii=False) + "\n")
        whole.rename(path)


def _predictions(models: FoldModels, number: int, say: Say) -> Iterator[dict[str, Any]]:
    loaded, data = models.loaded(number, say), models.spec.data
    bad = BadRecords(data.options.on_bad_record)
    # Read as the training did it, so that the records are the same ones.
    records = read_records(models.held_out(number), data.options.columns, bad, rules=folder_rules(data))
    given: Iterator[Record] = in_their_places(records) if skips(loaded) else records
    return predict(loaded, given, _batch_size(models.spec))


def _pooled(models: FoldModels) -> dict[str, float]:
    """The metrics over the held-out records of all folds, each evaluated with the weights of its model."""
    loaded, spec = models.loaded(0, _quiet), models.spec
    processor = loaded.processor
    assert processor is not None

    def batches() -> Iterator[EvaluationBatch]:
        for number, run in enumerate(models.runs):
            if number:
                loaded.model.load_weights(read_weights(stored_at(run / "model", STEM)))
            rows = prepared_rows(spec, processor, models.held_out(number))
            yield from evaluation_batches(rows, loaded.feed, _batch_size(spec), spec.train.options.seed, 0, 1)

    own = replace(loaded.spec, data=spec.data)
    facts, writer = set_metrics(loaded.model.spec, own), writer_for(loaded.model, own, processor)
    context = contextlib.nullcontext
    return evaluate_batches(
        loaded.model, batches(), ProcessGroup(), loaded.device, context, facts, processor, writer=writer
    )


def _quiet(_: str) -> None:
    """Take a message that has been printed before."""


def _batch_size(spec: Spec) -> int:
    return spec.train.options.eval_batch_size or spec.train.options.batch_size
