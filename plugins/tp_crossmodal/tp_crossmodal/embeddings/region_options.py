"""Options of the region embedding. Torch-free."""

from typing import ClassVar

from pydantic import Field

from tp_core.options.context import BuildContext
from tp_core.options.embedding import EmbeddingConfig
from tp_core.options.facts import FieldSpec, Usual
from tp_core.options.marks import ModelSize, TrainingOnly
from tp_core.options.ports import Port


class RegionConfig(EmbeddingConfig):
    """Projected features of the regions of a picture (VisualBERT, ViLBERT, ImageBERT), after the words if any."""

    implementation: ClassVar[str] = "tp_crossmodal.embeddings.region:Region"

    size: ModelSize[int] = Field(2048, gt=0, description="width of the features of a region")
    boxes: bool = Field(False, description="add the projected boxes of the regions: left, top, right, bottom, area")
    segment: bool = Field(
        False, description="add a learned vector to all regions, which marks them as a picture (VisualBERT)"
    )
    text_length: int = Field(
        128, gt=0, description="number of positions that are reserved for words; positions of regions start after them"
    )
    init_std: TrainingOnly[float] = Field(0.02, gt=0)

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {Port.published("token_type_ids"): FieldSpec(high=2)}

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        # The processor decides the number of regions; 36 per picture are usual (Anderson et al., 2018).
        fields = {
            Port.input("visual_embeds"): FieldSpec(("batch", Usual(36), self.size), "float32"),
            Port.input("visual_attention_mask"): FieldSpec(("batch", Usual(36)), "bool"),
        }
        return fields | (
            {Port.input("visual_boxes"): FieldSpec(("batch", Usual(36), 5), "float32")} if self.boxes else {}
        )
