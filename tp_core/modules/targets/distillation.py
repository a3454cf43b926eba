"""Knowledge distillation from a trained model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from tp_core.errors import TPError
from tp_core.interfaces import Batch, Features, Inputs, Sequence, Target, TargetOutput
from tp_core.local.trust import trusted
from tp_core.modules.targets.distillation_options import DistillationConfig
from tp_core.options.context import BuildContext
from tp_core.spec.context import context_of

if TYPE_CHECKING:
    from tp_core.model import Model


class Distillation(Target):
    """Trains another target of the model to match a teacher's logits, and optionally its hidden states.

    The method is that of Sanh et al. (2019):
    ``loss = soft_weight · T² · KL(teacher ‖ student) + cosine_weight · (1 - cosine of the final states)``. Both
    distributions are softened by the temperature T. The first term is a mean over the labelled rows of the other
    target. The second term is too, where the value of a row is the mean over the real positions of its sample. So both
    terms have the same denominator, and neither depends on how a batch is divided.

    The teacher is loaded when it is first needed. It is on the model's device, but it is not part of the model: it is
    neither trained nor saved. On the meta device, where costs are measured, there is no teacher.
    """

    def __init__(self, config: DistillationConfig, context: BuildContext) -> None:
        super().__init__()
        self.config, self.vocab_size = config, context.vocab_size
        # Modules are kept in tuples, because a module that is an attribute would become a submodule.
        self._learner: tuple[Target, ...] = ()
        self._teacher: tuple[Model, ...] = ()
        self._of = ""
        self._trust_code = trusted()  # the setting at the time when the model is built

    def connect(self, targets: Mapping[str, Target]) -> None:
        others = {name: target for name, target in targets.items() if target is not self}
        wanted = self.config.of
        shown = ", ".join(others) or "none"
        if wanted is None and len(others) != 1:
            raise TPError(f"distill: 'of' must say which target's scores are distilled; the others are: {shown}")
        if wanted is not None and wanted not in others:
            raise TPError(f"distill: the model has no other target '{self.config.of}'; the others are: {shown}")
        self._of = wanted or next(iter(others))
        if type(others[self._of]).logits is Target.logits:
            raise TPError(f"distill: the target '{self._of}' gives no scores that could be distilled")
        self._learner = (others[self._of],)

    def denominator(self, batch: Batch) -> Tensor:
        return self._learner[0].denominator(batch)

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        student, labelled = self._learner[0].logits(features, batch)
        teacher, states = self._taught(student, features, batch)
        count = self.denominator(batch)
        kl = self._divergence(student, teacher, labelled)
        agree = ((student.argmax(dim=-1) == teacher.argmax(dim=-1)) & labelled).sum().float()
        loss = self.config.soft_weight * self.config.temperature**2 * kl
        metrics = {"kl": (kl.detach(), count), "agreement": (agree, count)}
        if self.config.cosine_weight:
            distance = self._distance(features, states, labelled, batch)
            loss = loss + self.config.cosine_weight * distance
            metrics["cosine_distance"] = (distance.detach(), count)
        return TargetOutput(loss, count, metrics)

    def _divergence(self, student: Tensor, teacher: Tensor, labelled: Tensor) -> Tensor:
        """The sum of KL(teacher ‖ student) at the temperature over the labelled rows."""
        own = F.log_softmax(student.float() / self.config.temperature, dim=-1)
        other = F.log_softmax(teacher.float() / self.config.temperature, dim=-1)
        rows = F.kl_div(own, other, reduction="none", log_target=True).sum(dim=-1)
        return torch.where(labelled, rows, 0.0).sum()

    def _distance(self, features: Features, teacher: Features, labelled: Tensor, batch: Batch) -> Tensor:
        """The sum of the cosine distances over the labelled rows.

        The distance of a row is the mean of 1 - cosine over the real positions of its sample, then over the sequences
        of its sample.
        """
        rows = labelled.reshape(batch.size, -1).sum(dim=1).float()
        counts = 1 if batch.sequences is None else (batch.sequences >= 0).sum(dim=1)
        own, others = _sequences(features), _sequences(teacher)
        total = torch.zeros((), device=rows.device)
        for name, sequence in own.items():
            other = others[name].states
            if sequence.states.shape != other.shape:
                message = f"states of shape {tuple(other.shape)}, but the student {tuple(sequence.states.shape)}"
                raise TPError(f"distill: the teacher {self.config.teacher} gives {message}; set cosine_weight: 0")
            cosine = F.cosine_similarity(sequence.states.float(), other.float(), dim=-1)
            each = sequence.with_states(1 - cosine.unsqueeze(-1)).pooled("mean").squeeze(-1)
            total = total + (batch.by_sample(each).sum(dim=1) / counts * rows).sum() / len(own)
        return total

    # -- the teacher ---------------------------------------------------------------------------------------------

    @torch.no_grad()
    def _taught(self, student: Tensor, features: Features, batch: Batch) -> tuple[Tensor, Features]:
        """The teacher's logits (rows, classes) and features for the batch."""
        if student.is_meta:
            return student, features
        model = self._model(student.device, batch)
        self._check_lengths(model, batch)
        found = model.encode(batch)
        # The teacher's target may have another name than the student's.
        asked = replace(batch, labels={self._name_in(): self._learner[0].labels_of(batch)})
        scores, _ = model.named_targets()[self._name_in()].logits(found, asked)
        if scores.shape != student.shape:
            message = f"{scores.shape[-1]} classes for {scores.shape[0]} rows, but the student {student.shape[-1]}"
            raise TPError(f"distill: the teacher {self.config.teacher} scores {message} for {student.shape[0]}")
        return scores, found

    def _check_lengths(self, teacher: Model, batch: Batch) -> None:
        """Check that the teacher can read sequences of the batch's length.

        Raises:
            TPError: the batch is longer than the teacher's maximum length.
        """
        sides = {name: _inputs(batch, name) for name in teacher.spec.model.streams}
        limits = {name: context_of(teacher.spec, name).length_limit for name in sides}
        if teacher.target_embedding is not None:
            sides["target"], limits["target"] = batch.target or {}, context_of(teacher.spec, side="target").length_limit
        for name, inputs in sides.items():
            ids, limit = inputs.get("input_ids"), limits[name]
            if ids is not None and limit is not None and ids.shape[1] > limit:
                message = f"{limit} positions, but batches have {ids.shape[1]}; lower the processor's length"
                raise TPError(f"distill: the teacher {self.config.teacher} has {message}")

    def _name_in(self) -> str:
        """The name of the target in the teacher."""
        return self.config.teacher_target or self._of

    def _model(self, device: torch.device, batch: Batch) -> Model:
        """The teacher on ``device``; the first call loads it.

        Raises:
            TPError: the teacher cannot be loaded, has another vocabulary, lacks the target, or reads inputs that the
                batches do not have.
        """
        if not self._teacher:
            from tp_core.artifacts.load import load_model

            path = self.config.teacher
            try:
                model = load_model(path, "cpu", _silent, trust_code=self._trust_code).model
            except TPError as error:
                raise TPError(f"distill: the teacher cannot be loaded: {error}") from error
            size = context_of(model.spec, side="target").vocab_size
            if size != self.vocab_size:
                sizes = f"{size} tokens, the student's {self.vocab_size}"
                raise TPError(f"distill: the vocabulary of the teacher {path} has {sizes}; both must use the same")
            if self._name_in() not in model.named_targets():
                message = f"no target '{self._name_in()}' (teacher_target); it has: "
                raise TPError(f"distill: the teacher {path} has {message}{', '.join(model.named_targets()) or 'none'}")
            absent = _absent(model, batch)
            if absent:
                raise TPError(f"distill: the teacher {path} reads {', '.join(absent)}, which batches do not have")
            self._teacher = (model.requires_grad_(False).eval(),)
        teacher = self._teacher[0]
        if next(teacher.parameters()).device != device:
            teacher.to(device)
        return teacher


def _silent(message: str) -> None:
    """Ignore a message; notes on package versions are already shown when the spec is checked."""


def _absent(model: Model, batch: Batch) -> list[str]:
    """The names of inputs that a model requires but a batch does not have."""
    found = []
    for (side, stream), fields in model.fields().sides.items():
        inputs = (batch.target or {}) if side == "target" else _inputs(batch, stream)
        found += [f"{stream}.{name}" if stream else name for name in fields if name not in inputs]
    return found


def _inputs(batch: Batch, stream: str) -> Inputs:
    """The inputs of a stream; a teacher without streams reads those of the batch's only stream."""
    return batch.source.get(stream, batch.inputs if not stream and len(batch.source) == 1 else {})


def _sequences(features: Features) -> dict[str, Sequence]:
    return features.streams or {"": features.sequence}
