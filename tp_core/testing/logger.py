"""The contracts of a logger, checked in a folder like that of a run."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from tp_core.options.logger import LoggerConfig
from tp_core.testing.explained import explained
from tp_core.testing.subject import Subject
from tp_core.training.loggers.base import LoggedRun, Logger

_STEPS = 20

#: Files in a run's folder that belong to the run itself.
_RUN = ("spec.yaml", "metrics.jsonl", "provenance.json")


def check(subject: Subject) -> None:
    """Check a logger with a run that ends and is then resumed at an earlier step in another process.

    The logger must accept numbers, pictures and texts with any names. It must not change the run's own files. A resumed
    run must keep everything that was logged before its step.
    """
    config = subject.config()
    assert isinstance(config, LoggerConfig)
    with TemporaryDirectory() as place:
        folder = Path(place)
        for name in _RUN:
            (folder / name).write_text(f"{name} of the run\n", encoding="utf-8")
        _tell(config, folder, 0, range(1, _STEPS + 1))
        before = _sizes(folder)
        _tell(config, folder, _STEPS - 1, range(_STEPS, _STEPS + 1))
        _check_kept(folder, before)


def _tell(config: LoggerConfig, folder: Path, step: int, steps: range) -> None:
    with explained(f"logging a run that {f'goes on from step {step}' if step else 'begins'}"):
        logger = config.build(LoggedRun(folder, "conformance", {"tp": 1, "train": {"steps": _STEPS}}, step))
        assert isinstance(logger, Logger), f"build() gives a {type(logger).__name__}; expected a tp_core.Logger"
        for number in steps:
            logger.scalars(number, {"loss": 1.0 / number, "eval/cls/accuracy": 0.5, "lr": 0.0})
        logger.picture(steps[-1], "reconstructions/0", torch.arange(60, dtype=torch.uint8).reshape(3, 4, 5))
        logger.text(steps[-1], "answers", "*a text* with `é` and 日本語")
        logger.close()


def _sizes(folder: Path) -> dict[str, int]:
    files = (each for each in folder.rglob("*") if each.is_file())
    return {str(each.relative_to(folder)): each.stat().st_size for each in files}


def _check_kept(folder: Path, before: dict[str, int]) -> None:
    for name in _RUN:
        path = folder / name
        kept = path.is_file() and path.read_text(encoding="utf-8") == f"{name} of the run\n"
        assert kept, f"it changes {name}, a file of the run itself; a logger must use other file names"
    after = _sizes(folder)
    for name, size in before.items():
        # 19 of the 20 steps must remain.
        assert after.get(name, 0) >= size // 2, (
            f"{name} had {size} bytes and has {after.get(name, 0)} after the run is resumed at step {_STEPS - 1}; a "
            "logger must keep everything that was logged before this step"
        )
