"""Configs of modules that break one contract each, and of a few small ones that keep them all. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import field_validator

from tp_core.metrics import PEARSON, SPEARMAN, MetricFacts
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext, DataContext
from tp_core.options.decoder import DecoderConfig
from tp_core.options.embedding import EmbeddingConfig
from tp_core.options.encoder import EncoderConfig
from tp_core.options.facts import FieldSpec, VectorFacts
from tp_core.options.ports import CAUSAL, INPUT_IDS, Port
from tp_core.options.processor import ProcessorConfig
from tp_core.options.target import TargetConfig
from tp_vision.ports import PATCHES, PIXEL_VALUES


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

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {CAUSAL: FieldSpec()}


class ForgetsEarlierConfig(_EncoderConfig):
    """Is causal and takes no notice of a cache."""

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {CAUSAL: FieldSpec()}


class PublishesConfig(_EncoderConfig):
    """Publishes a value in place of another."""

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {Port.published("odd"): FieldSpec()}

    def withdraws(self, context: BuildContext) -> tuple[Port, ...]:
        return (PATCHES,)


class AsksForPublishedConfig(TargetConfig):
    """Asks for a published value."""

    value: str = "odd"

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {Port.published(self.value): FieldSpec()}


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
    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {Port.input("frames"): FieldSpec(("batch", "length", 4), "float32")}

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

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {PIXEL_VALUES: FieldSpec(("batch", 3, 8, 8), "float32")}

    def build(self, context: BuildContext) -> Any:
        return _layer(self)(context.embedding_size)


class IgnoresLengthsConfig(EmbeddingConfig):
    """Looks ids up and knows of attention_mask alone."""

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {INPUT_IDS: FieldSpec(high=context.vocab_size)}

    def build(self, context: BuildContext) -> Any:
        return _layer(self)(context.embedding_size)


class ForgetsPaddingConfig(EmbeddingConfig):
    """Turns the sequence so far around, its mask too, and leaves it padded behind."""

    makes_sequence: ClassVar[bool] = False

    def build(self, context: BuildContext) -> Any:
        return _layer(self)()


class GoodDecoderConfig(DecoderConfig):
    """Adds the mean of the real memory."""

    def build(self, context: BuildContext) -> Any:
        return _layer(self)(self.hidden_size)


class IgnoresMemoryMaskConfig(DecoderConfig):
    """Adds the mean of all memory, padding included."""

    def build(self, context: BuildContext) -> Any:
        return _layer(self)(self.hidden_size)


class _TargetConfig(TargetConfig):
    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {Port.labels("value"): FieldSpec(("batch",), high=3)}

    def build(self, context: BuildContext) -> Any:
        return _layer(self)(context.hidden_size)


class ReadsMoreConfig(_TargetConfig):
    """Reads more positions than it says."""


class MeanLossConfig(_TargetConfig):
    """Gives the mean of the losses instead of their sum."""


class MeanMetricConfig(_TargetConfig):
    """Has a metric of all positions, padding included."""

    def measures(self, context: BuildContext) -> dict[str, MetricFacts]:
        return {"size": MetricFacts(None)}


class UndeclaredMetricConfig(_TargetConfig):
    """Has a metric that it does not declare."""


class UngivenMetricConfig(_TargetConfig):
    """Declares a metric that it does not have."""

    def measures(self, context: BuildContext) -> dict[str, MetricFacts]:
        return {"surprise": MetricFacts("low")}


class TrainingMetricConfig(_TargetConfig):
    """Has a metric in training that it does not declare."""


class NoSumAndCountConfig(_TargetConfig):
    """Has a metric of three sums and does not say what they come to."""

    def measures(self, context: BuildContext) -> dict[str, MetricFacts]:
        return {"spread": MetricFacts("low")}


class UnevenColumnsConfig(_TargetConfig):
    """Joins columns of different lengths."""

    def measures(self, context: BuildContext) -> dict[str, MetricFacts]:
        return {"spearman": SPEARMAN}


class RanksBatchesConfig(_TargetConfig):
    """Joins rows that depend on the other samples of the batch."""

    def measures(self, context: BuildContext) -> dict[str, MetricFacts]:
        return {"pearson": PEARSON}


class CorrelatedConfig(_TargetConfig):
    """Correlates predictions with what is wanted, as it declares."""

    def measures(self, context: BuildContext) -> dict[str, MetricFacts]:
        return {"pearson": PEARSON, "spearman": SPEARMAN, "absolute_error": MetricFacts("low")}


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
        return {"": VectorFacts(None, projection_size=3, normalize=True, compared="cosine")}


class ContrastiveConfig(_TargetConfig):
    """Compares the samples of a batch with each other."""


class _ProcessorConfig(ProcessorConfig):
    needs_tokenizer: ClassVar[bool] = False

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {INPUT_IDS: FieldSpec()}

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


class _ScoringConfig(_ProcessorConfig):
    def measures(self, context: BuildContext) -> dict[str, MetricFacts]:
        return {"overlap": MetricFacts("high")}


class ScoresConfig(_ScoringConfig):
    """Has a metric of its own, as it declares."""


class ScoresMoreConfig(_ScoringConfig):
    """Has a metric that it does not declare."""


class ScoresNothingConfig(_ScoringConfig):
    """Declares a metric and has none."""


class ScoresLossConfig(_ProcessorConfig):
    """Calls its metric loss."""

    def measures(self, context: BuildContext) -> dict[str, MetricFacts]:
        return {"loss": MetricFacts("low")}


class HidesPaddingConfig(_ProcessorConfig):
    """Pads and does not say so."""


class _SequencesConfig(_ProcessorConfig):
    several_sequences: ClassVar[bool] = True


class SeveralSequencesConfig(_SequencesConfig):
    """Samples have several sequences, as it declares."""


class HidesSequencesConfig(_ProcessorConfig):
    """Samples have several sequences, which it does not declare."""


class NoSequencesConfig(_SequencesConfig):
    """Does not tell which sequences are those of a sample."""


class SharesSequencesConfig(_SequencesConfig):
    """Gives a sequence to several samples."""


class GapInSequencesConfig(_SequencesConfig):
    """Has a gap before sequences of a sample."""


class RandomRowsConfig(_ProcessorConfig):
    """Prepares other rows each time."""


class TextsInRowsConfig(_ProcessorConfig):
    """Puts texts into rows, which hold numbers."""
