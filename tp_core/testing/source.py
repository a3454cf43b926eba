"""The contracts of a source, checked on data from its author."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from tp_core import discovery
from tp_core.data.cache.file_digests import files_inside
from tp_core.data.sources.base import Source
from tp_core.data.sources.fingerprint import fingerprint
from tp_core.errors import DataError, TPError
from tp_core.interfaces.record import Record
from tp_core.options.choice import Chosen
from tp_core.options.marks import paths_in
from tp_core.options.source import SourceConfig
from tp_core.testing.subject import Subject


def check(subject: Subject, *, change: Callable[[], object], bad: int = 0) -> None:
    """Check a source on data from its author.

    Checks:

    - options that name files are marked as paths;
    - records are read one by one, always in the same order, with file and line;
    - bad records are reported, and reading continues unless ``report`` raises;
    - each record has the fields that ``columns()`` names;
    - the fingerprint changes with the records, but not with the times of files.

    Args:
        subject: the source.
        change: changes a value in the data; called once.
        bad: number of bad records in the data.
    """
    config = subject.config()
    assert isinstance(config, SourceConfig)
    _check_options(config)
    before = _check_records(config, bad)
    _check_fingerprint(subject.name, config, before, change)


def _check_options(config: SourceConfig) -> None:
    own = type(config).__module__.partition(".")[0] in {
        name for name, entry in discovery.packages().items() if discovery.is_own(entry)
    }
    assert own or not config.endings, (
        "it has endings, but only tp's own formats may have them: an installed package must not change runs that do "
        "not name it"
    )
    paths = {option.partition(".")[0] for option in paths_in(config)}
    for option in type(config).model_fields.keys() - paths:
        value = getattr(config, option)
        assert not (isinstance(value, str) and os.path.isfile(value)), (
            f"the option '{option}' names a file but is not a PathStr: a PathStr is relative to the spec, and its "
            "file's content is part of the fingerprint"
        )
    problems = [f"{problem.option}: {problem.message}" for problem in config.check_data()]
    assert not problems, f"check_data() reports problems with these data: {'; '.join(problems)}"


def _check_records(config: SourceConfig, bad: int) -> list[Record]:
    source = config.build()
    assert isinstance(source, Source), f"build() gives a {type(source).__name__}; expected a tp_core.Source"
    records, errors = _read(source)
    assert records, "records() gives no records; the check needs data with records"
    assert len(errors) == bad, f"{len(errors)} bad records are reported, but there are {bad}: {_shown(errors)}"
    for record in records:
        assert isinstance(record, Record), f"records() gives a {type(record).__name__}; expected a tp_core.Record"
        named = all(isinstance(field, str) for field in record.value)
        assert named, f"the field names of a record must be strings, got {[*record.value]}"
        placed = isinstance(record.file, str) and record.file and isinstance(record.line, int) and record.line > 0
        assert placed, f"a record needs a file and a line from 1; one has {record.file!r} and {record.line!r}"
    columns = source.columns()
    for record in records if columns is not None else ():
        lacks = [column for column in columns or () if column not in record.value]
        assert not lacks, f"columns() names {lacks}, but the record in line {record.line} has {[*record.value]}"
    again, _ = _read(config.build())
    assert again == records, "two readings of the same data give different records; order and values must not change"
    if bad:
        _check_fatal(config)
    return records


def _read(source: Source) -> tuple[list[Record], list[DataError]]:
    errors: list[DataError] = []
    found = source.records(errors.append)
    assert isinstance(found, Iterator), (
        "records() does not give an iterator: yield the records one by one, because all may not fit in memory"
    )
    try:
        return list(found), errors
    except TPError as error:
        raise AssertionError(f"records() fails: {error}") from error


def _check_fatal(config: SourceConfig) -> None:
    def refuse(error: DataError) -> None:
        raise error

    try:
        for _ in config.build().records(refuse):
            pass
    except DataError:
        return
    raise AssertionError("records() continues when report raises; the exception must end the reading")


def _check_fingerprint(name: str, config: SourceConfig, before: list[Record], change: Callable[[], object]) -> None:
    chosen: Chosen[SourceConfig] = Chosen("source", name, "data.train", config)
    first = fingerprint([chosen])
    for file in [file for path in config.contents() for file, _ in files_inside(path)]:
        os.utime(file)
    assert fingerprint([chosen]) == first, "the fingerprint changes when only the times of files change"
    change()
    after, _ = _read(config.build())
    assert after != before, "change() changes no record; let it change a value"
    assert fingerprint([chosen]) != first, (
        "records have changed, but the fingerprint has not: use PathStr for options that name files, or let identity() "
        "return everything that determines the records"
    )


def _shown(errors: list[DataError]) -> str:
    return "; ".join(map(str, errors[:3])) or "none"
