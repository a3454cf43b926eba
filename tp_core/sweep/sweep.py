"""``run_sweep`` trains all runs of a plan, and writes and returns their results."""

from __future__ import annotations

import math
import textwrap
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tp_core.errors import TPError
from tp_core.files.whole_files import write_whole
from tp_core.local.trust import trusted
from tp_core.spec.load import load_spec
from tp_core.spec.schema import Spec
from tp_core.sweep.checked import Measure
from tp_core.sweep.children import Children, Ended, failure_in
from tp_core.sweep.combinations import Combination, SweepRun, runs_of
from tp_core.sweep.folder import SweepFolder
from tp_core.sweep.folds import Folds
from tp_core.sweep.plan import Plan
from tp_core.sweep.results import FAILED, STOPPED, Result, is_finished, result_of, rows_of, table, write_rows
from tp_core.sweep.search import Search
from tp_core.sweep.summary import Summary, best_of, shown, summarised, summary_rows
from tp_core.training.lock import RunLock

Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """The end of a sweep.

    Attributes:
        results: the results of all runs.
        lines: the summary for people.
        best: the settings of the best combination; None if no combination is complete.
    """

    folder: Path
    results: list[Result]
    lines: list[str]
    best: list[str] | None

    @property
    def unfinished(self) -> list[Result]:
        return [each for each in self.results if not each.finished]


@dataclass
class Sweep:
    """A sweep that is checked and ready to run.

    Attributes:
        spec: the spec of the first run.
        identity: the plain values that may not change when the sweep goes on.
    """

    plan: Plan
    spec: Spec
    folds: Folds | None
    measure: Measure
    search: Search
    folder: SweepFolder
    identity: dict[str, Any]
    resume: bool
    say: Say
    _results: dict[str, Result] = field(default_factory=dict)
    _runs: dict[int, list[SweepRun]] = field(default_factory=dict)
    _pooled: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def _total(self) -> int:
        """The number of runs."""
        folds = 1 if self.folds is None else self.folds.count
        return self.search.total() * (len(self.plan.seeds) or 1) * folds

    def describe(self) -> str:
        """The number of runs, and what they are."""
        total, seeds = self.search.total(), len(self.plan.seeds)
        parts = [f"{total} combination{'s' * (total != 1)}"] + [f"{seeds} seeds"] * (seeds > 1)
        parts += [] if self.folds is None else [f"{self.folds.count} folds, each evaluated on the held-out fold"]
        return f"{self._total} run{'s' * (self._total != 1)} ({' × '.join(parts)}) in {self.folder.path}"

    def known_runs(self) -> list[SweepRun]:
        """The runs of the combinations that do not depend on results."""
        return [run for each in self.search.known() for run in self._runs_of(each)]

    def _runs_of(self, combination: Combination) -> list[SweepRun]:
        return runs_of(combination, self.plan.seeds, None if self.folds is None else self.folds.count)

    # -- running -------------------------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """Train all runs that are not finished; afterwards, predict for the records of all folds.

        Raises:
            TPError: the folder is in use.
        """
        self.folder.check(self.identity, self.resume)
        self.folder.path.mkdir(parents=True, exist_ok=True)
        lock = RunLock()
        lock.acquire(self.folder.path)
        try:
            self.folder.check(self.identity, self.resume)
            self.folder.write(self.identity)
            self._train()
            self._predict()
            return self._written()
        finally:
            lock.release()

    def _train(self) -> None:
        children, waiting = Children(self.plan.options.parallel), deque[SweepRun]()
        try:
            while True:
                while children.free:
                    if not waiting and (combination := self._next(children, waiting)) is not None:
                        waiting += self._begun(combination)
                        continue
                    if not waiting:
                        break
                    self._start(children, waiting.popleft())
                if not children.running:
                    return
                for ended in children.ended():
                    self._end(ended)
        except BaseException:
            for ended in children.stop(self.say):
                self._end(ended, told=False)
            self._written()
            done = f"{self._finished} of {self._total} runs are finished"
            self.say(f"stopped; {done}, and the sweep goes on with --resume")
            raise

    @property
    def _finished(self) -> int:
        return sum(each.finished for each in self._results.values())

    def _next(self, children: Children, waiting: deque[SweepRun]) -> Combination | None:
        unfinished = [run.combination.number for run in (*children.running, *waiting)]
        return self.search.next(self._values(unfinished), unfinished)

    def _values(self, unfinished: list[int]) -> dict[int, float | None]:
        """The value of each combination whose runs have ended; None if one of them has failed."""
        found: dict[int, float | None] = {}
        for number, runs in self._runs.items():
            if number in unfinished:
                continue
            own = [self._results[run.name] for run in runs if run.name in self._results]
            (summary,) = summarised(own, {}) if own else (None,)
            value = None if summary is None or len(own) < len(runs) else summary.mean.get(self.measure.name)
            complete = summary is not None and summary.complete and value is not None and not math.isnan(value)
            found[number] = value if complete else None
        return found

    def _begun(self, combination: Combination) -> list[SweepRun]:
        """The runs of a combination that have to be trained."""
        runs = self._runs[combination.number] = self._runs_of(combination)
        left = []
        for run in runs:
            if is_finished(self.folder.path / run.name):
                self._results[run.name] = self._result(run)
            else:
                left.append(run)
        return left

    def _start(self, children: Children, run: SweepRun) -> None:
        folder = self.folder.path / run.name
        settings = [*self.plan.settings, *run.settings()]
        settings += [] if self.folds is None or run.fold is None else self.folds.settings(run.fold)
        resumed = folder.exists()
        flags = [*(["--resume"] if resumed else []), *(["--trust-code"] if trusted() else [])]
        arguments = ["train", self.plan.spec, *settings, "--run", str(folder), *flags]
        self.say(f"{run.name}: {'goes on' if resumed else 'begins'}")
        children.start(run, arguments, self.folder.log(run.name))

    def _end(self, ended: Ended, told: bool = True) -> None:
        run, log = ended.run, self.folder.log(ended.run.name)
        failure = failure_in(log, ended.status) if ended.status != 0 and (told or ended.status == 2) else ""
        result = self._results[run.name] = self._result(run, failure)
        if not told:
            return
        if result.status == FAILED:
            self.say(f"{run.name}: failed: {textwrap.shorten(result.message, 200, placeholder=' ...')} ({log})")
        elif result.status == STOPPED:
            self.say(f"{run.name}: stopped by a signal; it goes on with --resume")
        else:
            value = result.metrics.get(self.measure.name)
            shown_value = "" if value is None else f"{self.measure.name} {value:.4f}, "
            self.say(
                f"{run.name}: {shown_value}{ended.seconds:.0f} s; {self._finished} of {self._total} runs are finished"
            )
        self._written()

    def _result(self, run: SweepRun, failure: str = "") -> Result:
        return result_of(run, self.folder.path / run.name, self.spec, self.measure, failure)

    # -- results -------------------------------------------------------------------------------------------------

    def _predict(self) -> None:
        """Write the predictions of each cross-validation whose runs are all finished."""
        if self.folds is None:
            return
        from tp_core.sweep.out_of_fold import FoldModels, write_out_of_fold

        for runs in self._runs.values():
            for group in dict.fromkeys(run.group for run in runs):
                own = [run for run in runs if run.group == group]
                if not all(self._results[run.name].finished for run in own):
                    continue
                spec = load_spec(self.plan.spec, [*self.plan.settings, *own[0].settings(), *self.folds.settings(0)])
                self.say(f"predicting the held-out records of {group or 'all folds'}")
                models = FoldModels(self.folds, spec, [self.folder.path / run.name for run in own])
                try:
                    self._pooled[group] = write_out_of_fold(models, self.folder.out_of_fold(group), self.say)
                except TPError as error:
                    self.say(f"{group or 'the folds'}: no out-of-fold predictions: {error}")
                    return

    def _all_results(self) -> list[Result]:
        runs = [run for each in self._runs.values() for run in each]
        known = {run.name for run in runs}
        runs += [run for run in self.known_runs() if run.name not in known]
        return [self._results.get(run.name) or self._result(run) for run in runs]

    def _written(self) -> Outcome:
        """Write the tables of runs and of combinations."""
        results = self._all_results()
        write_rows(self.folder.results, rows_of(results, self.measure))
        summaries = summarised(results, self._pooled)
        best = best_of(summaries, self.measure)
        _write_summary(self.folder.summary, summaries, best)
        settings = None if best is None else [*self.plan.settings, *best.combination.settings()]
        return Outcome(self.folder.path, results, shown(summaries, best, self.measure), settings)


def _write_summary(path: Path, summaries: list[Summary], best: Summary | None) -> None:
    rows = summary_rows(summaries, best)
    names = list(dict.fromkeys(name for row in rows for name in row))
    write_whole(path, table(rows, names))
