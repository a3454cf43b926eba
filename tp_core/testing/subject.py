"""The module under test, with its kind, config class and options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from tp_core.options.base import ModuleConfig
from tp_core.options.context import BuildContext


@dataclass(frozen=True)
class Subject:
    """A module under test.

    Attributes:
        kind: kind of the module.
        name: name of the module in a spec.
        cls: config class of the module.
        options: options that are set.
    """

    kind: str
    name: str
    cls: type[ModuleConfig]
    options: dict[str, Any]

    def config(self) -> Any:
        """The validated options.

        Raises:
            AssertionError: the options are invalid.
        """
        try:
            config = self.cls(**self.options)
        except ValidationError as error:
            raise AssertionError(f"the options are refused: {error}") from None
        problems = [f"{problem.option}: {problem.message}" for problem in config.check(BuildContext())]
        assert not problems, f"the options are refused: {'; '.join(problems)}"
        return config
