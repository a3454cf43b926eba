"""Bases of options of encoders. Torch-free."""

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tp_core.options.base import ModuleConfig
from tp_core.options.context import BuildContext
from tp_core.options.marks import ModelSize

if TYPE_CHECKING:
    from tp_core.interfaces import Encoder, FusionEncoder


class EncoderConfig(ModuleConfig):
    """Base of encoder configs. Every encoder has an output width, ``hidden_size``."""

    kind: ClassVar[str] = "encoder"

    #: True if the encoder reads all streams together, after the encoders of the single streams.
    joins_streams: ClassVar[bool] = False

    hidden_size: ModelSize[int] = Field(768, gt=0, description="width of the hidden states")

    def build(self, context: BuildContext) -> "Encoder":
        """The encoder: its implementation with these options."""
        made: Encoder = self.implemented()(self, context)
        return made


class FusionConfig(EncoderConfig):
    """Base of configs of encoders that read all streams together; they stand at ``model.encoder``."""

    joins_streams: ClassVar[bool] = True

    def build(self, context: BuildContext) -> "FusionEncoder":  # type: ignore[override]
        """The encoder: its implementation with these options."""
        made: FusionEncoder = self.implemented()(self, context)
        return made
