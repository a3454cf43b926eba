"""Sources that each break one of the contracts."""

import contextlib
import os
from collections.abc import Collection, Iterator
from itertools import count
from typing import Any, ClassVar

from tp_core import DataError, PathStr, Record, Report, Source, SourceConfig


class Lines(Source):
    """Lines; one that says 'bad' is."""

    config: Any

    def lines(self) -> list[str]:
        with open(self.config.path, encoding="utf-8") as file:
            return file.read().splitlines()

    def records(self, report: Report) -> Iterator[Record]:
        for number, line in enumerate(self.lines(), 1):
            if line == "bad":
                report(DataError("it says so", file=self.config.path, line=number))
            else:
                yield Record({"text": line}, self.config.path, number)


class LinesConfig(SourceConfig):
    """Lines of a text."""

    implementation: ClassVar[str] = "Lines"

    path: PathStr


class EndingConfig(LinesConfig):
    """Would read files that no spec names."""

    endings: ClassVar[tuple[str, ...]] = (".lines",)


class UnmarkedConfig(SourceConfig):
    """Does not say that its option is a path."""

    implementation: ClassVar[str] = "Lines"

    path: str


class Shuffled(Lines):
    turns = count()

    def lines(self) -> list[str]:
        first = next(self.turns) % 2
        return [*super().lines()[first:], *super().lines()[:first]]


class ShuffledConfig(LinesConfig):
    """Another order each time."""

    implementation: ClassVar[str] = "Shuffled"


class Listed(Lines):
    def records(self, report: Report) -> Any:
        return list(super().records(report))


class ListedConfig(LinesConfig):
    """All at once."""

    implementation: ClassVar[str] = "Listed"


class Numbered(Lines):
    def columns(self) -> Collection[str]:
        return ["text", "number"]


class NumberedConfig(LinesConfig):
    """Names a column that records do not have."""

    implementation: ClassVar[str] = "Numbered"


class Silent(Lines):
    def records(self, report: Report) -> Iterator[Record]:
        return super().records(lambda error: None)


class SilentConfig(LinesConfig):
    """Loses bad records."""

    implementation: ClassVar[str] = "Silent"


class Stubborn(Lines):
    def records(self, report: Report) -> Iterator[Record]:
        def told(error: DataError) -> None:
            with contextlib.suppress(DataError):
                report(error)

        return super().records(told)


class StubbornConfig(LinesConfig):
    """Goes on where a bad record is fatal."""

    implementation: ClassVar[str] = "Stubborn"


class Forgetful(Lines):
    def files(self) -> list[str]:
        return []


class ForgetfulConfig(LinesConfig):
    """Does not count its file."""

    implementation: ClassVar[str] = "Forgetful"


class Dated(Lines):
    def identity(self) -> str:
        return str(os.stat(self.config.path).st_mtime_ns)


class DatedConfig(LinesConfig):
    """Counts the time of its file."""

    implementation: ClassVar[str] = "Dated"
