"""Options of image-text matching. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tp_core.metrics.facts import MetricFacts
from tp_core.metrics.tables import TableFacts
from tp_core.modules.targets.classification_options import ClassificationConfig
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec, VectorFacts
from tp_core.options.marks import ModelSize, TrainingOnly
from tp_core.options.ports import Port
from tp_core.options.target import TargetConfig

if TYPE_CHECKING:
    from tp_core.interfaces import Target


class ImageTextMatchingConfig(TargetConfig):
    """Image-text matching: class 1 if the text belongs to the picture, else class 0 (ViLBERT; Lu et al., 2019).

    For one sequence: first state → dense layer with tanh → two classes (ViLT, VisualBERT). For two streams: first state
    of each stream → dense layer with ReLU → product of both → two classes (ViLBERT).
    """

    implementation: ClassVar[str] = "tp_crossmodal.targets.itm:StreamMatching"
    reads_streams: ClassVar[bool] = True

    size: ModelSize[int | None] = Field(
        None, gt=0, description="two streams: width of the dense layers; default: the width of the widest stream"
    )
    dropout: TrainingOnly[float] = Field(0.0, ge=0, lt=1, description="dropout before the classifier")
    init_std: TrainingOnly[float] = Field(0.02, gt=0)

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {Port.labels("itm"): FieldSpec(("batch",), high=2)}

    def embeds(self, context: BuildContext) -> Mapping[str, VectorFacts]:
        return dict.fromkeys(context.streams if self.compares(context) else [self.stream or ""], VectorFacts("first"))

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if context.streams and self.stream is None and len(context.streams) != 2:
            names = ", ".join(context.streams)
            yield Problem("", f"compares two streams, but the model has {names}; set stream to read one of them")
        if not self.compares(context) and self.size is not None:
            yield Problem("size", "is for two streams; one sequence keeps its width")

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return {"accuracy": MetricFacts("high")}

    def tables(self, context: BuildContext) -> Mapping[str, TableFacts]:
        return self.classification(hidden_layer=True).tables(context)

    def compares(self, context: BuildContext) -> bool:
        """True if the target compares two streams; False if it reads one sequence."""
        return bool(context.streams) and self.stream is None

    def classification(self, hidden_layer: bool) -> ClassificationConfig:
        """Options of the inner classifier."""
        return ClassificationConfig(
            num_labels=2,
            pooling="first",
            hidden_layer=hidden_layer,
            dropout=self.dropout,
            init_std=self.init_std,
            stream=self.stream,
        )

    def build(self, context: BuildContext) -> "Target":
        if self.compares(context):
            return super().build(context)
        from tp_core.modules.targets.classification import Classification

        return Classification(self.classification(hidden_layer=True), context)
