"""The module that is checked: its kind, its config class and its options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from tp_core.options.base import ModuleConfig
from tp_core.options.context import BuildContext


@dataclass(frozen=True)
class Subject:
    """A module that is checked.

    Attributes:
        name: as a spec writes it.
        options: those that are set.
    """

    kind: str
    name: str
    cls: type[ModuleConfig]
    options: dict[str, Any]

    def config(self) -> Any:
        """The validated options.

        Raises:
            AssertionError: they are wrong.
        """
        try:
            config = self.cls(**self.options)
        except ValidationError as error:
            raise AssertionError(f"the options are refused: {error}") from None
        problems = [f"{problem.option}: {problem.message}" for problem in config.check(BuildContext())]
        assert not problems, f"the options are refused: {'; '.join(problems)}"
        return config
