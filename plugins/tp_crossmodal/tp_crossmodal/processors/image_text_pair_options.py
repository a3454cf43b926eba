"""Options of the processors of captions with pictures or regions in two streams. Torch-free."""

from typing import ClassVar

from pydantic import Field

from tp_crossmodal.processors.image_text_options import ImageTextProcessorConfig, RegionTextProcessorConfig
from tp_crossmodal.processors.options import StreamOptions


class ImageTextPairProcessorConfig(StreamOptions, ImageTextProcessorConfig):
    """Pictures with their captions for two streams (CLIP)."""

    implementation: ClassVar[str] = "tp_crossmodal.processors.image_text_pair:ImageTextPairProcessor"

    max_length: int = Field(
        77,
        gt=3,
        description="maximum length of a text, including special tokens; default: the model's limit, if it has one",
    )


class RegionTextPairProcessorConfig(StreamOptions, RegionTextProcessorConfig):
    """Features of regions with their captions for two streams (ViLBERT)."""

    implementation: ClassVar[str] = "tp_crossmodal.processors.image_text_pair:ImageTextPairProcessor"
