"""Options of targets that compare: streams with each other, a student with its teacher. Torch-free."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tp_core.config import BuildContext, FieldSpec, Pooling, Problem, TargetConfig, VectorFacts
from tp_core.errors import TPError
from tp_core.marks import PathStr
from tp_core.metrics.facts import MetricFacts

if TYPE_CHECKING:
    from tp_core.interfaces import Target
    from tp_core.spec.schema import Spec


class ContrastiveConfig(TargetConfig):
    """Contrast of two streams: each sample is told from the others of its batch (CLIP; SimCSE; Quick-Thoughts)."""

    least_samples: ClassVar[int] = 2
    reads_streams: ClassVar[bool] = True

    projection_size: int | None = Field(
        None, gt=0, description="width that both streams are projected to, without bias; unset: no projection"
    )
    normalize: bool = Field(True, description="compare by cosine; else by dot product")
    temperature: float = Field(0.07, gt=0, description="what similarities are divided by; the initial value if learned")
    learned_temperature: bool = Field(True, description="train the temperature, down to 0.01 at the least (CLIP)")
    symmetric: bool = Field(True, description="find the first stream's sample for the second's, too")

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"labels:clr": FieldSpec(("batch",))}

    def pools(self, context: BuildContext) -> dict[str, Pooling]:
        return {name: facts.pooling for name, facts in context.streams.items()}

    def embeds(self, context: BuildContext) -> Mapping[str, VectorFacts]:
        return {
            name: VectorFacts(how, self.projection_size, self.normalize, compared=True)
            for name, how in self.pools(context).items()
        }

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        names = list(context.streams)
        ways = [f"accuracy_{one}_to_{other}" for one, other in zip(names, reversed(names))]
        return dict.fromkeys(["accuracy", *ways], MetricFacts("high"))

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from two_streams(context, "compares")
        widths = {facts.hidden_size for facts in context.streams.values()}
        if len(widths) > 1 and self.projection_size is None:
            shown = " and ".join(f"{facts.hidden_size} ('{name}')" for name, facts in context.streams.items())
            yield Problem("projection_size", f"is required: the streams have different widths, {shown}")

    def build(self, context: BuildContext) -> "Target":
        from tp_core.modules.targets.contrastive import Contrastive

        return Contrastive(self, context)


class DistillationConfig(TargetConfig):
    """Distillation: another target's scores, and the hidden states, follow those of a trained teacher (DistilBERT)."""

    reads_streams: ClassVar[bool] = True

    teacher: PathStr = Field(description="folder of the trained model to learn from; not needed after training")
    of: str | None = Field(None, description="the target whose scores are learned; the only other one if unset")
    teacher_target: str | None = Field(None, description="the teacher's target to learn from; the same name if unset")
    temperature: float = Field(2.0, gt=0, description="softens both distributions (Hinton et al., 2015)")
    soft_weight: float = Field(1.0, ge=0, description="factor of KL(teacher ‖ student) × temperature²")
    cosine_weight: float = Field(0.0, ge=0, description="factor of 1 - cosine of the final hidden states")

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if not self.soft_weight and not self.cosine_weight:
            yield Problem("soft_weight", "soft_weight and cosine_weight are both 0: nothing would be learned")

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        distance = {"cosine_distance": MetricFacts("low")} if self.cosine_weight else {}
        return {"kl": MetricFacts("low"), "agreement": MetricFacts("high"), **distance}

    def learns_through(self, others: Sequence[str]) -> Sequence[str]:
        if not self.soft_weight:
            return ()
        return [self.of] if self.of else others[:1]

    def training_files(self) -> dict[str, str]:
        return {"teacher": self.teacher}

    def check_training(self, spec: "Spec") -> Iterator[Problem]:
        """The teacher can be used here, reads the ids of the student's vocabulary, and has the same classes."""
        if not os.path.exists(self.teacher):
            return  # which is said of files
        from tp_core.inference.load import find_spec, tokenizers_of
        from tp_core.inference.visual_tokens import unlike_images
        from tp_core.inference.vocabularies import unlike_classes, unlike_vocabularies
        from tp_core.kept_contents import kept_contents

        try:
            teacher, changed, weights = find_spec(self.teacher)
            sides, images = ("tokenizer", "target_tokenizer"), (spec.data.extra_ids(), teacher.data.extra_ids())
            other = unlike_vocabularies(tokenizers_of(spec), tokenizers_of(teacher), sides, images)
            other = other or unlike_images(spec, teacher, kept_contents(weights.parent))
            others = [each.called for each in spec.model.targets if each.config is not self]
            learner = self.of or next(iter(others), "")
            classes = unlike_classes(spec, teacher, {learner: self.teacher_target or learner})
        except TPError as error:
            yield Problem("teacher", f"cannot be used: {error}")
            return
        if classes:
            yield Problem("teacher", f"has other classes: {classes}")
        if other or changed:
            what = f"reads another vocabulary: {other}" if other else f"reads files that have changed since: {changed}"
            yield Problem("teacher", what)

    def models(self) -> dict[str, str]:
        return {"teacher": self.teacher}

    def for_use(self) -> None:
        """None: without the teacher there is nothing to learn, and the target has no weights."""

    def build(self, context: BuildContext) -> "Target":
        from tp_core.modules.targets.distillation import Distillation

        return Distillation(self, context)


def two_streams(context: BuildContext, does: str) -> Iterator[Problem]:
    """The problem of a target that needs exactly two streams and does not have them."""
    if len(context.streams) != 2:
        have = f"this one has {', '.join(context.streams)}" if context.streams else "this one has none"
        yield Problem("", f"{does} exactly two streams (model.streams); {have}")
