"""The hook ``acme.print_norms``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from tp_acme.print_norms_options import PrintNormsConfig
from tp_core import hookimpl

if TYPE_CHECKING:
    from tp_core import Trainer


class PrintNorms:
    """Prints the norms every ``every`` steps, in runs whose spec lists the hook under ``train.hooks``."""

    def __init__(self, config: PrintNormsConfig) -> None:
        self.every = config.every

    @hookimpl
    def tp_step_end(self, trainer: Trainer, step: int) -> None:
        if step % self.every:
            return
        norms = {
            name: torch.nn.utils.get_total_norm([p.detach() for p in part.parameters()]).item()
            for name, part in trainer.model.named_children()
            if any(True for _ in part.parameters())
        }
        shown = "  ".join(f"{name} {norm:.3f}" for name, norm in norms.items())
        trainer.progress.say(f"step {step}  norms  {shown}")
