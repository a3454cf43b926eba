"""Options of the strategies. Torch-free."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tp_core.errors import TPError
from tp_core.options.base import Problem
from tp_core.options.strategy import StrategyConfig
from tp_core.processes.launch import launch, start_error

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec
    from tp_core.training.strategies.base import Strategy


class AutoConfig(StrategyConfig):
    """``ddp`` under torchrun with several processes, otherwise ``single``."""

    def build(self) -> "Strategy":
        return SingleConfig().build() if launch().world_size == 1 else DdpConfig().build()


class SingleConfig(StrategyConfig):
    """One process, one device."""

    implementation: ClassVar[str] = "tp_core.training.strategies.single:SingleStrategy"

    def build(self) -> "Strategy":
        started = launch().world_size
        if started > 1:
            message = f"train.strategy: single is for one process, and WORLD_SIZE says that there are {started}"
            raise start_error(TPError(message))
        return super().build()


class DdpConfig(StrategyConfig):
    """Data parallel: the model on every process, gradients averaged (torch DistributedDataParallel)."""

    implementation: ClassVar[str] = "tp_core.training.strategies.ddp:DdpStrategy"

    bucket_mb: float | None = Field(
        None, gt=0, description="MB of gradients that are averaged together; default: 25, and 1 for the first bucket"
    )
    static_graph: bool = Field(
        False, description="promise that every step trains the same parameters; saves the search for unused parameters"
    )
    start_timeout: float = Field(
        300, gt=0, le=86400, description="maximum seconds to wait for all processes at the start"
    )

    def check_training(self, spec: "Spec") -> Iterator[Problem]:
        if spec.data.sets and self.static_graph:
            promise = "promises that every step trains the same parameters"
            yield Problem("static_graph", f"{promise}, and data.sets are trained in turn; leave it out")
        if spec.train.options.compile and self.bucket_mb is not None and self.bucket_mb < 1:
            yield Problem("bucket_mb", f"is {self.bucket_mb:g}, and a compiled model needs buckets of 1 MB or more")
