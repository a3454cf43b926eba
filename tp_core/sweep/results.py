"""The results of runs: what their folders say, as rows of a table."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tp_core.artifacts.layout import STEM
from tp_core.files.tensor_paths import is_stored
from tp_core.files.whole_files import write_whole
from tp_core.spec.metrics import early_stopping_mode
from tp_core.spec.schema import Spec
from tp_core.sweep.checked import Measure
from tp_core.sweep.combinations import SweepRun
from tp_core.training.early_stopping import EarlyStopper

#: States of a run.
FINISHED, FAILED, STOPPED, WAITING = "finished", "failed", "stopped", "waiting"


@dataclass(frozen=True)
class Result:
    """The result of a run.

    Attributes:
        status: ``finished``, ``failed``, ``stopped`` (saved, not finished) or ``waiting``.
        metrics: the evaluation of the exported model, by metric.
        step: step of that evaluation.
        best: the best value of the metric in all evaluations of the run, and its step.
        message: the reason why the run failed.
    """

    run: SweepRun
    status: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    step: int | None = None
    best: tuple[float, int] | None = None
    message: str = ""

    @property
    def finished(self) -> bool:
        return self.status == FINISHED


def is_finished(folder: Path) -> bool:
    """True if a run has exported its model."""
    return is_stored(folder / "model", STEM)


def result_of(run: SweepRun, folder: Path, spec: Spec, measure: Measure, failure: str = "") -> Result:
    """The result of a run whose process has ended, or that has not begun.

    Args:
        spec: a spec with the same options of early stopping.
        failure: the reason why the process has ended with an error; empty for another end.
    """
    if failure:
        return Result(run, FAILED, message=failure)
    if not is_finished(folder):
        return Result(run, STOPPED if (folder / "checkpoints").is_dir() else WAITING)
    lines = evaluations(folder / "metrics.jsonl")
    if not lines:
        return Result(run, FINISHED)
    step = _exported(lines, spec)
    best: tuple[float, int] | None = None
    for each, metrics in lines.items():
        value = metrics.get(measure.name, math.nan)
        if not math.isnan(value) and (best is None or measure.better(value, best[0])):
            best = value, each
    return Result(run, FINISHED, lines[step], step, best)


def evaluations(path: Path) -> dict[int, dict[str, float]]:
    """The evaluations in a ``metrics.jsonl``: step → metric → value, NaN for a value that is not defined."""
    found: dict[int, dict[str, float]] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            values = json.loads(line)
            step = int(values["step"])
        except (ValueError, KeyError, TypeError):
            continue
        own = {key.removeprefix("eval/"): value for key, value in values.items() if key.startswith("eval/")}
        if own:
            found[step] = {key: math.nan if value is None else float(value) for key, value in own.items()}
    return found


def _exported(lines: Mapping[int, dict[str, float]], spec: Spec) -> int:
    """The step whose weights were exported: that of the best evaluation if the spec asks for it, else the last."""
    options = spec.train.options.early_stopping
    if options is None or not options.restore_best:
        return max(lines)
    stopper = EarlyStopper(options, early_stopping_mode(spec))
    for step, metrics in lines.items():
        stopper.improved(metrics, step)
    return max(lines) if stopper.step is None else stopper.step


def rows_of(results: Iterable[Result], measure: Measure) -> list[dict[str, Any]]:
    """A row per run: its name, status and values, and its metrics."""
    rows = []
    for each in results:
        run = each.run
        row: dict[str, Any] = {"run": run.name, "status": each.status, **run.combination.values}
        row |= {} if run.seed is None else {"train.seed": run.seed}
        row |= {} if run.fold is None else {"fold": run.fold}
        row |= {"step": each.step, **each.metrics}
        value, step = each.best or (None, None)
        rows.append(row | {f"best {measure.name}": value, "best step": step, "message": each.message})
    return rows


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as ``.tsv`` and as ``.jsonl``; a value that is not defined is empty, or null."""
    last = ("message", "best step")
    names = list(
        dict.fromkeys(name for row in rows for name in row if name not in last and not name.startswith("best "))
    )
    names += [name for name in dict.fromkeys(name for row in rows for name in row) if name not in names]
    write_whole(path.with_suffix(".tsv"), table(rows, names))
    plain = ({name: _finite(row.get(name)) for name in names} for row in rows)
    write_whole(path.with_suffix(".jsonl"), "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in plain))


def table(rows: Iterable[Mapping[str, Any]], names: Sequence[str]) -> str:
    """Rows as tab-separated values."""
    lines = [list(names), *([_cell(row.get(name)) for name in names] for row in rows)]
    return "".join("\t".join(line) + "\n" for line in lines)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else " ".join(str(value).split())
