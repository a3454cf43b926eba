"""The contracts of hooks."""

from __future__ import annotations

from tp_core.errors import TPError
from tp_core.hookspecs import Hooks, hook_manager
from tp_core.options.hooks import HooksConfig
from tp_core.testing.subject import Subject


def check(subject: Subject) -> None:
    """Check that the methods are hooks of tp and have valid arguments."""
    config = subject.config()
    assert isinstance(config, HooksConfig)
    built = config.build()
    try:
        manager = hook_manager([(subject.name, built)])
    except TPError as error:
        raise AssertionError(str(error)) from None
    listened = [hook.name for hook in manager.get_hookcallers(built) or ()]
    known = [name for name in vars(Hooks) if name.startswith("tp_")]
    assert listened, (
        f"{type(built).__name__} implements no hook; mark its methods with tp_core.hookimpl: {', '.join(known)}"
    )
