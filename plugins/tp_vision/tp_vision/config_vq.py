"""Options of a VQ-VAE: the convolutions before its codes, and the target that learns codes. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from tp_core.config import BuildContext, EmbeddingConfig, FieldSpec, GridFacts, Problem, TargetConfig
from tp_core.metrics.facts import MetricFacts
from tp_vision.config import GridOptions, pair
from tp_vision.config_masked import grid_of

if TYPE_CHECKING:
    from tp_core.interfaces import Embedding, Target


def halvings(patch: tuple[int, int]) -> int | None:
    """How often a picture is halved until a patch is one pixel; None where it never is."""
    steps = patch[0].bit_length() - 1
    return steps if patch == (2**steps, 2**steps) else None


class ConvolutionalPatchConfig(EmbeddingConfig, GridOptions):
    """Patches of a picture through convolutions that halve it, with residual blocks (VQ-VAE)."""

    width: int = Field(128, gt=0, description="channels of the convolutions")
    blocks: int = Field(2, ge=0, description="residual blocks behind them")

    def grid(self) -> GridFacts:
        (height, width), (rows, columns) = pair(self.image_size), pair(self.patch_size)
        return GridFacts(height // rows, width // columns, (rows, columns), self.channels)

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"pixel_values": FieldSpec(("batch", self.channels, *pair(self.image_size)), "float32")}

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        grid = self.grid()
        return {"side:patches": FieldSpec((grid.height, grid.width), "int64")}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from self.check_grid()
        if halvings(pair(self.patch_size)) is None:
            yield Problem("patch_size", f"must be a power of two, the same in height and width, got {self.patch_size}")

    def build(self, context: BuildContext) -> "Embedding":
        from tp_vision.embeddings.convolutional import ConvolutionalPatch

        return ConvolutionalPatch(self, context)


class VectorQuantizationConfig(TargetConfig):
    """The picture again from the nearest of learned codes to each patch's state (VQ-VAE; van den Oord et al., 2017)."""

    num_tokens: int = Field(512, gt=1, description="number of codes")
    code_size: int = Field(32, gt=0, description="width of the codes, which are of length one")
    commitment: float = Field(0.25, ge=0, description="factor of the distance of states from their codes")
    diversity: float = Field(
        0.02,
        ge=0,
        description="factor of the entropy of a batch's mean choice, by which all codes come to be used",
    )
    diversity_temperature: float = Field(0.1, gt=0, description="divides the similarities that the choice is made of")
    width: int = Field(128, gt=0, description="channels of the decoder's convolutions")
    blocks: int = Field(2, ge=0, description="residual blocks before them")

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"side:patches": FieldSpec()}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        patch = grid_of(context).patch_size
        if halvings(patch) is None:
            yield Problem("", f"needs patches whose size is a power of two, and the model's are {patch}")

    def effective(self, context: BuildContext) -> dict[str, Any]:
        training = ("commitment", "diversity", "diversity_temperature")
        return {key: value for key, value in super().effective(context).items() if key not in training}

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return {"squared_error": MetricFacts("low")}

    def build(self, context: BuildContext) -> "Target":
        from tp_vision.targets.vq import VectorQuantization

        return VectorQuantization(self, context)
