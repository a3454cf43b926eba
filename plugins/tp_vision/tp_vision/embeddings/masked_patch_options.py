"""Options of the patch embedding with masked patches. Torch-free."""

from typing import ClassVar

from pydantic import Field

from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import Port
from tp_vision.embeddings.patch_options import PatchConfig


class MaskedPatchConfig(PatchConfig):
    """Patches of a picture, with a learned vector in place of masked patches (BEiT, SimMIM)."""

    implementation: ClassVar[str] = "tp_vision.embeddings.masked_patch:MaskedPatch"

    mask_token: bool = Field(
        True, description="false: no mask token and no masks, to fine-tune a model that was pre-trained with them"
    )

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        grid = self.grid()
        masks = {Port.input("bool_masked_pos"): FieldSpec(("batch", grid.height * grid.width), "bool")}
        return super().requires(context) | (masks if self.mask_token else {})
