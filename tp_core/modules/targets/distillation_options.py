"""Options of distillation. Torch-free."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tp_core.errors import TPError
from tp_core.metrics.facts import MetricFacts
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.marks import PathStr
from tp_core.options.target import TargetConfig

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec


class DistillationConfig(TargetConfig):
    """Distillation: match the logits and hidden states of a trained teacher (DistilBERT)."""

    implementation: ClassVar[str] = "tp_core.modules.targets.distillation:Distillation"
    reads_streams: ClassVar[bool] = True

    teacher: PathStr = Field(description="folder of the trained teacher; not needed after training")
    of: str | None = Field(None, description="target of the student that is trained; default: the only other target")
    teacher_target: str | None = Field(None, description="target of the teacher; default: the one with the same name")
    temperature: float = Field(2.0, gt=0, description="temperature of both distributions (Hinton et al., 2015)")
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
        """Check that the teacher can be loaded and has the same vocabulary and classes as the student."""
        if not os.path.exists(self.teacher):
            return  # the check of files reports it
        from tp_core.artifacts.contents import kept_contents
        from tp_core.artifacts.specs import find_spec
        from tp_core.artifacts.token_makers import unlike_ids
        from tp_core.artifacts.vocabularies import unlike_classes, unlike_vocabularies
        from tp_core.data.build import tokenizers_of

        try:
            teacher, changed, weights = find_spec(self.teacher)
            sides, images = ("tokenizer", "target_tokenizer"), (spec.data.extra_ids(), teacher.data.extra_ids())
            other = unlike_vocabularies(tokenizers_of(spec), tokenizers_of(teacher), sides, images)
            other = other or unlike_ids(spec, teacher, kept_contents(weights.parent))
            others = [each.instance_name for each in spec.model.targets if each.config is not self]
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
        """None, because the target has no weights and needs the teacher, which is only available in training."""
