"""Options of language modelling. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.marks import TrainingOnly
from tp_core.options.ports import CAUSAL, Port
from tp_text.targets.vocabulary_options import VocabularyTargetConfig


class LanguageModelConfig(VocabularyTargetConfig):
    """Causal language model: predict the next token (Radford et al., 2019)."""

    terms: ClassVar[Mapping[str, str]] = {
        "z_loss": "z_loss_weight lm_head_z_loss z_loss_coef",
    }

    implementation: ClassVar[str] = "tp_text.targets.lm:LanguageModel"

    bias: bool = Field(False, description="bias of the output matrix")
    label_smoothing: TrainingOnly[float] = Field(0.0, ge=0, lt=1)
    z_loss: TrainingOnly[float] = Field(
        0.0, ge=0, description="factor of the z-loss, the squared log of the softmax normaliser (PaLM)"
    )
    tied_scale: bool = Field(
        False, description="multiply the states by hidden_size**-0.5 before a tied output matrix (T5)"
    )
    soft_cap: float | None = Field(None, gt=0, description="soft cap: logits become cap · tanh(logits / cap) (Gemma 2)")

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return super().requires(context) | {
            Port.labels("lm"): FieldSpec(high=context.vocab_size),
            CAUSAL: FieldSpec(),
        }

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        if self.tied_scale and not self.tie:
            yield Problem("tied_scale", "applies only to a tied output matrix, but tie is false")
