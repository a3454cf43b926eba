"""Rows of results, one per record: its number, the requested fields, and the model's output. Torch-free."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from tp_core.errors import TPError
from tp_core.suggest import did_you_mean

if TYPE_CHECKING:
    from tp_core.interfaces import Record

F = Callable[..., Any]

#: Number of records that are searched for the fields that the user names.
_LOOKED_AT = 1000


def result_options(forms: Sequence[str]) -> Callable[[F], F]:
    """Add ``--output``, ``--output-form``, ``--keep`` and ``--overwrite`` to a command that writes the given forms."""
    endings = ", ".join(f".{form}" for form in forms)

    def options(function: F) -> F:
        for option in (
            click.option("--overwrite", is_flag=True, help="Replace an output file that exists."),
            click.option(
                "--keep", multiple=True, metavar="FIELD", help="Copy a field of the input to each row, as input_FIELD."
            ),
            click.option("--output-form", type=click.Choice(forms), help="Form of --output; overrides its ending."),
            click.option(
                "--output",
                default="-",
                show_default=True,
                help=f"File to write; its ending determines the form ({endings}); - for JSON lines on standard output.",
            ),
        ):
            function = option(function)
        return function

    return options


class Numbered:
    """Rows of results with the numbers and some fields of their records. Numbers count from 1 over all inputs.

    Args:
        keep: names of the fields to copy.
    """

    def __init__(self, keep: Iterable[str] = ()) -> None:
        self._keep = tuple(dict.fromkeys(keep))
        self._fields: deque[dict[str, Any]] = deque()
        self._count = 0

    def records(self, records: Iterator[Record]) -> Iterator[Record]:
        """Pass records on, and keep their fields until their rows are made.

        Raises:
            TPError: none of the first records has one of the fields.
        """
        if not self._keep:
            return records
        return self._remembered(chain(self._looked_at(records), records))

    def _looked_at(self, records: Iterator[Record]) -> list[Record]:
        seen, known = [], dict[str, None]()
        for record in records:
            seen.append(record)
            known |= dict.fromkeys(record.value)
            if known.keys() >= set(self._keep):
                return seen
            if len(seen) == _LOOKED_AT:
                break
        missing = next((name for name in self._keep if name not in known), None)
        if missing is not None and seen:
            near = did_you_mean(missing, known) or f"the fields are {', '.join(known)}"
            raise TPError(f"--keep {missing}: the records have no such field; {near}")
        return seen

    def _remembered(self, records: Iterable[Record]) -> Iterator[Record]:
        for record in records:
            self._fields.append({f"input_{name}": record.value.get(name) for name in self._keep})
            yield record

    def row(self, result: dict[str, Any]) -> dict[str, Any]:
        """The row of the next record."""
        self._count += 1
        return {"row": self._count, **(self._fields.popleft() if self._keep else {}), **result}
