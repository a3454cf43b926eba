"""The problems of a spec in one message, each with its line and a caret."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tp_core.errors import TPError
from tp_core.spec.tree.nodes import Node, Origin

#: Maximum number of characters shown of a line; a longer line is shortened to the part around the caret.
_WIDEST = 160


class SpecProblem(NamedTuple):
    """One problem, with its origin and its path in the spec."""

    path: str
    message: str
    origin: Origin

    def render(self) -> str:
        head = ": ".join(part for part in (self.origin.place(), self.path, self.message) if part)
        if self.origin.text is None or self.origin.column is None:
            return head
        begin = max(0, self.origin.column - 1 - _WIDEST // 2) if len(self.origin.text) > _WIDEST else 0
        shown = self.origin.text[begin : begin + _WIDEST]
        # Tabs before the caret are kept, so that the two lines align.
        lead = "".join("\t" if c == "\t" else " " for c in shown[: self.origin.column - 1 - begin])
        return f"{head}\n    {shown}\n    {lead}^"


class SpecError(TPError):
    """A spec that cannot be used; ``problems`` are sorted by place."""

    def __init__(self, problems: Iterable[SpecProblem]) -> None:
        unique = dict.fromkeys(problems)
        # Settings of the command line have no line number; they stay in the order in which they were found.
        self.problems = sorted(
            unique,
            key=lambda p: (p.origin.source, *((p.origin.line, p.origin.column or 0, p.path) if p.origin.line else ())),
        )
        super().__init__("\n".join(problem.render() for problem in self.problems))


class Problems(list[SpecProblem]):
    """The problems found so far.

    Attributes:
        unknown_modules: True if a module was not found, so that its options are unknown, too.
        tree: the whole spec, for messages about the right place of an option; None if not available.
    """

    unknown_modules = False
    tree: Node | None = None

    def add(self, path: str, message: str, node: Node, *, key: bool = False) -> None:
        self.append(SpecProblem(path, message, node.at() if key else node.origin))

    def concern(self, path: str) -> bool:
        """True if there is already a problem at this path, below it or above it."""
        return any(p.path == path or _within(p.path, path) or _within(path, p.path) for p in self)


def _within(path: str, other: str) -> bool:
    return path.startswith((f"{other}.", f"{other}["))
