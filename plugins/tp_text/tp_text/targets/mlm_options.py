"""Options of masked language modelling. Torch-free."""

from typing import ClassVar

from pydantic import Field

from tp_core.modules.layers.activation_names import Activation
from tp_core.options.choice import Chosen
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.marks import ModelSize
from tp_core.options.norm import NormConfig
from tp_core.options.ports import Port
from tp_text.targets.vocabulary_options import VocabularyTargetConfig


class MaskedLanguageModelConfig(VocabularyTargetConfig):
    """Masked language model: predict the masked tokens (Devlin et al., 2019)."""

    implementation: ClassVar[str] = "tp_text.targets.mlm:MaskedLanguageModel"

    activation: Activation = "gelu"
    norm: Chosen[NormConfig] = Chosen.by_default("layernorm", description="norm after the dense layer")
    dense_size: ModelSize[int | None] = Field(
        None, gt=0, description="width of the dense layer; default: that of the embedding, which a tied output needs"
    )
    dense_bias: bool = Field(True, description="bias of the dense layer")
    bias: bool = Field(True, description="bias of the output matrix")

    def tied_width(self, context: BuildContext) -> int:
        """Width of the dense layer; by default, it projects the states to the width of the embedding."""
        return self.dense_size or context.embedding_size

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return super().requires(context) | {Port.labels("mlm"): FieldSpec(high=context.vocab_size, fraction=0.15)}
