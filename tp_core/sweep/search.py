"""The choice of the next combination: all of a grid, at random, or by optuna from the results so far."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from tp_core.errors import TPError
from tp_core.files.whole_files import write_whole
from tp_core.sweep.combinations import Combination, draws, grid, trial
from tp_core.sweep.plan import Plan


class Search(ABC):
    """Gives the combinations of a sweep one after the other."""

    @abstractmethod
    def known(self) -> list[Combination]:
        """The combinations that do not depend on results."""

    @abstractmethod
    def total(self) -> int:
        """The number of combinations of the whole sweep."""

    @abstractmethod
    def next(self, values: dict[int, float | None], unfinished: Sequence[int]) -> Combination | None:
        """The next combination; None if there is no other.

        Args:
            values: number of a combination → its value, None if its runs have failed.
            unfinished: numbers of the combinations whose runs are not finished.
        """


class Listed(Search):
    """Combinations that are known from the beginning."""

    def __init__(self, combinations: Sequence[Combination]) -> None:
        self._all, self._left = list(combinations), deque(combinations)

    def known(self) -> list[Combination]:
        return self._all

    def total(self) -> int:
        return len(self._all)

    def next(self, values: dict[int, float | None], unfinished: Sequence[int]) -> Combination | None:
        return self._left.popleft() if self._left else None


class Trials:
    """The drawn values of a search, one line per trial, so that a sweep that goes on has the same trials."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.all: list[Combination] = []

    def read(self) -> None:
        """Read the trials of an earlier start, if there was one.

        Raises:
            TPError: the file was damaged.
        """
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return
        except OSError as error:
            raise TPError(f"{self._path}: cannot be read: {error.strerror}") from error
        for number, line in enumerate(text.splitlines(keepends=True)):
            if not line.endswith("\n"):
                break  # the process was killed while it wrote the line
            try:
                values = json.loads(line)
                self.all.append(trial(number, {str(key): str(value) for key, value in values.items()}))
            except (ValueError, AttributeError) as error:
                raise TPError(f"{self._path}:{number + 1}: this is no line of a sweep's trials") from error

    def add(self, values: dict[str, str]) -> Combination:
        """Write a further trial."""
        made = trial(len(self.all), values)
        self.all.append(made)
        content = "".join(json.dumps(each.values, ensure_ascii=False) + "\n" for each in self.all)
        write_whole(self._path, content)
        return made


def listed(plan: Plan) -> list[Combination]:
    """The combinations of a plan that do not depend on results.

    Raises:
        TPError: there are fewer combinations than trials.
    """
    options = plan.options
    if options.search == "grid":
        return grid(plan.axes)
    assert options.trials is not None
    return draws(plan.axes, options.trials, options.seed) if options.search == "random" else []
