"""Options of the target ``wav2vec2``. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field

from tp_core.metrics.facts import MetricFacts
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.marks import ModelSize, TrainingOnly
from tp_core.options.ports import Port
from tp_core.options.target import TargetConfig


class Wav2Vec2TargetConfig(TargetConfig):
    """Contrastive loss of masked frames against quantised latents (wav2vec 2.0; Baevski et al., 2020)."""

    implementation: ClassVar[str] = "tp_audio.targets.wav2vec2:Wav2Vec2Target"

    latent_size: int = Field(
        512, gt=0, description="width of the latents: the last value of channels of the waveform embedding"
    )
    codebooks: int = Field(2, gt=0, description="number of codebooks; each gives a part of the code vector")
    codebook_size: int = Field(320, gt=1, description="number of entries per codebook")
    code_size: int = Field(256, gt=0, description="width of the whole code vector")
    projection_size: ModelSize[int] = Field(
        256, gt=0, description="width of the projected states and codes that are compared"
    )
    temperature: float = Field(0.1, gt=0, description="divisor of the similarities")
    diversity_weight: float = Field(
        0.1, ge=0, description="factor of the diversity loss, which favours the use of all entries"
    )
    gumbel_temperature: float = Field(
        2.0, ge=1e-6, description="Gumbel temperature in training; the hook 'gumbel_decay' lowers it step by step"
    )
    dropout: TrainingOnly[float] = Field(0.0, ge=0, lt=1, description="dropout on the latents before the quantiser")

    def effective(self, context: BuildContext) -> dict[str, Any]:
        training = ("temperature", "diversity_weight", "gumbel_temperature")
        return {name: value for name, value in super().effective(context).items() if name not in training}

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {
            Port.labels("wav2vec2"): FieldSpec(),
            Port.published("latents"): FieldSpec(("batch", "length", self.latent_size), "float32"),
        }

    def label_fields(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {
            "positions": FieldSpec(("batch", 8), high=2),
            "negatives": FieldSpec(("batch", 8, 4), high=8),
        }

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if self.code_size % self.codebooks:
            yield Problem("code_size", f"{self.codebooks} codebooks do not divide {self.code_size}")

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        # The perplexity tells how many codes are in use. Neither high nor low values are better.
        losses = {"contrastive": MetricFacts("low"), "diversity": MetricFacts("low")}
        return {"accuracy": MetricFacts("high"), **losses, "perplexity": MetricFacts(None)}
