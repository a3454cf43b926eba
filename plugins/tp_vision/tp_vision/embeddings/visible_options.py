"""Options of the removal of masked patches. Torch-free."""

from typing import ClassVar

from tp_core.options.context import BuildContext
from tp_core.options.embedding import EmbeddingConfig
from tp_core.options.facts import FieldSpec, Usual
from tp_core.options.ports import Port
from tp_vision.embeddings.options import grid_of
from tp_vision.ports import PATCHES


class VisibleConfig(EmbeddingConfig):
    """Removal of masked patches, after positions are added to all patches (MAE; He et al., 2022)."""

    implementation: ClassVar[str] = "tp_vision.embeddings.visible:Visible"
    makes_sequence: ClassVar[bool] = False

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        patches = grid_of(context).height * grid_of(context).width
        # A quarter, as in MAE; batches may have any number.
        visible = FieldSpec(("batch", Usual(max(1, patches // 4))), "int64", patches)
        return {PATCHES: FieldSpec(), Port.input("visible_ids"): visible}

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {Port.published("visible_ids"): FieldSpec(), Port.published("all_patches"): FieldSpec()}

    def withdraws(self, context: BuildContext) -> tuple[Port, ...]:
        return (PATCHES,)
