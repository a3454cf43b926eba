"""The contracts of a source, on data that its author gives."""

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
    """Check a source on data that its author gives.

    Checked are: its options that name files are marked as paths; records come in the same order each time, one by one,
    with file and line; those that are bad are reported, and reading goes on where it may; each record has the fields
    that ``columns()`` names; the fingerprint stays when files get other times, and is another when records are.

    Args:
        change: changes a value in these data; it is called once.
        bad: how many bad records there are among them.
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
        "it has endings; those belong to tp's own formats, as an installed package changes no run that does not name it"
    )
    paths = {option.partition(".")[0] for option in paths_in(config)}
    for option in type(config).model_fields.keys() - paths:
        value = getattr(config, option)
        assert not (isinstance(value, str) and os.path.isfile(value)), (
            f"the option '{option}' names a file and is no PathStr: as one, it is relative to the spec and counts by "
            "the file's content"
        )
    problems = [f"{problem.option}: {problem.message}" for problem in config.check_data()]
    assert not problems, f"check_data() finds fault with these data: {'; '.join(problems)}"


def _check_records(config: SourceConfig, bad: int) -> list[Record]:
    source = config.build()
    assert isinstance(source, Source), f"build() gives a {type(source).__name__}, which is no tp_core.Source"
    records, errors = _read(source)
    assert records, "records() gives none; the check needs data that have some"
    assert len(errors) == bad, f"{len(errors)} bad records are reported, and there are {bad}: {_shown(errors)}"
    for record in records:
        assert isinstance(record, Record), f"records() gives a {type(record).__name__}, which is no tp_core.Record"
        named = all(isinstance(field, str) for field in record.value)
        assert named, f"the fields of a record are named by texts, not as in {[*record.value]}"
        placed = isinstance(record.file, str) and record.file and isinstance(record.line, int) and record.line > 0
        assert placed, f"a record has a file and a line from 1 on; one has {record.file!r} and {record.line!r}"
    columns = source.columns()
    for record in records if columns is not None else ():
        lacks = [column for column in columns or () if column not in record.value]
        assert not lacks, f"columns() names {lacks}, and the record in line {record.line} has {[*record.value]}"
    again, _ = _read(config.build())
    assert again == records, "two readings of the same data give other records; their order and values stay"
    if bad:
        _check_fatal(config)
    return records


def _read(source: Source) -> tuple[list[Record], list[DataError]]:
    errors: list[DataError] = []
    found = source.records(errors.append)
    assert isinstance(found, Iterator), "records() gives no iterator: yield each record, as all may be too many"
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
    raise AssertionError("records() goes on when report raises; what it raises ends the reading")


def _check_fingerprint(name: str, config: SourceConfig, before: list[Record], change: Callable[[], object]) -> None:
    chosen: Chosen[SourceConfig] = Chosen("source", name, "data.train", config)
    first = fingerprint([chosen])
    for file in [file for path in config.contents() for file, _ in files_inside(path)]:
        os.utime(file)
    assert fingerprint([chosen]) == first, "the fingerprint is another when files only have other times"
    change()
    after, _ = _read(config.build())
    assert after != before, "change() changes no record; let it change a value"
    assert fingerprint([chosen]) != first, (
        "records have changed and the fingerprint has not: name files by options that are a PathStr, or let identity() "
        "say what decides the records"
    )


def _shown(errors: list[DataError]) -> str:
    return "; ".join(map(str, errors[:3])) or "none"
