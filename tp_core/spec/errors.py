"""All that is wrong with a spec, in one message, each problem with its line and a caret."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tp_core.errors import TPError
from tp_core.spec.nodes import Origin


@dataclass(frozen=True)
class SpecProblem:
    """One thing that is wrong, where it was written and at which path of the spec."""

    path: str
    message: str
    origin: Origin

    def render(self) -> str:
        head = ": ".join(part for part in (self.origin.place(), self.path, self.message) if part)
        if self.origin.text is None or self.origin.column is None:
            return head
        # A tab before the caret must stay a tab for the two lines to align.
        lead = "".join("\t" if c == "\t" else " " for c in self.origin.text[: self.origin.column - 1])
        return f"{head}\n    {self.origin.text}\n    {lead}^"


class SpecError(TPError):
    """A spec that cannot be used; ``problems`` are sorted by place."""

    def __init__(self, problems: Iterable[SpecProblem]) -> None:
        unique = dict.fromkeys(problems)
        self.problems = sorted(
            unique, key=lambda p: (p.origin.source, p.origin.line or 0, p.origin.column or 0, p.path)
        )
        super().__init__("\n".join(problem.render() for problem in self.problems))
