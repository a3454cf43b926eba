"""Commands that create their options on first use: ``tp --help`` lists the commands without creating options."""

from __future__ import annotations

from typing import Any, ClassVar

import click


class GenerationCommand(click.Command):
    """A command with an option for each option of ``inference.generate``; None if it is not given."""

    #: True to leave out the options for prompts and lengths.
    search_only: ClassVar[bool] = False
    _made = False

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        if not self._made:
            from tp_core.cli.generation import generation_parameters  # importing pydantic is slow

            self._made = True
            self.params += generation_parameters(self.search_only)
        return super().get_params(ctx)


class SearchCommand(GenerationCommand):
    """A command with those options of ``inference.generate`` that control the choice of tokens."""

    search_only: ClassVar[bool] = True


def given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that the user gave; the model's spec determines the others."""
    return {name: value for name, value in options.items() if value is not None}
