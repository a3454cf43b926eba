"""Options of the convolutional encoders, and of the one that does nothing. Torch-free until a module is built."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from tp_core.config import BuildContext, EncoderConfig, FieldSpec, Problem
from tp_core.modules.config import Activation

if TYPE_CHECKING:
    from tp_core.interfaces import Encoder


class CNNConfig(EncoderConfig):
    """Filters of several widths side by side (Kim, 2014); with max pooling, his sentence classifier."""

    kernel_sizes: list[Annotated[int, Field(gt=0)]] = Field(
        [3, 4, 5], min_length=1, description="widths of the filters; each has an equal part of hidden_size"
    )
    activation: Activation = Field("relu", description="of the filters' outputs")
    dropout: float = Field(0.1, ge=0, lt=1, description="on the states; 0.5 in the paper")
    init_std: float | None = Field(
        None, gt=0, description="standard deviation of the initial weights; sqrt(2 / inputs of a filter) if unset"
    )

    def check(self, context: BuildContext) -> Iterator[Problem]:
        widths = len(self.kernel_sizes)
        if self.hidden_size % widths:
            near = max(widths, round(self.hidden_size / widths) * widths)
            message = f"{self.hidden_size} is not divisible by the {widths} widths of filters; did you mean {near}?"
            yield Problem("hidden_size", message)

    def build(self, context: BuildContext) -> "Encoder":
        from tp_core.modules.encoders.convolution import CNNEncoder

        return CNNEncoder(self, context)


class GatedCNNConfig(EncoderConfig):
    """Gated convolutions that see earlier positions only (Dauphin et al., 2017)."""

    num_layers: int = Field(8, gt=0, description="number of layers; the first maps the embeddings to hidden_size")
    kernel_size: int = Field(4, gt=0, description="positions that a layer sees, the present one included")
    block_size: int = Field(1, gt=0, description="layers, after the first, in each block with a residual connection")
    dropout: float = Field(0.1, ge=0, lt=1, description="on the output of each layer")
    init_std: float | None = Field(
        None,
        gt=0,
        description="standard deviation of the initial weights; sqrt(3 / inputs of a filter) if unset, which keeps "
        "the variance through the gates",
    )

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"states:causal": FieldSpec()}

    def build(self, context: BuildContext) -> "Encoder":
        from tp_core.modules.encoders.convolution import GatedCNNEncoder

        return GatedCNNEncoder(self, context)


class IdentityConfig(EncoderConfig):
    """No encoder: the embeddings themselves are the states (word2vec; Mikolov et al., 2013)."""

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"states:causal": FieldSpec()}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if self.hidden_size != context.embedding_size:
            message = f"is {self.hidden_size}, but the embeddings, which are the states, are {context.embedding_size}"
            yield Problem("hidden_size", f"{message} wide")

    def build(self, context: BuildContext) -> "Encoder":
        from tp_core.modules.encoders.identity import IdentityEncoder

        return IdentityEncoder()
