"""Options of feed-forward layers. Torch-free."""

from typing import Any, ClassVar

from pydantic import Field

from tp_core.modules.layers.activation_names import Activation
from tp_core.options.context import BuildContext
from tp_core.options.feed_forward import FeedForwardConfig
from tp_core.options.marks import ModelSize, TrainingOnly


class DenseConfig(FeedForwardConfig):
    """Two dense layers, W2 f(W1 x) (Vaswani et al., 2017)."""

    implementation: ClassVar[str] = "tp_core.modules.feed_forwards.dense:DenseFeedForward"

    feed_forward_size: ModelSize[int | None] = Field(None, gt=0, description="inner width; default: 4 × hidden_size")
    activation: Activation = Field("gelu", description="gelu is exact; gelu_tanh is the approximation of GPT-2")
    bias: bool = Field(True, description="biases in all layers")
    activation_dropout: TrainingOnly[float] = Field(0.0, ge=0, lt=1, description="dropout on the inner values")
    init_std: TrainingOnly[float] = Field(0.02, gt=0, description="standard deviation of the initial weights")

    def inner_size(self, hidden_size: int) -> int:
        """The inner width."""
        return self.feed_forward_size or 4 * hidden_size

    def effective(self, context: BuildContext) -> dict[str, Any]:
        return super().effective(context) | {"feed_forward_size": self.inner_size(context.hidden_size)}


class GatedConfig(DenseConfig):
    """Dense layers with a gate, W2 (f(Wg x) · W1 x) (Shazeer, 2020)."""

    implementation: ClassVar[str] = "tp_core.modules.feed_forwards.dense:GatedFeedForward"
