"""Options of the region embedding. Torch-free."""

from typing import ClassVar

from pydantic import Field

from tp_core.options.context import BuildContext
from tp_core.options.embedding import EmbeddingConfig
from tp_core.options.facts import FieldSpec, Usual
from tp_core.options.ports import Port


class RegionConfig(EmbeddingConfig):
    """Given features of regions of a picture, projected (VisualBERT, ViLBERT, ImageBERT); behind words if any."""

    implementation: ClassVar[str] = "tp_crossmodal.embeddings.region:Region"

    size: int = Field(2048, gt=0, description="width of the given features")
    boxes: bool = Field(False, description="add the projected boxes of the regions: left, top, right, bottom, area")
    segment: bool = Field(False, description="add a learned vector that says that this is a picture (VisualBERT)")
    text_length: int = Field(
        128, gt=0, description="positions that are kept for words before; those of the regions begin behind them"
    )
    init_std: float = Field(0.02, gt=0)

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {Port.published("token_type_ids"): FieldSpec(high=2)}

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        # The processor decides how many; 36 a picture are usual (Anderson et al., 2018).
        fields = {
            Port.input("visual_embeds"): FieldSpec(("batch", Usual(36), self.size), "float32"),
            Port.input("visual_attention_mask"): FieldSpec(("batch", Usual(36)), "bool"),
        }
        return fields | (
            {Port.input("visual_boxes"): FieldSpec(("batch", Usual(36), 5), "float32")} if self.boxes else {}
        )
