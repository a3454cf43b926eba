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
    """Base of target configs. ``weight`` is the factor of this target's loss in the total.

    ``name`` is the target's name in losses, metrics, weights and data sets. It is required if a model has several
    targets of one kind, such as a classifier for each modality (PolyViT).
    """

    kind: ClassVar[str] = "target"
    #: Minimum number of samples in a micro-batch, over all processes, for the target to learn from it.
    least_samples: ClassVar[int] = 1
    #: Usual number of sequences of a sample, for a target of samples that have several (``Batch.sequences``); costs are
    #: measured with it.
    sequences_per_sample: ClassVar[int] = 1
    #: True if the target reads all streams, not only the first, when ``stream`` is unset. Used for diagrams.
    reads_streams: ClassVar[bool] = False

    name: str | None = Field(None, description="name of the target in the model; default: the module's name")
    weight: TrainingOnly[float] = Field(1.0, ge=0, description="factor of this target's loss in the total")
    stream: str | None = Field(None, description="the stream that the target reads; default: the first, or all of them")

    def label_fields(self, context: BuildContext) -> dict[str, FieldSpec]:
        """The tensors of the target's labels, by name; by default one tensor called ``labels``."""
        specs = [spec for port, spec in self.requires(context).items() if port.kind == "labels"]
        return {"labels": specs[0]} if specs else {}

    def check_training(self, spec: "Spec") -> Iterator[Problem]:
        """Yield requirements of training on the whole spec or on files that are not met."""
        yield from ()

    def learns_through(self, others: Sequence[str]) -> Sequence[str]:
        """The other targets whose weights this target's loss trains because it reads their scores."""
        return ()

    def pools(self, context: BuildContext) -> dict[str, Pooling]:
        """The streams that the target pools to one vector, with the method; without named streams, ``""``."""
        return {}

    def embeds(self, context: BuildContext) -> Mapping[str, VectorFacts]:
        """The vectors that a trained model offers for the streams of :meth:`pools`, by default pooled alike."""
        return {stream: VectorFacts(how) for stream, how in self.pools(context).items()}

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        """The metrics of the target (``TargetOutput.metrics``), with their better direction.

        Every evaluation has all of them; in training, the target may omit some. Training progress shows the first
        metric that has a better direction.
        """
        return {}

    def build(self, context: BuildContext) -> "Target":
        """The target: its implementation with these options."""
        made: Target = self.implemented()(self, context)
        return made
