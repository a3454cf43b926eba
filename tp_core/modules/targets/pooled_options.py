"""Options that targets of whole samples share. Torch-free."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field

from tp_core.modules.layers.activation_names import Activation
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import Pooling
from tp_core.options.marks import TrainingOnly
from tp_core.options.target import TargetConfig


class PooledTargetConfig(TargetConfig):
    """Base of targets that compute their outputs from one vector per sample."""

    reads_streams: ClassVar[bool] = True

    pooling: Pooling | None = Field(None, description="first, last, mean or max; default: the model's pooling")
    hidden_layer: bool = Field(True, description="dense layer of width hidden_size before the output layer")
    activation: Activation = Field("tanh", description="activation of the hidden layer")
    dropout: TrainingOnly[float] = Field(0.1, ge=0, lt=1, description="dropout before the output layer")
    combine: list[Literal["u", "v", "abs_difference", "product"]] | None = Field(
        None,
        min_length=1,
        description="input of the head from the vectors u, v of two streams; default: [u, v, abs_difference] (SBERT)",
    )
    init_std: TrainingOnly[float] = Field(0.02, gt=0)

    def pools(self, context: BuildContext) -> dict[str, Pooling]:
        if context.streams and self.stream is None:
            return {name: self.pooling or facts.pooling for name, facts in context.streams.items()}
        return {self.stream or "": self.pooling or context.pooling}

    def combined(self) -> list[str]:
        """The inputs of the head of two streams: the vectors u and v, or combinations of them."""
        return ["u", "v", "abs_difference"] if self.combine is None else list(self.combine)

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        if not context.streams or self.stream is not None:
            if self.combine is not None:
                why = f"stream is {self.stream}" if context.streams else "the model has no model.streams"
                yield Problem("combine", f"combines the vectors of two streams, but {why}")
            return
        if len(context.streams) != 2:
            names = ", ".join(context.streams)
            yield Problem("", f"reads pairs of exactly two streams, but the model has {names}")
        widths = [facts.hidden_size for facts in context.streams.values()]
        for each in self.combined():
            if each in ("abs_difference", "product") and len(set(widths)) > 1:
                sizes = " and ".join(map(str, widths))
                yield Problem("combine", f"'{each}' needs streams of equal width, but they have {sizes}; use [u, v]")
                break

    def effective(self, context: BuildContext) -> dict[str, Any]:
        found = super().effective(context)
        if not context.streams:
            found["pooling"] = self.pooling or context.pooling
        if not self.hidden_layer:
            del found["activation"]
        return found
