"""Options and input files that the commands on trained models share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tp_core.cli.trust import trust_code_option
from tp_core.cli.verify import verify_option
from tp_core.errors import TPError
from tp_core.processes.shared import Processes, world_size
from tp_core.terminal import tell

if TYPE_CHECKING:
    from tp_core.artifacts.load import LoadedModel
    from tp_core.data.sources.folder_rules import FolderRules
    from tp_core.interfaces import Record
    from tp_core.spec.sections.data import Given

F = Callable[..., Any]


def model_options(function: F) -> F:
    """Add ``--batch-size``, ``--device``, ``--column``, ``--data-set``, ``--trust-code`` and ``--verify``."""
    for option in (
        trust_code_option,
        verify_option,
        click.option(
            "--data-set", metavar="NAME", help="Data set to use, if the model has several; the first by default."
        ),
        click.option("--batch-size", default=32, show_default=True, type=click.IntRange(1)),
        click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda"])),
        click.option(
            "--column", "columns", multiple=True, metavar="FIELD=COLUMN", help="Read a field from another column."
        ),
    ):
        function = option(function)
    return function


def parse_columns(pairs: tuple[str, ...]) -> dict[str, str]:
    """``FIELD=COLUMN`` settings as a mapping.

    Raises:
        TPError: a setting does not have this form, or a field is given twice.
    """
    columns: dict[str, str] = {}
    for pair in pairs:
        name, _, column = pair.partition("=")
        if not name or not column:
            raise TPError(f"--column {pair}: expected FIELD=COLUMN, for example --column text_a=review")
        if name in columns:
            raise TPError(f"--column {pair}: the field is read from the column '{columns[name]}' already")
        columns[name] = column
    return columns


def new_columns(pairs: tuple[str, ...], loaded: LoadedModel) -> dict[str, str]:
    """Field → column for new records: from ``--column``, else from the spec. New records may lack labels."""
    from tp_core.data.sources.columns import NewColumns

    data = loaded.spec.data
    optional = data.processor.config.optional_fields if data.processor is not None else ()
    return parse_columns(pairs) or NewColumns(data.options.columns, optional)


def new_rules(columns: Mapping[str, str], loaded: LoadedModel) -> FolderRules:
    """The rules by which folders and shards of new records are read, with these columns."""
    from tp_core.data.sources.folder_rules import folder_rules

    return folder_rules(loaded.spec.data, columns, new=True)


def input_records(
    given: str | Sequence[str],
    columns: dict[str, str],
    form: str | None = None,
    skip: bool = False,
    rules: FolderRules | None = None,
    report: Callable[[str], None] = lambda _: None,
    option: str = "--data",
    output: Path | None = None,
) -> Iterator[Record]:
    """The records of input files, folders or data sets of the hub.

    Each line of a plain text file is a record, also a blank line.

    Args:
        given: the inputs as the user writes them: paths with patterns, choices of sources, and ``-`` for the standard
            input.
        form: form of the files; overrides their endings.
        skip: yield an :class:`~tp_core.data.sources.unreadable.Unreadable` for a record that cannot be read.
        rules: rules for the files of folders and shards (:func:`new_rules`); None to read all files of a known form.
        report: receives a line about files that are skipped there.
        option: name of the command-line option, for messages.
        output: the file that the command will write; None if it writes none.

    Raises:
        TPError: an input does not exist, is empty, or is also the output.
    """
    from tp_core.data.sources.folder_rules import FolderRules
    from tp_core.data.sources.records import BadRecords, read_records
    from tp_core.data.sources.unreadable import in_their_places

    found = input_sources([given] if isinstance(given, str) else given, option)
    for path in found:
        if isinstance(path, str) and os.path.isfile(path) and os.path.getsize(path) == 0:
            raise TPError(f"{path}: the file is empty")
    if output is not None:
        _refuse_output(output, found, rules or FolderRules(), option)
    records = read_records(found, columns, BadRecords("skip" if skip else "fatal"), form, rules or FolderRules())
    records.passed.tell(report)

    def each() -> Iterator[Record]:
        yield from in_their_places(records) if skip else records
        records.passed.tell(report)

    return each()


def _refuse_output(output: Path, given: list[Given], rules: FolderRules, option: str) -> None:
    """Refuse an output file that is read, since it would replace what the user gives.

    Raises:
        TPError: the output is a file that is read, also by another name.
    """
    from tp_core.cli.output import is_stream
    from tp_core.data.sources.find import find_sources

    if is_stream(output) or not os.path.isfile(output):
        return
    for source in find_sources([each for each in given if not is_pipe(each)], rules):
        for file in source.files():
            if os.path.isfile(file) and os.path.samefile(file, output):
                raise TPError(f"--output {output}: {option} reads this file; expected another file")


def input_sources(given: Sequence[str], option: str) -> list[Given]:
    """The input files and folders, with patterns expanded as in a spec, and the choices of sources.

    Args:
        given: the inputs as the user writes them.
        option: name of the command-line option, for messages.

    Raises:
        TPError: a file or source does not exist, or several processes would share a pipe.
    """
    from tp_core.spec.choices.named_source import is_source, named_source

    found: list[Given] = []
    for each in given:
        if is_source(each):
            found.append(named_source(each, option))
        else:
            found += _paths(each, option)
    return found


def _paths(given: str, option: str) -> list[str]:
    from tp_core.data.sources.options import HUB, STDIN
    from tp_core.spec.checks.files import expand
    from tp_core.suggest import instead

    found = [STDIN] if given == "-" else list(expand(given))
    for each in found:
        if each != STDIN and not each.startswith(HUB) and not os.path.exists(each):
            raise TPError(f"{option} {each}: there is no such file{instead(each)}")
        if world_size() > 1 and is_pipe(each):
            where = "standard input" if each == STDIN else each
            raise TPError(
                f"{option} {where}: several processes cannot share what is read once only; write it to a file first"
            )
    return found


def is_pipe(given: Given) -> bool:
    """True for the standard input, a pipe or a device, which can be read only once."""
    from tp_core.data.sources.options import STDIN

    if not isinstance(given, str):
        return False
    return given in ("-", STDIN) or (os.path.exists(given) and not os.path.isfile(given) and not os.path.isdir(given))


def skipped(errors: list[str], count: int) -> str:
    """The final message about skipped records; empty if there were none."""
    if not errors:
        return ""
    return "\n".join([f"; {len(errors)} of {count} records could not be used:", *shown(errors)])


def shown(errors: list[str]) -> list[str]:
    """The first ten lines, and the number of further lines."""
    more = [f"  ... and {len(errors) - 10} more"] if len(errors) > 10 else []
    return [*(f"  {error}" for error in errors[:10]), *more]


def say(message: str) -> None:
    tell(message, err=True)


def speaker(processes: Processes) -> Callable[[str], None]:
    """:func:`say` for the first of several processes; a function that prints nothing for the others."""
    return say if processes.first else lambda _: None
