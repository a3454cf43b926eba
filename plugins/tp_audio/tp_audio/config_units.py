"""Options of the targets of self-supervised speech models: wav2vec 2.0, HuBERT and WavLM. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from tp_core.config import BuildContext, FieldSpec, HooksConfig, Problem, TargetConfig
from tp_core.metrics.facts import MetricFacts

if TYPE_CHECKING:
    from tp_core.interfaces import Target


class Wav2Vec2TargetConfig(TargetConfig):
    """Contrastive loss of masked frames against quantised latents (wav2vec 2.0; Baevski et al., 2020)."""

    latent_size: int = Field(512, gt=0, description="width of the latents: the last channels of the waveform embedding")
    codebooks: int = Field(2, gt=0, description="codebooks, each of which gives a part of a code vector")
    codebook_size: int = Field(320, gt=1, description="entries of a codebook")
    code_size: int = Field(256, gt=0, description="width of a code vector, all parts together")
    projection_size: int = Field(256, gt=0, description="width of what is compared")
    temperature: float = Field(0.1, gt=0, description="divides the similarities")
    diversity_weight: float = Field(0.1, ge=0, description="factor of the loss that wants all entries used")
    gumbel_temperature: float = Field(
        2.0, gt=0, description="of the choice of entries in training; the hooks 'gumbel_decay' lower it step by step"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="on the latents before they are quantised")

    def effective(self, context: BuildContext) -> dict[str, Any]:
        training = ("temperature", "diversity_weight", "gumbel_temperature")
        return {name: value for name, value in super().effective(context).items() if name not in training}

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {
            "labels:wav2vec2": FieldSpec(),
            "side:latents": FieldSpec(("batch", "length", self.latent_size), "float32"),
        }

    def label_fields(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {
            "wav2vec2:positions": FieldSpec(("batch", 8), high=2),
            "wav2vec2:negatives": FieldSpec(("batch", 8, 4), high=8),
        }

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if self.code_size % self.codebooks:
            yield Problem("code_size", f"{self.codebooks} codebooks do not divide {self.code_size}")

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        # How many codes are in use is what the diversity loss speaks of; neither few nor many make a good model.
        losses = {"contrastive": MetricFacts("low"), "diversity": MetricFacts("low")}
        return {"accuracy": MetricFacts("high"), **losses, "perplexity": MetricFacts(None)}

    def build(self, context: BuildContext) -> "Target":
        from tp_audio.targets.wav2vec2 import Wav2Vec2Target

        return Wav2Vec2Target(self, context)


class UnitsConfig(TargetConfig):
    """Masked prediction of cluster units (HuBERT; Hsu et al., 2021; WavLM; Chen et al., 2022)."""

    num_units: int = Field(500, gt=1, description="clusters")
    projection_size: int = Field(256, gt=0, description="width of what is compared with the units' vectors")
    temperature: float = Field(0.1, gt=0, description="divides the cosine similarities")
    masked_weight: float = Field(1.0, ge=0, description="factor of the loss at masked frames")
    unmasked_weight: float = Field(0.0, ge=0, description="factor of the loss at the others")

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"labels:units": FieldSpec(high=self.num_units)}

    def label_fields(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {
            "units:labels": FieldSpec(high=self.num_units),
            "units:masked": FieldSpec(("batch", "length"), "bool"),
        }

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if not self.masked_weight and not self.unmasked_weight:
            yield Problem("masked_weight", "and unmasked_weight are both 0, so that nothing is learned")

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        weights = {"masked_accuracy": self.masked_weight, "unmasked_accuracy": self.unmasked_weight}
        return {name: MetricFacts("high") for name, weight in weights.items() if weight}

    def build(self, context: BuildContext) -> "Target":
        from tp_audio.targets.units import Units

        return Units(self, context)


class GumbelDecayConfig(HooksConfig):
    """Lowers the Gumbel temperature of the target wav2vec2 step by step: start · decay^step, down to an end."""

    decay: float = Field(0.999995, gt=0, le=1, description="factor of each step")
    end: float = Field(0.5, gt=0, description="lowest temperature")

    def build(self) -> object:
        from tp_audio.gumbel_decay import GumbelDecay

        return GumbelDecay(self)
