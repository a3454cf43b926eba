"""Configs of modules that break one contract each, and of a few small ones that keep them all. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import field_validator

from tp_core.config import (
    BuildContext,
    DataContext,
    DecoderConfig,
    EmbeddingConfig,
    EncoderConfig,
    FieldSpec,
    Problem,
    ProcessorConfig,
    TargetConfig,
    VectorFacts,
)


def _layer(config: Any) -> Any:
    from tests.core import odd_layers

    return getattr(odd_layers, type(config).__name__.removesuffix("Config"))


class _EncoderConfig(EncoderConfig):
    def build(self, context: BuildContext) -> Any:
        return _layer(self)(self.hidden_size)


class GoodEncoderConfig(_EncoderConfig):
    """Keeps all contracts."""


class MixesBatchConfig(_EncoderConfig):
    """Adds the mean of the batch."""


class IgnoresMaskConfig(_EncoderConfig):
    """Adds the mean of all positions, padding included."""


class UnusedWeightConfig(_EncoderConfig):
    """Has a weight that nothing uses."""


class DetachedWeightConfig(_EncoderConfig):
    """Uses a weight where no gradient reaches it."""


class NoResetConfig(_EncoderConfig):
    """Has a weight and no reset_parameters."""


class HalfResetConfig(_EncoderConfig):
    """Forgets a weight in reset_parameters."""


class OwnRandomnessConfig(_EncoderConfig):
    """Draws its weights with Python's generator."""


class NotOnMetaConfig(_EncoderConfig):
    """Makes a table with numpy."""


class HiddenStateConfig(_EncoderConfig):
    """Depends on a number that is not saved."""


class LostTableConfig(_EncoderConfig):
    """Has a computed table that loading does not fill."""


class WrongWidthConfig(_EncoderConfig):
    """Gives states of another width than it says."""


class FailsConfig(_EncoderConfig):
    """Raises in forward."""


class SeesTheFutureConfig(_EncoderConfig):
    """Says that it is causal and is not."""

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"states:causal": FieldSpec()}


class ForgetsEarlierConfig(_EncoderConfig):
    """Is causal and takes no notice of a cache."""

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"states:causal": FieldSpec()}


class WholeTextsOnlyConfig(ForgetsEarlierConfig):
    """Is causal and says that it cannot use a cache."""


class UndescribedConfig(_EncoderConfig):
    pass


class GrowsConfig(_EncoderConfig):
    """Has an option that changes whenever it is validated."""

    layers: int = 1

    @field_validator("layers")
    @classmethod
    def _more(cls, value: int) -> int:
        return value + 1


class RefusesConfig(_EncoderConfig):
    """Finds a problem with any options."""

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield Problem("hidden_size", "is never right")


class _EmbeddingConfig(EmbeddingConfig):
    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"frames": FieldSpec(("batch", "length", 4), "float32")}

    def build(self, context: BuildContext) -> Any:
        return _layer(self)(context.embedding_size)


class HalvesLengthConfig(_EmbeddingConfig):
    """Joins every two frames; the mask follows."""


class KeepsMaskConfig(_EmbeddingConfig):
    """Joins every two frames and leaves the mask as long as it was."""


class DropsMaskConfig(_EmbeddingConfig):
    """Says of no frame that it is padding."""


class WholeImageConfig(EmbeddingConfig):
    """Cuts an image into columns: an input without a length."""

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"pixel_values": FieldSpec(("batch", 3, 8, 8), "float32")}

    def build(self, context: BuildContext) -> Any:
        return _layer(self)(context.embedding_size)


class GoodDecoderConfig(DecoderConfig):
    """Adds the mean of the real memory."""

    def build(self, context: BuildContext) -> Any:
        return _layer(self)(self.hidden_size)


class IgnoresMemoryMaskConfig(DecoderConfig):
    """Adds the mean of all memory, padding included."""

    def build(self, context: BuildContext) -> Any:
        return _layer(self)(self.hidden_size)


class _TargetConfig(TargetConfig):
    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"labels:value": FieldSpec(("batch",), high=3)}

    def build(self, context: BuildContext) -> Any:
        return _layer(self)(context.hidden_size)


class MeanLossConfig(_TargetConfig):
    """Gives the mean of the losses instead of their sum."""


class WrongDenominatorConfig(_TargetConfig):
    """Counts other elements in forward than in denominator."""


class PredictsTensorsConfig(_TargetConfig):
    """Gives tensors as predictions."""


class ProjectsWrongConfig(_TargetConfig):
    """Projects vectors to another width than it says."""

    def embeds(self, context: BuildContext) -> dict[str, VectorFacts]:
        return {"": VectorFacts("mean", projection_size=4)}


class NoProjectionConfig(ProjectsWrongConfig):
    """Says that it projects vectors, and does not."""


class UnknownStreamConfig(_TargetConfig):
    """Says that it makes vectors of a stream that there is not."""

    def embeds(self, context: BuildContext) -> dict[str, VectorFacts]:
        return {"text": VectorFacts("mean")}


class OwnPoolingConfig(_TargetConfig):
    """Pools in a way of its own and projects, as it says."""

    def embeds(self, context: BuildContext) -> dict[str, VectorFacts]:
        return {"": VectorFacts(None, projection_size=3, normalize=True, compared=True)}


class ContrastiveConfig(_TargetConfig):
    """Compares the samples of a batch with each other."""


class _ProcessorConfig(ProcessorConfig):
    needs_tokenizer: ClassVar[bool] = False

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"input_ids": FieldSpec()}

    def sequence_length(self) -> int:
        return 3

    def build(self, data: DataContext, tokenizer: Any) -> Any:
        return _layer(self)()


class GoodProcessorConfig(_ProcessorConfig):
    """Keeps all contracts."""


class GlobalRandomnessConfig(_ProcessorConfig):
    """Draws from numpy's global generator."""


class RemembersConfig(_ProcessorConfig):
    """Gives another sample each time."""


class TooLongConfig(_ProcessorConfig):
    """Makes longer sequences than it says."""


class ExtraFieldConfig(_ProcessorConfig):
    """Makes a field that it does not declare."""


class RandomRowsConfig(_ProcessorConfig):
    """Prepares other rows each time."""
