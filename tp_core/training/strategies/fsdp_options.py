"""Options of the strategy ``fsdp``. Torch-free."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.strategy import StrategyConfig
from tp_core.processes.launch import launch

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec


class FsdpConfig(StrategyConfig):
    """Fully sharded data parallel: each process holds a part of weights, gradients and optimizer state (torch FSDP2).

    With ``train.precision: bf16`` or ``fp16``, weights are joined in this precision; the parts stay in fp32.
    """

    implementation: ClassVar[str] = "tp_core.training.strategies.fsdp:FsdpStrategy"

    sharding: Literal["full", "hybrid"] = Field(
        "full",
        description="full: all processes divide each weight among them; hybrid: those of a group do, and each group "
        "has all weights",
    )
    group_size: int | None = Field(
        None, gt=1, description="processes of a group of hybrid sharding; default: those of a machine"
    )
    reshard_after_forward: bool = Field(
        True,
        description="free a layer's joined weights between its forward and its backward pass; false: faster, with the "
        "memory of all joined weights",
    )
    reduce_precision: Literal["fp32", "compute"] = Field(
        "fp32", description="precision in which gradients are summed; compute: that of train.precision"
    )
    cpu_offload: bool = Field(
        False, description="keep parts in the memory of the host, where the optimizer updates them"
    )
    tensor_parallel: int = Field(
        1, gt=0, description="processes that compute each sample together, each a part of every layer"
    )
    start_timeout: float = Field(
        300, gt=0, le=86400, description="maximum seconds to wait for all processes at the start"
    )

    def shards(self, count: int, together: int = 1) -> int:
        """Number of processes that divide a weight among them.

        Args:
            count: number of processes, of which ``together`` count as one.
        """
        if self.sharding == "full":
            return count
        machine = os.environ.get("LOCAL_WORLD_SIZE", "")
        here = int(machine) // together if machine.isdecimal() else 0
        return self.group_size or here or count

    def check_training(self, spec: "Spec") -> Iterator[Problem]:
        yield from _no_masters(spec)
        if self.group_size is not None and self.sharding != "hybrid":
            yield Problem("group_size", "is for sharding: hybrid; set that, or leave group_size out")
        if self.cpu_offload and spec.train.options.precision == "fp16":
            yield Problem("cpu_offload", "does not go with train.precision: fp16; bf16 needs no loss scale")


class TensorParallelConfig(StrategyConfig):
    """Tensor parallel: processes compute each sample together, each a part of every layer (Shoeybi et al., 2019).

    Modules declare how they are divided. Groups of processes divide the samples and the weights like ``fsdp``, which
    has this as an option, too.
    """

    implementation: ClassVar[str] = "tp_core.training.strategies.fsdp:TensorParallelStrategy"

    size: int | None = Field(None, gt=1, description="processes that compute a sample together; default: all")
    start_timeout: float = Field(
        300, gt=0, le=86400, description="maximum seconds to wait for all processes at the start"
    )

    def check_training(self, spec: "Spec") -> Iterator[Problem]:
        yield from _no_masters(spec)

    def as_fsdp(self) -> FsdpConfig:
        """The options of ``fsdp`` that mean the same."""
        return FsdpConfig(tensor_parallel=self.size or launch().world_size, start_timeout=self.start_timeout)


def _no_masters(spec: "Spec") -> Iterator[Problem]:
    if spec.train.options.weight_precision != "fp32":
        kept = "the parts of weights are fp32 masters already, and train.precision: bf16 joins them in bf16"
        yield Problem("", f"does not go with train.weight_precision: bf16: {kept}; leave weight_precision out")
