"""The treatment of records that cannot be used: an error, or a count with the first messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from tp_core.errors import DataError
from tp_core.interfaces.record import Report


class BadRecords:
    """Raises at the first bad record (``fatal``), or counts them and remembers the first ones (``skip``).

    Attributes:
        policy: ``fatal`` or ``skip``.
        count: number of records reported so far.
        messages: messages of the first :attr:`KEEP` of them.
    """

    KEEP = 20

    def __init__(self, policy: Literal["fatal", "skip"] = "fatal") -> None:
        self.policy = policy
        self.count = 0
        self.messages: list[str] = []
        self._held: list[DataError] | None = None

    def report(self, error: DataError) -> None:
        """Say that a record cannot be used.

        Raises:
            DataError: the error itself, when the policy is ``fatal``.
        """
        if self.policy == "fatal":
            raise error
        if self._held is not None:
            self._held.append(error)
            return
        self.count += 1
        if len(self.messages) < self.KEEP:
            self.messages.append(str(error))

    @contextmanager
    def held(self) -> Iterator[list[DataError]]:
        """Errors that are reported inside are put into a list, to be reported in their turn; fatal ones are raised."""
        errors: list[DataError] = []
        before, self._held = self._held, errors
        try:
            yield errors
        finally:
            self._held = before

    def summary(self) -> str | None:
        """A line that counts the skipped records, and one for each of the first; None if there are none."""
        if not self.count:
            return None
        noun = "record was" if self.count == 1 else "records were"
        more = self.count - len(self.messages)
        lines = [f"{self.count} bad {noun} skipped:", *(f"  {message}" for message in self.messages)]
        return "\n".join([*lines, f"  and {more} more"] if more else lines)


class Reporting(BadRecords):
    """Hands all bad records on to who counts them."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self._report = report

    def report(self, error: DataError) -> None:
        if self._held is None:
            self._report(error)
        else:
            self._held.append(error)
