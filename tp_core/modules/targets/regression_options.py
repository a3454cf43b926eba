"""Options of regression. Torch-free."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from tp_core.metrics.facts import MetricFacts
from tp_core.metrics.values import value_facts
from tp_core.modules.targets.pooled_options import PooledTargetConfig
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec, OutputFacts
from tp_core.options.marks import ModelSize, TrainingOnly
from tp_core.options.ports import Port


class RegressionConfig(PooledTargetConfig):
    """Regression: one or several numbers for each sample, from pooling, optional hidden layer, linear layer."""

    implementation: ClassVar[str] = "tp_core.modules.targets.regression:Regression"
    terms: ClassVar[Mapping[str, str]] = {"outputs": "num_outputs n_outputs num_targets output_size output_dim"}

    outputs: ModelSize[int] = Field(1, gt=0, description="how many numbers are predicted for each sample")
    loss: TrainingOnly[Literal["mse", "huber"]] = Field(
        "mse", description="mse: squared error; huber: squared error / 2 up to huber_delta, linear above (Huber, 1964)"
    )
    huber_delta: TrainingOnly[float | None] = Field(
        None, gt=0, description="loss huber: error above which it grows linearly; default: 1"
    )
    metrics: list[Literal["pearson", "spearman", "mse", "mae", "r2"]] = Field(
        ["pearson", "spearman"],
        min_length=1,
        description="metrics: pearson and spearman (correlations), r2 (coefficient of determination), all only in "
        "evaluations; mse and mae (mean squared and absolute error); with several outputs, the mean over the outputs, "
        "and one for each output, such as pearson_0",
    )

    def published_facts(self) -> Iterable[OutputFacts]:
        yield OutputFacts(self.outputs)

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {Port.labels("regression"): FieldSpec(("batch", self.outputs), "float32")}

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return {name: facts for metric in self.metrics for name, facts in value_facts(metric, self.outputs).items()}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        for name in dict.fromkeys(self.metrics):
            if self.metrics.count(name) > 1:
                yield Problem("metrics", f"{name} is listed twice")
        if self.loss != "huber" and self.huber_delta is not None:
            yield Problem("huber_delta", f"is for loss: huber, but loss is {self.loss}")

    def effective(self, context: BuildContext) -> dict[str, Any]:
        found = super().effective(context)
        del found["metrics"]
        return found
