"""Options of MAE's decoder. Torch-free."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from tp_core.modules.layers.transformer_options import TransformerOptions
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.decoder import DecoderConfig
from tp_core.options.facts import FieldSpec
from tp_core.options.marks import ModelSize
from tp_core.options.ports import Port
from tp_vision.ports import PATCHES


class MaskedDecoderConfig(DecoderConfig, TransformerOptions):
    """MAE's decoder: mask tokens for masked patches, fixed positions and a transformer (He et al., 2022)."""

    implementation: ClassVar[str] = "tp_vision.decoders.masked:MaskedDecoder"
    needs_target_embedding: ClassVar[bool] = False

    hidden_size: ModelSize[int] = Field(512, gt=0, description="width of the hidden states")
    num_layers: ModelSize[int] = Field(8, gt=0, description="number of layers")
    num_heads: ModelSize[int] = Field(16, gt=0, description="attention heads")

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {Port.published("visible_ids"): FieldSpec(), Port.published("all_patches"): FieldSpec()}

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {PATCHES: FieldSpec()}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from self.check_stack()
        if self.hidden_size % 4:
            message = f"two-dimensional positions need a width divisible by 4, got {self.hidden_size}"
            yield Problem("hidden_size", message)
        mixers = [self.layer(number).mixer for number in range(self.num_layers)]
        if self.mask != "fully_visible":
            yield Problem("mask", f"all patches see each other; expected fully_visible, got {self.mask}")
        elif one := next((each for each in mixers if each.config.causal()), None):
            yield Problem("mixer", f"all patches see each other, but the mixer '{one.name}' of a layer is causal")
