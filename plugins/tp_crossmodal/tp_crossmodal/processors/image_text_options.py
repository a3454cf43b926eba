"""Options of the processors of captions with pictures or regions as one input. Torch-free."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import Port
from tp_crossmodal.processors.options import CaptionOptions
from tp_vision.processors.options import PictureProcessorConfig


class ImageTextProcessorConfig(CaptionOptions, PictureProcessorConfig):
    """Pictures with their captions as one input (ViLT)."""

    implementation: ClassVar[str] = "tp_crossmodal.processors.image_text:ImageTextProcessor"
    visual: ClassVar[str] = "tp_crossmodal.processors.visual:Pixels"
    needs_tokenizer: ClassVar[bool] = True
    sampling_options: ClassVar[frozenset[str]] = (
        CaptionOptions.sampling_options | PictureProcessorConfig.sampling_options
    )

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return super().provides(context) | PictureProcessorConfig.provides(self, context)

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        yield from PictureProcessorConfig.check(self, context)


class RegionTextProcessorConfig(CaptionOptions):
    """Features of regions with their captions as one input (VisualBERT, ImageBERT)."""

    implementation: ClassVar[str] = "tp_crossmodal.processors.image_text:ImageTextProcessor"
    visual: ClassVar[str] = "tp_crossmodal.processors.visual:Regions"
    media_fields: ClassVar[frozenset[str]] = frozenset({"regions", "boxes"})

    region_size: int = Field(2048, gt=0, description="width of the features of a region")
    max_regions: int = Field(36, gt=0, description="maximum number of regions per picture; the first ones are kept")
    boxes: bool = Field(False, description="read boxes of the regions from the field boxes")

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        fields = {
            Port.input("visual_embeds"): FieldSpec(("batch", self.max_regions, self.region_size), "float32"),
            Port.input("visual_attention_mask"): FieldSpec(("batch", self.max_regions), "bool"),
        }
        if self.boxes:
            fields[Port.input("visual_boxes")] = FieldSpec(("batch", self.max_regions, 5), "float32")
        return super().provides(context) | fields
