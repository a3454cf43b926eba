"""The records of other sources that are inside, or outside, one of several folds. Torch-free."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np

from tp_core.data.classes.names import NamedClass, as_compared
from tp_core.data.sources.bad import BadRecords, Reporting
from tp_core.data.sources.base import Reading, Source
from tp_core.data.sources.columns import listed
from tp_core.data.sources.division import NO_CLASS, Numbers, divide, fault
from tp_core.data.sources.find import find_sources
from tp_core.data.sources.fold_options import FoldConfig
from tp_core.data.sources.folder_rules import ANY_FORM, FolderRules
from tp_core.data.sources.names import expanded
from tp_core.data.sources.passed_over import PassedOver
from tp_core.data.sources.records import source_records
from tp_core.errors import DataError
from tp_core.interfaces.record import Record, Report
from tp_core.suggest import did_you_mean


class Fold(Source):
    """A subset of the records of other sources, in their order.

    A record that cannot be read has a number, too, and is reported by the subset that has it. To know the number of
    records, their classes and their groups, all records are read once before the first one is yielded.
    """

    config: FoldConfig

    def __init__(self, config: FoldConfig) -> None:
        super().__init__(config)
        self._rules, self._passed = ANY_FORM, PassedOver()

    def by_rules(self, rules: FolderRules, passed: PassedOver) -> Fold:
        self._rules, self._passed = rules, passed
        _ = self.sources  # what is missing is reported at once
        return self

    @cached_property
    def sources(self) -> list[Source]:
        """The sources whose records are divided."""
        return find_sources(expanded(self.config.of), self._rules, self._passed)

    @cached_property
    def division(self) -> Numbers:
        """The fold of each record, (records,).

        Raises:
            DataError: there are too few records, classes or groups, or a column is missing.
        """
        traits = _Traits(self.config)
        for each in self._numbered(Reading({}, BadRecords(), self._rules, PassedOver())):
            traits.add(each)
        return traits.divided(self.path)

    @property
    def path(self) -> str:
        return next((source.path for source in self.sources), "")

    def files(self) -> Iterable[str]:
        return [file for source in self.sources for file in source.files()]

    def heading(self) -> str:
        options = self.config.model_dump(mode="json", exclude={"of"})
        return json.dumps([options, [source.heading() for source in self.sources]], sort_keys=True)

    def records(self, report: Report) -> Iterator[Record]:
        return chain.from_iterable(self.read(Reading({}, Reporting(report), self._rules, PassedOver())))

    def read(self, reading: Reading) -> Iterator[Iterable[Record]]:
        yield self._chosen(reading)

    def _chosen(self, reading: Reading) -> Iterator[Record]:
        inside = (self.division == self.config.number) == self.config.held_out
        count = 0
        for count, each in enumerate(self._numbered(reading), 1):
            if count > len(inside):
                break
            if inside[count - 1]:
                if isinstance(each, DataError):
                    reading.bad.report(each)
                else:
                    yield each
        if count != len(inside):
            raise DataError("the number of records has changed while they were read", file=self.path)

    def _numbered(self, reading: Reading) -> Iterator[Record | DataError]:
        """All records in order, with an error in the place of each that cannot be read."""
        every = BadRecords("skip")
        return source_records(self.sources, reading.columns, every, self._rules, reading.passed).with_errors()


class _Traits:
    """The classes and groups of records, which are added one by one."""

    def __init__(self, config: FoldConfig) -> None:
        self._config = config
        self._classes, self._groups = list[int](), list[int]()
        self._class_numbers, self._group_numbers = dict[str, int](), dict[str, int]()
        self._columns = dict[str, None]()
        self._first = dict[str, tuple[Any, int | None]]()  # file and line of the first record of each class

    def add(self, each: Record | DataError) -> None:
        """Add the next record, or the error in its place.

        Raises:
            DataError: the record has no group.
        """
        value = {} if isinstance(each, DataError) else each.value
        if len(self._classes) < 1000:
            self._columns |= dict.fromkeys(value)
        stratify, group = self._config.stratify, self._config.group
        own = None if stratify is None else value.get(stratify)
        self._classes.append(NO_CLASS if own is None or isinstance(each, DataError) else self._number(_text(own), each))
        if group is None:
            return
        if isinstance(each, Record) and value.get(group) in (None, ""):
            near = did_you_mean(group, value) or f"the columns are {listed(value)}"
            columns = f"; {near}" if group not in value else ""
            raise DataError(f"there is no '{group}', which tells the group{columns}", file=each.file, line=each.line)
        name = _text(value[group]) if value else f"\0{len(self._groups)}"  # an unreadable record is a group of its own
        self._groups.append(self._group_numbers.setdefault(name, len(self._group_numbers)))

    def _number(self, name: str, record: Record) -> int:
        """The number of a class."""
        if name not in self._class_numbers:
            self._class_numbers[name] = len(self._class_numbers)
            self._first[name] = record.file, record.line
        return self._class_numbers[name]

    def divided(self, path: str) -> Numbers:
        """The fold of each record; see :attr:`Fold.division`."""
        config = self._config
        if config.stratify is not None and self._classes and not self._class_numbers:
            near = did_you_mean(config.stratify, self._columns) or f"the columns are {listed(self._columns)}"
            raise DataError(f"no record has '{config.stratify}', which tells the class; {near}", file=path)
        classes = np.array(self._classes, np.int64)
        groups = None if config.group is None else np.array(self._groups, np.int64)
        if why := fault(classes, [*self._class_numbers], config.folds, groups, config.group or ""):
            file, line = (path, None) if why.name is None else self._first[why.name]
            raise DataError(why.message, file=file, line=line)
        return divide(classes, config.folds, config.seed, groups)


def _text(value: Any) -> str:
    return as_compared(value.name if isinstance(value, NamedClass) else str(value))
