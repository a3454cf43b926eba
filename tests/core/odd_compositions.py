"""Parts of transformer layers that keep the contracts, or each break one. Torch-free."""

from typing import ClassVar, Literal

from pydantic import Field

from tp_core.options.feed_forward import FeedForwardConfig
from tp_core.options.mixer import MixerConfig
from tp_core.options.norm import NormConfig
from tp_core.options.positions import PositionsConfig


class MeanSoFarConfig(MixerConfig):
    """Means of the real positions that a position sees."""

    implementation: ClassVar[str] = "tests.core.odd_composed:MeanSoFar"

    mask: Literal["fully_visible", "causal"] = Field("fully_visible", description="which positions a position may see")

    def causal(self) -> bool:
        return self.mask == "causal"


class IgnoresMaskConfig(MeanSoFarConfig):
    """Means of all positions, padding too."""

    implementation: ClassVar[str] = "tests.core.odd_composed:IgnoresMask"


class SeesTheFutureConfig(MeanSoFarConfig):
    """Means of all positions, whatever the mask."""

    implementation: ClassVar[str] = "tests.core.odd_composed:SeesTheFuture"


class ForgetsEarlierConfig(MeanSoFarConfig):
    """Means that know no cache."""

    implementation: ClassVar[str] = "tests.core.odd_composed:ForgetsEarlier"


class ShortensConfig(MeanSoFarConfig):
    """A mixer that leaves out the last position."""

    implementation: ClassVar[str] = "tests.core.odd_composed:Shortens"


class OtherPositionsConfig(MeanSoFarConfig):
    """Computes the wrong positions if only some are needed."""

    implementation: ClassVar[str] = "tests.core.odd_composed:OtherPositions"


class OtherPackedConfig(MeanSoFarConfig):
    """Computes no means if the batch is packed."""

    implementation: ClassVar[str] = "tests.core.odd_composed:OtherPacked"


class ReadsPositionBeforeConfig(FeedForwardConfig):
    """A layer that does not map each position separately."""

    implementation: ClassVar[str] = "tests.core.odd_composed:ReadsPositionBefore"


class SpareWeightConfig(FeedForwardConfig):
    """A layer with a weight that nothing uses."""

    implementation: ClassVar[str] = "tests.core.odd_composed:SpareWeight"


class SinglePrecisionConfig(NormConfig):
    """A norm that gives single precision, whatever it gets."""

    implementation: ClassVar[str] = "tests.core.odd_composed:SinglePrecision"


class NoContextConfig(FeedForwardConfig):
    """A layer that is built without its surroundings."""

    implementation: ClassVar[str] = "tests.core.odd_composed:NoContext"


class WrongBiasConfig(PositionsConfig):
    """A bias for each position, and not for each pair."""

    implementation: ClassVar[str] = "tests.core.odd_composed:WrongBias"


class NoTableConfig(PositionsConfig):
    """Positions whose table is not there."""

    table: ClassVar[str] = "tests.core.odd_composed:NoTable"
