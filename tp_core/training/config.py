"""The ``train:`` section of a spec and the options of optimizers, schedules and strategies. Torch-free."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from tp_core.config import BuildContext, ModuleConfig, Problem

_SECTION = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True, allow_inf_nan=False)


#: The part of a mean of earlier values that is kept.
Beta = Annotated[float, Field(ge=0, lt=1)]


class OptimizerConfig(ModuleConfig):
    kind: ClassVar[str] = "optimizer"

    lr: float = Field(1e-4, gt=0, description="peak learning rate, which the schedule scales")
    weight_decay: float = Field(
        0.01,
        ge=0,
        description="decoupled: an update takes lr × weight_decay of each weight away, whatever its gradient",
    )
    decay_all: bool = Field(False, description="decay biases and normalisation weights too")


class AdamWConfig(OptimizerConfig):
    """AdamW (Loshchilov & Hutter, 2019), fused."""

    betas: list[Beta] = Field(
        [0.9, 0.999], min_length=2, max_length=2, description="decay of the means of gradients and of their squares"
    )
    eps: float = Field(1e-8, gt=0, description="added to the root of the mean of squares")
    bias_correction: bool = Field(True, description="false: as BERT's own optimizer, whose first steps are larger")


class AdafactorConfig(OptimizerConfig):
    """Adafactor (Shazeer & Stern, 2018): second moments by row and column, with the schedule's learning rate."""

    lr: float = Field(
        1e-3, gt=0, description="peak learning rate, which the schedule scales; about the change of a weight per update"
    )
    beta2_decay: float = Field(
        -0.8, le=0, description="update t takes over t to this power of the squared gradient into the moments"
    )
    eps: list[Annotated[float, Field(gt=0)]] = Field(
        [1e-30, 1e-3],
        min_length=2,
        max_length=2,
        description="added to squared gradients; least root mean square of a weight for scale_parameter",
    )
    clip_threshold: float = Field(
        1.0, gt=0, description="greatest root mean square of a weight's update, in units of lr"
    )
    beta1: Beta | None = Field(None, description="decay of a mean of updates, as momentum; null for none")
    scale_parameter: bool = Field(False, description="multiply each weight's updates by its root mean square")
    relative_step: bool = Field(
        False,
        description="the rate of update t is at most 1/√t: the paper's with lr 0.01, constant and scale_parameter",
    )


class SgdConfig(OptimizerConfig):
    """Stochastic gradient descent with momentum and decoupled weight decay, fused (SGDW; Loshchilov & Hutter, 2019)."""

    lr: float = Field(0.01, gt=0, description="peak learning rate, which the schedule scales")
    momentum: Beta = Field(0.9, description="factor of the sum of earlier gradients")
    nesterov: bool = Field(False, description="take the gradient as if the momentum's step had been made")

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if self.nesterov and not self.momentum:
            yield Problem("nesterov", "looks ahead along the momentum, which is 0")


class LionConfig(OptimizerConfig):
    """Lion (Chen et al., 2023): the sign of an interpolated momentum."""

    lr: float = Field(
        3e-5, gt=0, description="peak learning rate, which the schedule scales; a third of AdamW's or less"
    )
    betas: list[Beta] = Field(
        [0.9, 0.99], min_length=2, max_length=2, description="interpolation of the update; decay of the momentum"
    )


class ScheduleConfig(ModuleConfig):
    kind: ClassVar[str] = "schedule"

    warmup: float = Field(
        0.0,
        ge=0,
        description="linear warm-up, from a first update of rate 0: a fraction of the steps if below 1, else a number",
    )

    def check(self, context: BuildContext) -> Iterator[Problem]:
        """Stages that are fractions of the steps must fit into them; of a number of steps only the run knows."""
        stages = {"warmup": self.warmup if self.warmup < 1 else 0.0, **self.stages()}
        if sum(stages.values()) > 1 + 1e-6:
            option = list(stages)[-1]
            shown = f"{' + '.join(stages)} is {' + '.join(f'{stage:g}' for stage in stages.values())} of the steps"
            yield Problem(option, f"{shown}; at most 1 fits")

    def stages(self) -> dict[str, float]:
        """The stages behind the warm-up that are fractions of the steps, by option."""
        return {}


class LinearConfig(ScheduleConfig):
    """Linear decay to ``final`` times the peak."""

    final: float = Field(0.0, ge=0, le=1, description="factor at the end")


class CosineConfig(ScheduleConfig):
    """Cosine decay to ``final`` times the peak."""

    final: float = Field(0.0, ge=0, le=1, description="factor at the end")


class CosineRestartsConfig(ScheduleConfig):
    """Cosine decay with ``cycles`` hard restarts."""

    cycles: int = Field(1, gt=0, description="number of half cosines, one after the other")
    final: float = Field(0.0, ge=0, le=1, description="factor at the end of each")


class PolynomialConfig(ScheduleConfig):
    """Polynomial decay of degree ``power`` to ``final`` times the peak."""

    power: float = Field(1.0, gt=0, description="degree; 1 is linear")
    final: float = Field(0.0, ge=0, le=1, description="factor at the end")


class ConstantConfig(ScheduleConfig):
    """Constant, after an optional warm-up."""


class InverseSqrtConfig(ScheduleConfig):
    """Inverse square root of the step after the warm-up (Vaswani et al., 2017)."""


class TriStageConfig(ScheduleConfig):
    """Warm-up from ``initial``, hold, exponential decay to ``final`` (Park et al., 2019)."""

    hold: float = Field(0.4, ge=0, lt=1, description="fraction of the steps at the peak")
    decay: float | None = Field(None, gt=0, le=1, description="fraction of the steps that decay; the rest if unset")
    initial: float = Field(0.01, gt=0, le=1, description="factor of the first update, where there is a warm-up")
    final: float = Field(0.05, gt=0, le=1, description="factor at the end")

    def stages(self) -> dict[str, float]:
        return {"hold": self.hold} | ({} if self.decay is None else {"decay": self.decay})


class WarmupStableDecayConfig(ScheduleConfig):
    """Warm-up, constant, then a decay over the last ``decay`` of the steps (Hu et al., 2024)."""

    decay: float = Field(0.1, gt=0, le=1, description="fraction of the steps that decay")
    shape: Literal["linear", "cosine", "sqrt"] = "linear"
    final: float = Field(0.0, ge=0, le=1, description="factor at the end, and of the first update of a warm-up")

    def stages(self) -> dict[str, float]:
        return {"decay": self.decay}


class StrategyConfig(ModuleConfig):
    kind: ClassVar[str] = "strategy"


class AutoConfig(StrategyConfig):
    """``ddp`` under torchrun with several processes, else ``single``."""


class SingleConfig(StrategyConfig):
    """One process, one device."""


class DdpConfig(StrategyConfig):
    """Data parallel: the model on every process, gradients averaged (torch DistributedDataParallel)."""

    bucket_mb: float | None = Field(
        None, gt=0, description="MB of gradients that are averaged together; unset: 25, and 1 for those that come first"
    )
    static_graph: bool = Field(
        False, description="promise that every step trains the same parameters, which spares looking for them each time"
    )
    start_timeout: float = Field(
        300, gt=0, le=86400, description="seconds within which all processes must be there at the start"
    )


#: Core choices that are no module kinds: name → config class.
TABLES: dict[str, dict[str, type[ModuleConfig]]] = {
    "optimizer": {
        "adamw": AdamWConfig,
        "adafactor": AdafactorConfig,
        "sgd": SgdConfig,
        "lion": LionConfig,
    },
    "schedule": {
        "linear": LinearConfig,
        "cosine": CosineConfig,
        "cosine_restarts": CosineRestartsConfig,
        "polynomial": PolynomialConfig,
        "constant": ConstantConfig,
        "inverse_sqrt": InverseSqrtConfig,
        "tri_stage": TriStageConfig,
        "warmup_stable_decay": WarmupStableDecayConfig,
    },
    "strategy": {"auto": AutoConfig, "single": SingleConfig, "ddp": DdpConfig},
}


class EarlyStopping(BaseModel):
    """Stop when an evaluation metric has not improved for ``patience`` evaluations."""

    model_config = _SECTION

    metric: str = Field(
        "loss", description="a metric of the evaluation: loss, loss/mlm, cls/accuracy, loss/<set>/mlm, ..."
    )
    mode: Literal["min", "max"] | None = Field(
        None, description="unset: as the metric's maker declares it; needed where neither low nor high is better"
    )
    patience: int = Field(3, gt=0, description="evaluations without improvement before stopping")
    min_delta: float = Field(0.0, ge=0)
    restore_best: bool = Field(True, description="export the weights of the best evaluation")


#: A time above zero, with its unit.
_TIME = r"^(0*[1-9][0-9]*(\.[0-9]+)?|0+\.[0-9]*[1-9][0-9]*)[smh]$"
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def _seconds(time: str) -> float:
    return float(time[:-1]) * _SECONDS[time[-1]]


def _interval(value: Any) -> Any:
    """Number of steps or time; one message for both."""
    number = isinstance(value, int) and not isinstance(value, bool) and value > 0
    time = isinstance(value, str) and re.match(_TIME, value)
    if value is not None and not number and not time:
        from tp_core.spec.nodes import describe

        raise ValueError(f"expected a number of steps, or a time such as 30m, 90s or 2h; got {describe(value)}")
    return value


def _duration(value: Any) -> Any:
    if value is not None and not (isinstance(value, str) and re.match(_TIME, value)):
        from tp_core.spec.nodes import describe

        raise ValueError(f"expected a time such as 10m, 90s or 2h, or null; got {describe(value)}")
    return value


#: A time with its unit: seconds, minutes or hours.
Duration = Annotated[Annotated[str, Field(pattern=_TIME)] | None, BeforeValidator(_duration)]

#: Steps, or a time with its unit: seconds, minutes or hours.
Interval = Annotated[
    Annotated[int, Field(gt=0)] | Annotated[str, Field(pattern=_TIME)] | None, BeforeValidator(_interval)
]


class TrainOptions(BaseModel):
    """The plain keys of ``train:``; optimizer, schedule, strategy and hooks are module choices beside them."""

    model_config = _SECTION

    steps: int | None = Field(None, gt=0, description="optimizer steps; or give epochs")
    epochs: float | None = Field(None, gt=0, description="passes over the training data; or give steps")
    batch_size: int = Field(32, gt=0, description="samples per optimizer step, over all processes")
    accumulate: int = Field(1, gt=0, description="micro-batches per optimizer step and process")
    seed: int = Field(42, ge=0, lt=2**63)
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compile: bool = Field(False, description="compile the model with torch.compile")
    clip_norm: float | None = Field(1.0, gt=0, description="largest gradient norm; null for no clipping")
    activation_checkpointing: bool = Field(False, description="recompute activations in the backward pass")
    log_every: int = Field(50, gt=0, description="steps between log lines")
    eval_every: int | None = Field(None, gt=0, description="steps between evaluations; unset: at the end")
    eval_batch_size: int | None = Field(None, gt=0, description="samples per evaluation batch; batch_size if unset")
    eval_batches: int | None = Field(None, gt=0, description="most batches of one evaluation; all if unset")
    checkpoint_every: Interval = Field(
        "30m", description="time (90s, 30m, 2h) or number of steps between checkpoints; null: only at the end"
    )
    keep_checkpoints: int = Field(2, gt=0, description="newest checkpoints that are kept, and the best one beside them")
    early_stopping: EarlyStopping | None = None
    on_nan: Literal["stop", "skip"] = Field("stop", description="what to do when a loss or gradient is not finite")
    workers: int = Field(0, ge=0, description="processes that prepare batches; 0: in the training process")
    prefetch: int = Field(4, gt=0, description="batches that each worker prepares ahead")
    timeout: Duration = Field(
        "10m", description="time (90s, 10m, 2h) that a batch, or another process, is waited for; null: for ever"
    )
    tensorboard: bool = True

    def checkpoint_interval(self) -> tuple[int | None, float | None]:
        """The steps and the seconds between two checkpoints; None for what does not decide."""
        every = self.checkpoint_every
        return (None, _seconds(every)) if isinstance(every, str) else (every, None)

    def timeout_seconds(self) -> float | None:
        """The seconds that a batch, or another process, is waited for; None for no limit."""
        return None if self.timeout is None else _seconds(self.timeout)

    def check(self) -> Iterator[tuple[str, str]]:
        """Yield (key, message) for combinations that cannot work."""
        if self.steps is not None and self.epochs is not None:
            yield "epochs", "steps and epochs are both given; give one"
        if self.batch_size % self.accumulate:
            yield "accumulate", f"{self.accumulate} does not divide batch_size {self.batch_size}"
