"""Rows of results, one per record: its number, fields that the user asks for, what a model says. Torch-free."""

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

#: Records in which a field is looked for that a user names.
_LOOKED_AT = 1000


def result_options(forms: Sequence[str]) -> Callable[[F], F]:
    """``--output``, ``--output-form``, ``--keep`` and ``--overwrite``, of a command that writes some of the forms."""
    endings = ", ".join(f".{form}" for form in forms)

    def options(function: F) -> F:
        for option in (
            click.option("--overwrite", is_flag=True, help="Replace an output file that exists."),
            click.option(
                "--keep", multiple=True, metavar="FIELD", help="A field of the input in each row too, as input_FIELD."
            ),
            click.option("--output-form", type=click.Choice(forms), help="Form of --output, whatever its ending."),
            click.option(
                "--output",
                default="-",
                show_default=True,
                help=f"File to write, of the form that its ending says ({endings}); - for JSON lines on standard "
                "output.",
            ),
        ):
            function = option(function)
        return function

    return options


class Numbered:
    """Results in rows with the numbers of their records, counted from 1 over all inputs, and fields of these.

    Args:
        keep: names of fields.
    """

    def __init__(self, keep: Iterable[str] = ()) -> None:
        self._keep = tuple(dict.fromkeys(keep))
        self._fields: deque[dict[str, Any]] = deque()
        self._count = 0

    def records(self, records: Iterator[Record]) -> Iterator[Record]:
        """The records, whose fields are remembered until their rows are made.

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
