"""``--input`` and ``--text``: the input records of a command. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tp_core.cli.records import input_records, input_sources, is_pipe, parse_columns
from tp_core.errors import TPError

if TYPE_CHECKING:
    from tp_core.data.sources.folder_rules import FolderRules
    from tp_core.interfaces import Record

F = Callable[..., Any]

#: Sources that can read records from a pipe.
PIPED = ("text", "jsonl", "tsv", "csv")


def input_options(function: F) -> F:
    """Add the options ``--input``, ``--text`` and ``--input-form``, from which :class:`Inputs` is made."""
    for option in (
        input_form_option,
        click.option(
            "--text", "texts", multiple=True, metavar="TEXT", help="One record, given directly instead of --input."
        ),
        click.option(
            "--input",
            "sources",
            multiple=True,
            metavar="PATH",
            help="Records without labels: a file of any form, a folder, a pattern such as 'new/*.tsv', a source such "
            "as '{acme.sqlite: {path: a.db, table: t}}', or - for the standard input. It may be given several times.",
        ),
    ):
        function = option(function)
    return function


def input_form_option(function: F) -> F:
    """Add the option ``--input-form``: the form of files whose names do not tell it, such as pipes."""
    option: Callable[[F], F] = click.option(
        "--input-form", type=click.Choice(PIPED), help="Form of the input; overrides the file's ending."
    )
    return option(function)


@dataclass(frozen=True)
class Inputs:
    """The input records of a command.

    Args:
        sources: values of ``--input``.
        texts: values of ``--text``.
        form: value of ``--input-form``.
        columns: values of ``--column``.

    Raises:
        TPError: neither or both of ``--input`` and ``--text`` are given, a file does not exist, or an option of
            ``--input`` is given with ``--text``.
    """

    sources: tuple[str, ...]
    texts: tuple[str, ...] = ()
    form: str | None = None
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.sources) == bool(self.texts):
            raise TPError("give --input, or --text" if not self.texts else "give either --input or --text")
        if self.form is not None and not self.sources:
            raise TPError("--input-form belongs to --input")
        if parse_columns(self.columns) and not self.sources:
            raise TPError("--column belongs to --input; a --text has no columns")
        if self.sources.count("-") > 1:
            raise TPError("--input - is given twice; the standard input can be read once")
        if self.sources:
            input_sources(self.sources, "--input")

    def once(self) -> bool:
        """True if the records can be read only once."""
        return any(is_pipe(path) for path in self.sources)

    def records(
        self,
        columns: dict[str, str],
        skip: bool = False,
        rules: FolderRules | None = None,
        report: Callable[[str], None] = lambda _: None,
        output: Path | None = None,
    ) -> Iterator[Record]:
        """The records, in order; see :func:`input_records`."""
        if self.sources:
            yield from input_records(self.sources, columns, self.form, skip, rules, report, "--input", output)
            return
        from tp_core.interfaces import Record

        for number, text in enumerate(self.texts, 1):
            yield Record({"text": text}, "--text", number)
