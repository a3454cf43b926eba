"""Options of the encoder ``acme.gates``. Torch-free: torch is only imported when a module is built."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from tp_core import BuildContext, EncoderConfig, FieldSpec, Problem
from tp_core.options.marks import ModelSize, TrainingOnly
from tp_core.options.ports import CAUSAL, Port


class GatesConfig(EncoderConfig):
    """Gated convolutions over neighbouring positions, instead of attention (Dauphin et al., 2017)."""

    implementation: ClassVar[str] = "tp_acme.gates:Gates"

    num_layers: ModelSize[int] = Field(4, gt=0, description="number of layers")
    kernel_size: ModelSize[int] = Field(5, gt=0, description="number of positions that a layer mixes, its own included")
    mask: Literal["fully_visible", "causal"] = Field("fully_visible", description="causal: only earlier positions")
    dropout: TrainingOnly[float] = Field(0.1, ge=0, lt=1, description="dropout on the output of each layer")
    init_std: TrainingOnly[float] = Field(0.02, gt=0, description="standard deviation of the initial weights")

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {CAUSAL: FieldSpec()} if self.mask == "causal" else {}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if self.mask == "fully_visible" and self.kernel_size % 2 == 0:
            yield Problem("kernel_size", f"must be odd, so that the kernel is centred; got {self.kernel_size}")
