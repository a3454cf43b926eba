"""Progress output of a run: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from typing import Any

from tp_core.terminal import printable


def _short(values: dict[str, Any], shown: Sequence[str]) -> str:
    parts = []
    for name in ("loss", "lr", "grad_norm"):
        if name in values:
            parts.append(f"{name} {values[name]:.4g}")
    parts += [f"{name} {values[name]:.3f}" for name in shown if name in values]
    tokens, samples = values.get("tokens_per_second"), values.get("samples_per_second")
    if tokens and tokens != samples:
        parts.append(f"{tokens:,.0f} tokens/s")
    elif samples:  # for images
        parts.append(f"{samples:,.0f} samples/s")
    if values.get("mfu"):
        parts.append(f"mfu {values['mfu']:.1%}")
    return "  ".join(parts)


def duration(seconds: float) -> str:
    """Format seconds as ``1:02:03`` or ``02:03``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:02d}:{rest:02d}"


class Progress:
    """Prints messages and the state of the run on standard error; only on the first process.

    Args:
        shown: names of metrics to show besides the loss.
    """

    def __init__(self, total: int, shown: Sequence[str] = (), enabled: bool = True) -> None:
        self.total, self.shown, self.enabled = total, shown, enabled
        self._bar: Any = None
        self._task: Any = None

    def start(self, step: int) -> None:
        if not self.enabled or not sys.stderr.isatty():
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._bar = Bar(
            TextColumn("train"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[shown]}"),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task("train", total=self.total, completed=step, shown="")
        self._bar.start()

    def step(self, step: int) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=step)

    def log(self, step: int, values: dict[str, Any], left: float) -> None:
        """Print a log line: loss, speed and time left."""
        if self._bar is not None:
            self._bar.update(self._task, completed=step, shown=_short(values, self.shown))
        else:
            self.say(f"step {step}/{self.total}  {_short(values, self.shown)}  left {duration(left)}")

    def say(self, message: str) -> None:
        if not self.enabled:
            return
        message = printable(message)
        with contextlib.suppress(OSError):  # a closed terminal must not stop the run
            if self._bar is not None:
                self._bar.console.print(message, highlight=False, markup=False)
            else:
                print(message, file=sys.stderr, flush=True)

    def stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
