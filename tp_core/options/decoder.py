"""Base of options of decoders. Torch-free."""

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tp_core.options.base import ModuleConfig
from tp_core.options.context import BuildContext
from tp_core.options.marks import ModelSize

if TYPE_CHECKING:
    from tp_core.interfaces import Decoder


class DecoderConfig(ModuleConfig):
    """Base of decoder configs."""

    kind: ClassVar[str] = "decoder"

    hidden_size: ModelSize[int] = Field(768, gt=0, description="width of the hidden states")
    needs_target_embedding: ClassVar[bool] = True

    def build(self, context: BuildContext) -> "Decoder":
        """The decoder: its implementation with these options."""
        made: Decoder = self.implemented()(self, context)
        return made
