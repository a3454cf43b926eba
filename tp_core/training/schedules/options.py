"""Options of the schedules. Torch-free."""

from typing import ClassVar, Literal

from pydantic import Field

from tp_core.options.schedule import ScheduleConfig


class LinearConfig(ScheduleConfig):
    """Linear decay to ``final`` times the peak."""

    implementation: ClassVar[str] = "tp_core.training.schedules.decays:Linear"

    final: float = Field(0.0, ge=0, le=1, description="factor of the peak at the end")


class CosineConfig(ScheduleConfig):
    """Cosine decay to ``final`` times the peak."""

    implementation: ClassVar[str] = "tp_core.training.schedules.decays:Cosine"

    final: float = Field(0.0, ge=0, le=1, description="factor of the peak at the end")


class CosineRestartsConfig(ScheduleConfig):
    """Cosine decay with ``cycles`` hard restarts."""

    implementation: ClassVar[str] = "tp_core.training.schedules.decays:CosineRestarts"

    cycles: int = Field(1, gt=0, description="number of cosine decays in sequence")
    final: float = Field(0.0, ge=0, le=1, description="factor of the peak at the end of each decay")


class PolynomialConfig(ScheduleConfig):
    """Polynomial decay of degree ``power`` to ``final`` times the peak."""

    implementation: ClassVar[str] = "tp_core.training.schedules.decays:Polynomial"

    power: float = Field(1.0, gt=0, description="degree of the polynomial; 1 is linear")
    final: float = Field(0.0, ge=0, le=1, description="factor of the peak at the end")


class ConstantConfig(ScheduleConfig):
    """Constant learning rate after an optional warm-up."""

    implementation: ClassVar[str] = "tp_core.training.schedules.decays:Constant"


class InverseSqrtConfig(ScheduleConfig):
    """Inverse square root of the step after the warm-up (Vaswani et al., 2017)."""

    implementation: ClassVar[str] = "tp_core.training.schedules.decays:InverseSqrt"


class TriStageConfig(ScheduleConfig):
    """Warm-up from ``initial``, hold, exponential decay to ``final`` (Park et al., 2019)."""

    implementation: ClassVar[str] = "tp_core.training.schedules.stages:TriStage"

    hold: float = Field(0.4, ge=0, lt=1, description="fraction of the steps at the peak")
    decay: float | None = Field(None, gt=0, le=1, description="fraction of the steps for the decay; default: the rest")
    initial: float = Field(0.01, gt=0, le=1, description="factor of the first update, if there is a warm-up")
    final: float = Field(0.05, gt=0, le=1, description="factor of the peak at the end")

    def stages(self) -> dict[str, float]:
        return {"hold": self.hold} | ({} if self.decay is None else {"decay": self.decay})


class WarmupStableDecayConfig(ScheduleConfig):
    """Warm-up, constant, then a decay over the last ``decay`` of the steps (Hu et al., 2024)."""

    implementation: ClassVar[str] = "tp_core.training.schedules.stages:WarmupStableDecay"

    decay: float = Field(0.1, gt=0, le=1, description="fraction of the steps for the decay")
    shape: Literal["linear", "cosine", "sqrt"] = "linear"
    final: float = Field(0.0, ge=0, le=1, description="factor of the peak at the end, and at the first update")

    def stages(self) -> dict[str, float]:
        return {"decay": self.decay}
