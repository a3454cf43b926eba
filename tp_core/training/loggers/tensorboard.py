"""TensorBoard logger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from tp_core.training.loggers.base import LoggedRun, Logger

if TYPE_CHECKING:
    from tp_core.training.loggers.options import TensorBoardConfig


class TensorBoard(Logger):
    """Writes events to ``tensorboard/`` in the run's folder. On resume, events after the checkpoint are purged."""

    def __init__(self, config: TensorBoardConfig, run: LoggedRun) -> None:
        from torch.utils.tensorboard import SummaryWriter

        purge = run.step + 1 if run.step else None
        self._writer = SummaryWriter(str(run.folder / "tensorboard"), purge_step=purge, flush_secs=config.flush_seconds)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def picture(self, step: int, name: str, pixels: Tensor) -> None:
        self._writer.add_image(name, pixels, step)

    def text(self, step: int, name: str, text: str) -> None:
        self._writer.add_text(name, text, step)

    def close(self) -> None:
        self._writer.close()
