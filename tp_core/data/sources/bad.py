"""Handling of records that cannot be used: raise an error, or count them and keep the first messages."""

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
        """Report a record that cannot be used.

        Raises:
            DataError: the error itself, if the policy is ``fatal``.
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
        """A context that collects the reported errors in a list for a later report; fatal errors are raised."""
        errors: list[DataError] = []
        before, self._held = self._held, errors
        try:
            yield errors
        finally:
            self._held = before

    def summary(self) -> str | None:
        """The number of skipped records and the first messages, one per line; None if no record was skipped."""
        if not self.count:
            return None
        noun = "record was" if self.count == 1 else "records were"
        more = self.count - len(self.messages)
        lines = [f"{self.count} bad {noun} skipped:", *(f"  {message}" for message in self.messages)]
        return "\n".join([*lines, f"  and {more} more"] if more else lines)


class Reporting(BadRecords):
    """Passes all bad records on to a function that counts them."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self._report = report

    def report(self, error: DataError) -> None:
        if self._held is None:
            self._report(error)
        else:
            self._held.append(error)
