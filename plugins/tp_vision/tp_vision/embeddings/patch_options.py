"""Options of the patch embedding. Torch-free."""

from collections.abc import Iterable, Iterator
from typing import ClassVar

from pydantic import Field

from tp_core.options.base import Equivalent, Problem
from tp_core.options.context import BuildContext
from tp_core.options.embedding import EmbeddingConfig
from tp_core.options.facts import FieldSpec
from tp_core.options.marks import TrainingOnly
from tp_core.options.ports import Port
from tp_vision.embeddings.options import GridOptions, pair
from tp_vision.facts import GridFacts
from tp_vision.ports import PATCHES, PIXEL_VALUES


class PatchConfig(GridOptions, EmbeddingConfig):
    """Patches of a picture, one vector each, after a class token (ViT; Dosovitskiy et al., 2021)."""

    implementation: ClassVar[str] = "tp_vision.embeddings.patch:Patch"

    class_token: bool = Field(True, description="put a learned vector first")
    distillation_token: bool = Field(
        False, description="put another learned vector after it (DeiT; Touvron et al., 2021)"
    )
    registers: int = Field(
        0, ge=0, description="number of additional learned vectors before the patches (Darcet et al., 2024)"
    )
    bias: bool = Field(True, description="add a bias to the projection of patches")
    init_std: TrainingOnly[float] = Field(0.02, gt=0)
    projection_std: TrainingOnly[float | None] = Field(
        None,
        gt=0,
        description="standard deviation of the projection's initial weights; default, as in ViT: "
        "1 / sqrt(channels x height x width of a patch)",
    )

    def equivalents(self) -> Iterable[Equivalent]:
        """The same patches with a bias, which is zero."""
        if self.bias:
            return []
        return [Equivalent(self.model_copy(update={"bias": True}))]

    def grid(self) -> GridFacts:
        leading = int(self.class_token) + int(self.distillation_token)
        return super().grid()._replace(leading=leading, registers=self.registers)

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {PIXEL_VALUES: FieldSpec(("batch", self.channels, *pair(self.image_size)), "float32")}

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        grid = self.grid()
        return {PATCHES: FieldSpec((grid.height, grid.width), "int64")}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from self.check_grid()
