"""Options of classification by the mean of the patches. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field

from tp_core.modules.targets.classification_options import ClassificationConfig
from tp_core.options.base import Problem
from tp_core.options.choice import Chosen
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec, Pooling, VectorFacts
from tp_core.options.marks import TrainingOnly
from tp_core.options.norm import NormConfig
from tp_core.options.ports import Port
from tp_vision.ports import PATCHES


class PatchClassificationConfig(ClassificationConfig):
    """Classification by the normalised mean of all patches (BEiT and MAE, fine-tuned)."""

    implementation: ClassVar[str] = "tp_vision.targets.patch_classification:PatchClassification"

    hidden_layer: bool = Field(False, description="add a dense layer of hidden_size before the classifier")
    dropout: TrainingOnly[float] = Field(0.0, ge=0, lt=1, description="dropout before the classifier")
    norm: Chosen[NormConfig] = Chosen.by_default("layernorm", description="norm of the mean state of the patches")

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return super().requires(context) | {PATCHES: FieldSpec()}

    def pools(self, context: BuildContext) -> dict[str, Pooling]:
        return {}  # no pooling of a sequence can exclude the tokens before the patches

    def embeds(self, context: BuildContext) -> Mapping[str, VectorFacts]:
        return {self.stream or "": VectorFacts(pooling=None)}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from self.check_classes()
        if self.pooling is not None:
            yield Problem("pooling", "is always the mean of the patches; leave it out")
        if context.streams and self.stream is None:
            yield Problem("stream", f"is required: one of {', '.join(context.streams)}")

    def effective(self, context: BuildContext) -> dict[str, Any]:
        found = super().effective(context)
        return {name: value for name, value in found.items() if name not in ("pooling", "combine")}
