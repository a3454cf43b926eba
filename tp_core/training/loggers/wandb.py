"""Weights & Biases logger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from tp_core.errors import TPError
from tp_core.training.loggers.base import LoggedRun, Logger
from tp_core.training.loggers.kept_id import kept_id, new_id

if TYPE_CHECKING:
    from tp_core.training.loggers.options import WandbConfig

#: Name of the step among the values. W&B's own step counter would drop steps that are logged again.
_STEP = "step"


class Wandb(Logger):
    """Logs to a W&B run, which a resumed training continues. Without a network, use ``mode: offline``."""

    def __init__(self, config: WandbConfig, run: LoggedRun) -> None:
        try:
            import wandb
        except ImportError as error:
            raise TPError(f"train.loggers: wandb cannot be imported ({error}): pip install 'tp-core[wandb]'") from error
        self._wandb = wandb
        try:
            self._run = wandb.init(
                project=config.project,
                entity=config.entity,
                name=config.name or run.name,
                group=config.group,
                tags=list(config.tags),
                mode=config.mode,
                dir=str(run.folder),
                id=kept_id(run.folder / "wandb.id", new_id),
                resume="allow",
                config=dict(run.spec),
            )
            self._run.define_metric("*", step_metric=_STEP)
        except wandb.Error as error:
            raise TPError(f"train.loggers: wandb: {error}") from error

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log({_STEP: step, **values})

    def picture(self, step: int, name: str, pixels: Tensor) -> None:
        self._run.log({_STEP: step, name: self._wandb.Image(pixels.permute(1, 2, 0).numpy())})

    def text(self, step: int, name: str, text: str) -> None:
        from html import escape

        self._run.log({_STEP: step, name: self._wandb.Html(f"<pre>{escape(text)}</pre>", inject=False)})

    def close(self) -> None:
        self._run.finish()
