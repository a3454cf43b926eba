"""The ``train:`` section of a spec and the options of optimizers, schedules and strategies. Torch-free."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from tp_core.config import ModuleConfig

_SECTION = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True, allow_inf_nan=False)


class OptimizerConfig(ModuleConfig):
    kind: ClassVar[str] = "optimizer"

    lr: float = Field(1e-4, gt=0, description="peak learning rate")
    weight_decay: float = Field(0.01, ge=0, description="decoupled weight decay")
    decay_all: bool = Field(False, description="decay biases and normalisation weights too")

    def lr_factor(self, step: int) -> float:
        """What the optimizer itself multiplies the scheduled learning rate of update ``step`` (from 0) by."""
        return 1.0


class AdamWConfig(OptimizerConfig):
    """AdamW (Loshchilov & Hutter, 2019), fused."""

    betas: list[float] = Field([0.9, 0.999], min_length=2, max_length=2)
    eps: float = Field(1e-8, gt=0)
    bias_correction: bool = Field(True, description="false: as BERT's own optimizer, whose first steps are larger")

    def lr_factor(self, step: int) -> float:
        if self.bias_correction:
            return 1.0
        # The corrected update differs from the uncorrected one by this factor alone.
        first, second = (1 - beta ** (step + 1) for beta in self.betas)
        return float(first / second**0.5)


class AdafactorConfig(OptimizerConfig):
    """Adafactor (Shazeer & Stern, 2018), with the learning rate given by the schedule."""

    beta2_decay: float = Field(-0.8, le=0)
    eps: float = Field(1e-3, gt=0)
    clip_threshold: float = Field(1.0, gt=0)


class SgdConfig(OptimizerConfig):
    """Stochastic gradient descent with momentum, fused."""

    momentum: float = Field(0.9, ge=0, lt=1)
    nesterov: bool = False


class LionConfig(OptimizerConfig):
    """Lion (Chen et al., 2023): the sign of an interpolated momentum."""

    betas: list[float] = Field([0.9, 0.99], min_length=2, max_length=2)


class ScheduleConfig(ModuleConfig):
    kind: ClassVar[str] = "schedule"

    warmup: float = Field(
        0.0, ge=0, description="linear warm-up: a fraction of the steps if below 1, else a number of steps"
    )


class LinearConfig(ScheduleConfig):
    """Linear decay to ``final`` times the peak."""

    final: float = Field(0.0, ge=0, le=1)


class CosineConfig(ScheduleConfig):
    """Cosine decay to ``final`` times the peak."""

    final: float = Field(0.0, ge=0, le=1)


class CosineRestartsConfig(ScheduleConfig):
    """Cosine decay with ``cycles`` hard restarts."""

    cycles: int = Field(1, gt=0)
    final: float = Field(0.0, ge=0, le=1)


class PolynomialConfig(ScheduleConfig):
    """Polynomial decay of degree ``power`` to ``final`` times the peak."""

    power: float = Field(1.0, gt=0)
    final: float = Field(0.0, ge=0, le=1)


class ConstantConfig(ScheduleConfig):
    """Constant, after an optional warm-up."""


class InverseSqrtConfig(ScheduleConfig):
    """Inverse square root of the step after the warm-up (Vaswani et al., 2017)."""


class TriStageConfig(ScheduleConfig):
    """Warm-up from ``initial``, hold, exponential decay to ``final`` (Park et al., 2019)."""

    hold: float = Field(0.4, ge=0, lt=1, description="fraction of the steps at the peak")
    decay: float | None = Field(None, gt=0, le=1, description="fraction of the steps that decay; the rest if unset")
    initial: float = Field(0.01, gt=0, le=1)
    final: float = Field(0.05, gt=0, le=1)


class WarmupStableDecayConfig(ScheduleConfig):
    """Warm-up, constant, then a decay over the last ``decay`` of the steps (Hu et al., 2024)."""

    decay: float = Field(0.1, gt=0, le=1, description="fraction of the steps that decay")
    shape: Literal["linear", "cosine", "sqrt"] = "linear"
    final: float = Field(0.0, ge=0, le=1)


class StrategyConfig(ModuleConfig):
    kind: ClassVar[str] = "strategy"


class AutoConfig(StrategyConfig):
    """``ddp`` under torchrun with several processes, else ``single``."""


class SingleConfig(StrategyConfig):
    """One process, one device."""


class DdpConfig(StrategyConfig):
    """Data parallel: the model on every process, gradients averaged (torch DistributedDataParallel)."""

    bucket_mb: float = Field(25, gt=0, description="size of the gradient buckets that are reduced together, in MB")
    static_graph: bool = Field(False, description="promise that the same parameters take part in every step")


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

    metric: str = Field("loss", description="a metric of the evaluation: loss, loss/mlm, cls/accuracy, ...")
    mode: Literal["min", "max"] | None = Field(
        None, description="unset: min for a loss, perplexity or error rate, else max"
    )
    patience: int = Field(3, gt=0, description="evaluations without improvement before stopping")
    min_delta: float = Field(0.0, ge=0)
    restore_best: bool = Field(True, description="export the weights of the best evaluation")

    def minimise(self) -> bool:
        if self.mode is not None:
            return self.mode == "min"
        return self.metric.startswith("loss") or self.metric.endswith(("perplexity", "error", "error_rate"))


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
    checkpoint_every: int | None = Field(None, gt=0, description="steps between checkpoints; unset: at the end")
    keep_checkpoints: int = Field(2, gt=0, description="newest checkpoints that are kept")
    early_stopping: EarlyStopping | None = None
    on_nan: Literal["stop", "skip"] = Field("stop", description="what to do when a loss or gradient is not finite")
    workers: int = Field(0, ge=0, description="processes that prepare batches; 0: in the training process")
    prefetch: int = Field(4, gt=0, description="batches that each worker prepares ahead")
    tensorboard: bool = True

    def check(self) -> Iterator[tuple[str, str]]:
        """Yield (key, message) for combinations that cannot work."""
        if self.steps is not None and self.epochs is not None:
            yield "epochs", "steps and epochs are both given; give one"
        if self.batch_size % self.accumulate:
            yield "accumulate", f"{self.accumulate} does not divide batch_size {self.batch_size}"
