"""Check that all processes hold the same weights, since only one process saves them."""

from __future__ import annotations

import torch
from torch import Tensor

from tp_core.artifacts.tensor_digest import tensor_digest
from tp_core.errors import TPError
from tp_core.model import Model
from tp_core.training.strategies.base import Strategy

#: Maximum number of processes that a message lists.
_SHOWN = 4


def need_same_weights(strategy: Strategy, model: Model, step: int) -> None:
    """Check that all processes hold exactly the same weights, unless they are sharded. All must call this together.

    Buffers are copied from the first process, since batch statistics may differ between the processes' shares.

    Raises:
        TPError: the weights differ; every process raises it.
    """
    if strategy.world_size == 1:
        return
    strategy.sync_buffers(model)
    if not strategy.replicated:
        return
    weights = model.weights()
    # Copy all digests from the device at once.
    own = torch.stack([tensor_digest(value) for value in weights.values()]).cpu()
    gathered: list[tuple[int, Tensor]] = strategy.processes.gather((step, own))
    steps = [each for each, _ in gathered]
    if len({*steps}) > 1:
        raise TPError(f"the processes are at different steps: {', '.join(map(str, steps))} (by rank)")
    digests = [each for _, each in gathered]
    common = max(digests, key=lambda each: sum(torch.equal(each, other) for other in digests))
    odd = [rank for rank, each in enumerate(digests) if not torch.equal(each, common)]
    if not odd:
        return
    differ = [name for name, same in zip(weights, digests[odd[0]] == common) if not same]
    ranks = ", ".join(map(str, odd[:_SHOWN])) + (f" and {len(odd) - _SHOWN} more" if len(odd) > _SHOWN else "")
    others = f" and {len(differ) - 1} more of {len(weights)}" if len(differ) > 1 else ""
    raise TPError(
        f"step {step}: the processes hold different weights. Those of rank {ranks} differ from those of "
        f"rank {next(rank for rank in range(len(digests)) if rank not in odd)}, the first in '{differ[0]}'{others}. "
        "Each would train a separate model, so nothing more is saved. A hook that changes weights must do so on "
        "every process"
    )
