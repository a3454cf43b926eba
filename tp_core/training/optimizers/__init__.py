"""Parameter groups and optimizers.

Weight decay is decoupled from the gradient (Loshchilov & Hutter, 2019) and means the same in all of them: each update
takes ``lr · weight_decay`` of a weight away, with the learning rate that the schedule gives the weight's group.
"""

from __future__ import annotations

from tp_core.training.optimizers.adafactor import Adafactor
from tp_core.training.optimizers.adamw import AdamW
from tp_core.training.optimizers.build import build_optimizer
from tp_core.training.optimizers.groups import checked_groups, parameter_groups
from tp_core.training.optimizers.lion import Lion
from tp_core.training.optimizers.sgd import Sgd

__all__ = ["Adafactor", "AdamW", "Lion", "Sgd", "build_optimizer", "checked_groups", "parameter_groups"]
