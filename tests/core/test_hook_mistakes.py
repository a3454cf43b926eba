"""Hooks that do not fit their specifications are one message before anything is trained."""

from __future__ import annotations

from typing import Any

import pytest

from tp_core.errors import TPError
from tp_core.hookspecs import hook_manager, hookimpl


class Misspelt:
    @hookimpl
    def tp_stepend(self, trainer: Any) -> None: ...


class WrongArgument:
    @hookimpl
    def tp_step_end(self, trainer: Any, steps: int) -> None: ...


def test_a_hook_that_there_is_not_is_answered_with_the_nearest() -> None:
    with pytest.raises(TPError) as caught:
        hook_manager([("mine:Config", Misspelt())])
    assert str(caught.value) == (
        "train.hooks: 'mine:Config' does not fit the hooks of tp: there is no hook 'tp_stepend'; "
        "did you mean 'tp_step_end'?"
    )


def test_an_argument_that_a_hook_does_not_have_is_named() -> None:
    with pytest.raises(TPError) as caught:
        hook_manager([("mine", WrongArgument())])
    assert str(caught.value) == (
        "train.hooks: 'mine' does not fit the hooks of tp: tp_step_end: unknown argument steps; "
        "available: trainer, step"
    )
