"""Commands whose options are made when they are needed: ``tp --help`` lists the commands without them."""

from __future__ import annotations

from typing import Any, ClassVar

import click


class GenerationCommand(click.Command):
    """A command with an option for each of ``inference.generate``, None where it is not given."""

    #: Leave out what is about prompts and lengths.
    search_only: ClassVar[bool] = False
    _made = False

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        if not self._made:
            from tp_core.cli.generation import generation_parameters  # pydantic takes a while

            self._made = True
            self.params += generation_parameters(self.search_only)
        return super().get_params(ctx)


class SearchCommand(GenerationCommand):
    """A command with the options of ``inference.generate`` that say how tokens are chosen."""

    search_only: ClassVar[bool] = True


def given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that a command was given; the others are as the model's spec says."""
    return {name: value for name, value in options.items() if value is not None}
