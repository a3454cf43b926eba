"""Bases of options of encoders. Torch-free."""

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tp_core.options.base import ModuleConfig
from tp_core.options.context import BuildContext
from tp_core.options.marks import ModelSize

if TYPE_CHECKING:
    from tp_core.interfaces import Encoder, FusionEncoder


class EncoderConfig(ModuleConfig):
    """Base of encoder configs: every encoder has an output width, ``hidden_size``."""

    kind: ClassVar[str] = "encoder"

    #: It reads all of the model's streams together, behind their own encoders, and gives them back.
    joins_streams: ClassVar[bool] = False

    hidden_size: ModelSize[int] = Field(768, gt=0, description="width of the hidden states")

    def build(self, context: BuildContext) -> "Encoder":
        """The encoder: its implementation with these options."""
        made: Encoder = self.implemented()(self, context)
        return made


class FusionConfig(EncoderConfig):
    """Base of configs of encoders that read all streams together; they stand at ``model.encoder``, beside those."""

    joins_streams: ClassVar[bool] = True

    def build(self, context: BuildContext) -> "FusionEncoder":  # type: ignore[override]
        """The encoder: its implementation with these options."""
        made: FusionEncoder = self.implemented()(self, context)
        return made
