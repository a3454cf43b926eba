"""The processes that divide the samples of a training step, for modules that read the samples of all of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch.distributed as dist

from tp_core.processes.group import ProcessGroup


class DataParallel(NamedTuple):
    """The place of this process among those that divide the samples.

    Attributes:
        group: the process group of torch; None for that of all processes.
    """

    rank: int = 0
    world_size: int = 1
    group: Any = None


_some: list[DataParallel] = []


def set_data_parallel(processes: ProcessGroup | None) -> None:
    """Declare that only these of all processes divide the samples; None: all of them."""
    _some.clear()
    if processes is not None:
        _some.append(DataParallel(processes.rank, processes.world_size, getattr(processes, "group", None)))


def data_parallel() -> DataParallel:
    """The place of this process; it is alone outside of torch.distributed."""
    if _some:
        return _some[0]
    if not dist.is_available() or not dist.is_initialized():
        return DataParallel()
    return DataParallel(dist.get_rank(), dist.get_world_size())
