"""Base of options of targets. Torch-free."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tp_core.metrics.facts import MetricFacts
from tp_core.options.base import ModuleConfig, Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec, Pooling, VectorFacts
from tp_core.options.marks import TrainingOnly

if TYPE_CHECKING:
    from tp_core.interfaces import Target
    from tp_core.spec.schema import Spec


class TargetConfig(ModuleConfig):
    """Base of target configs. ``weight`` is the factor of this target's loss in the sum.

    ``name`` is what the model calls the target, in losses, metrics, weights and data sets. It is needed where a model
    has several of one kind, such as a classifier for each modality (PolyViT).
    """

    kind: ClassVar[str] = "target"
    #: Samples that a micro-batch, over all processes, must have for the target to learn from it.
    least_samples: ClassVar[int] = 1
    #: Without ``stream``, it reads all of the model's streams, and not the first only; for drawings of it.
    reads_streams: ClassVar[bool] = False

    name: str | None = Field(None, description="what the model calls it; unset: as the module")
    weight: TrainingOnly[float] = Field(1.0, ge=0, description="factor of this target's loss in the total")
    stream: str | None = Field(None, description="the stream that the target reads; unset: the first, or all of them")

    def label_fields(self, context: BuildContext) -> dict[str, FieldSpec]:
        """The tensors of the target's labels, by name: one called ``labels``, if not overridden."""
        specs = [spec for port, spec in self.requires(context).items() if port.kind == "labels"]
        return {"labels": specs[0]} if specs else {}

    def check_training(self, spec: "Spec") -> Iterator[Problem]:
        """Yield what training needs of the whole spec, or of files, and does not find."""
        yield from ()

    def learns_through(self, others: Sequence[str]) -> Sequence[str]:
        """Those of the model's other targets whose weights its loss trains, as it reads their scores."""
        return ()

    def pools(self, context: BuildContext) -> dict[str, Pooling]:
        """The streams of which it reads one vector, and how that is made; a model without streams has one, ``""``."""
        return {}

    def embeds(self, context: BuildContext) -> Mapping[str, VectorFacts]:
        """The vector that a trained model has of each of these streams: those that :meth:`pools` names, as it says."""
        return {stream: VectorFacts(how) for stream, how in self.pools(context).items()}

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        """The metrics that the target gives (``TargetOutput.metrics``), with the side on which they are better.

        All of them are there in every evaluation; in training, the target may leave some out. The first that has a
        better side is shown while a run trains.
        """
        return {}

    def build(self, context: BuildContext) -> "Target":
        """The target: its implementation with these options."""
        made: Target = self.implemented()(self, context)
        return made
