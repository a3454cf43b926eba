"""The ``train:`` section of a spec and the options of optimizers, schedules and strategies. Torch-free."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from tp_core.options.section import Section


class EarlyStopping(Section):
    """Stop when an evaluation metric has not improved for ``patience`` evaluations."""

    metric: str = Field(
        "loss", description="a metric of the evaluation: loss, loss/mlm, cls/accuracy, loss/<set>/mlm, ..."
    )
    mode: Literal["min", "max"] | None = Field(
        None, description="default: as declared for the metric; required if neither low nor high is declared better"
    )
    patience: int = Field(3, gt=0, description="evaluations without improvement before stopping")
    min_delta: float = Field(0.0, ge=0)
    restore_best: bool = Field(True, description="export the weights of the best evaluation")


#: Pattern of a time above zero with its unit.
_TIME = r"^(0*[1-9][0-9]*(\.[0-9]+)?|0+\.[0-9]*[1-9][0-9]*)[smh]$"
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def _seconds(time: str) -> float:
    return float(time[:-1]) * _SECONDS[time[-1]]


def _interval(value: Any) -> Any:
    """Validate a number of steps or a time, with one message for both."""
    number = isinstance(value, int) and not isinstance(value, bool) and value > 0
    time = isinstance(value, str) and re.match(_TIME, value)
    if value is not None and not number and not time:
        from tp_core.spec.tree.nodes import describe

        raise ValueError(f"expected a number of steps, or a time such as 30m, 90s or 2h; got {describe(value)}")
    return value


def _duration(value: Any) -> Any:
    if value is not None and not (isinstance(value, str) and re.match(_TIME, value)):
        from tp_core.spec.tree.nodes import describe

        raise ValueError(f"expected a time such as 10m, 90s or 2h, or null; got {describe(value)}")
    return value


#: A time with its unit: seconds, minutes or hours.
Duration = Annotated[Annotated[str, Field(pattern=_TIME)] | None, BeforeValidator(_duration)]

#: Steps, or a time with its unit: seconds, minutes or hours.
Interval = Annotated[
    Annotated[int, Field(gt=0)] | Annotated[str, Field(pattern=_TIME)] | None, BeforeValidator(_interval)
]


class TrainOptions(Section):
    """The plain keys of ``train:``. Optimizer, schedule, strategy and hooks are separate module choices."""

    steps: int | None = Field(
        None, ge=0, description="optimizer steps; 0 only evaluates and exports the initial model; alternative to epochs"
    )
    epochs: float | None = Field(None, ge=0, description="passes over the training data; alternative to steps")
    batch_size: int = Field(32, gt=0, description="samples per optimizer step, over all processes")
    accumulate: int = Field(1, gt=0, description="micro-batches per optimizer step and process")
    seed: int = Field(42, ge=0, lt=2**63)
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    weight_precision: Literal["fp32", "bf16"] = Field(
        "fp32",
        description="bf16: matrices and their gradients in bf16, with fp32 masters for the optimizer; saves memory and "
        "exchanged bytes, for precision: bf16",
    )
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compile: bool = Field(False, description="compile the model with torch.compile")
    clip_norm: float | None = Field(1.0, gt=0, description="maximum gradient norm; null: no clipping")
    activation_checkpointing: bool | Literal["selective"] = Field(
        False,
        description="recompute activations in the backward pass; selective: all but results of matrix products, "
        "convolutions and attention",
    )
    log_every: int = Field(50, gt=0, description="steps between log lines")
    eval_every: int | None = Field(None, gt=0, description="steps between evaluations; default: only at the end")
    eval_batch_size: int | None = Field(None, gt=0, description="samples per evaluation batch; default: batch_size")
    eval_batches: int | None = Field(None, gt=0, description="maximum number of batches per evaluation; default: all")
    checkpoint_every: Interval = Field(
        "30m", description="time (90s, 30m, 2h) or number of steps between checkpoints; null: only at the end"
    )
    save_in_background: bool = Field(
        False, description="go on training while a checkpoint is written, from a copy in the memory of the host"
    )
    keep_checkpoints: int = Field(2, gt=0, description="number of newest checkpoints to keep, besides the best one")
    early_stopping: EarlyStopping | None = None
    on_nan: Literal["stop", "skip"] = Field(
        "stop", description="stop, or skip the step, if a loss or gradient is not finite"
    )
    workers: int = Field(0, ge=0, description="processes that prepare batches; 0: in the training process")
    prefetch: int = Field(4, gt=0, description="batches that each worker prepares ahead")
    timeout: Duration = Field(
        "10m", description="maximum time (90s, 10m, 2h) to wait for a batch or another process; null: no limit"
    )

    @property
    def trains(self) -> bool:
        """False for a run without steps, which only evaluates and exports its initial model."""
        return self.steps != 0 and self.epochs != 0

    def checkpoint_interval(self) -> tuple[int | None, float | None]:
        """Steps and seconds between two checkpoints; None for the one that is not used."""
        every = self.checkpoint_every
        return (None, _seconds(every)) if isinstance(every, str) else (every, None)

    def timeout_seconds(self) -> float | None:
        """Maximum seconds to wait for a batch or another process; None for no limit."""
        return None if self.timeout is None else _seconds(self.timeout)

    def check(self) -> Iterator[tuple[str, str]]:
        """Yield (key, message) for combinations that cannot work."""
        if self.steps is not None and self.epochs is not None:
            yield "epochs", "steps and epochs are both given; give one"
        if self.weight_precision == "bf16" and self.precision != "bf16":
            yield "weight_precision", f"bf16 needs precision: bf16, but precision is {self.precision}"
        if self.batch_size % self.accumulate:
            yield "accumulate", f"{self.accumulate} does not divide batch_size {self.batch_size}"
