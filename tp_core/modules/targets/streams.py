"""Checks of targets that compare the vectors of streams. Torch-free."""

from collections.abc import Iterator

from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.target import TargetConfig


def check_streams(config: TargetConfig, context: BuildContext, third: str = "") -> Iterator[Problem]:
    """Yield the problems of a target that compares all streams of the model.

    Args:
        config: the options of the target.
        context: the context of the target.
        third: the content of a third stream, such as ``hard negatives``; empty if there must be two streams.
    """
    if config.stream is not None:
        yield Problem("stream", "is for a target that reads one stream; this target compares all of them")
    count = len(context.streams)
    have = f"this one has {', '.join(context.streams)}" if context.streams else "this one has none"
    if not third and count != 2:
        yield Problem("", f"compares exactly two streams (model.streams); {have}")
    elif third and count not in (2, 3):
        yield Problem("", f"compares two streams (model.streams), or three with {third} in the last; {have}")


def different_widths(context: BuildContext) -> str:
    """The widths of the streams, for a message; empty if all streams have the same width."""
    widths = {facts.hidden_size for facts in context.streams.values()}
    shown = [f"{facts.hidden_size} ('{name}')" for name, facts in context.streams.items()]
    return f"the streams have different widths, {' and '.join(shown)}" if len(widths) > 1 else ""
