"""Options of processors that read class labels. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from tp_core.data.classes.name_options import ClassNameOptions
from tp_core.data.classes.teacher_field import TeacherField
from tp_core.data.label_columns import label_column, probability_column
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext, DataContext

if TYPE_CHECKING:
    from tp_core.data.labels import RecordLabels
    from tp_core.interfaces import Rows


class ClassLabelOptions(ClassNameOptions):
    """Mixin for the config of a processor whose records have a class. It must be the first base class.

    The class may come with the probabilities of a teacher.
    """

    label_kind: ClassVar[str] = "cls"

    terms: ClassVar[Mapping[str, str]] = {
        "probabilities": "soft_labels soft_targets teacher_probabilities",
        "logits": "teacher_logits soft_logits",
        "soft_weight": "soft_alpha",
    }

    probabilities: str | dict[str, str] | None = Field(
        None,
        description="field with a teacher's probabilities of all classes, as in the output of tp predict: a list in "
        "the order of the classes, or numbers by names; or a field for each target of data.labels; records without it "
        "have only their class",
    )
    logits: str | dict[str, str] | None = Field(
        None, description="field with a teacher's logits of all classes, instead of probabilities"
    )
    temperature: float = Field(
        1.0, gt=0, description="temperature of the teacher's probabilities: softmax(logits / temperature)"
    )
    soft_weight: float = Field(
        1.0,
        gt=0,
        le=1,
        description="weight of the teacher's probabilities in the label of a record that also has a class; the class "
        "has the rest",
    )

    def record_labels(self, data: DataContext) -> "RecordLabels[Any]":
        from tp_core.data.classes.labels import RecordClasses

        each = {target: self.class_labels(data, target) for target in self.label_columns(data)}
        fields = {target: field for target in each if (field := self.teacher_field(target)) is not None}
        return RecordClasses(each, fields, self.temperature, self.soft_weight)

    def class_column(self, data: DataContext, target: str | None = None) -> str | None:
        if target is None:
            return label_column(next(iter(data.labels), "")) if len(data.labels) < 2 else None
        return label_column(target if target in data.labels else "")

    def check_rows(self, rows: "Rows", data: DataContext) -> Iterator[Problem]:
        yield from super().check_rows(rows, data)
        for target in data.labels or ("",):
            teacher = self.teacher_field(target)
            if teacher is not None and not rows.lengths(probability_column(target)).any():
                option = "logits" if teacher.logits else "probabilities"
                yield Problem(option, f"no record of the training data has the field '{teacher.name}'")

    def teacher_field(self, target: str = "") -> TeacherField | None:
        """The field with a teacher's probabilities or logits for a target; None if there is none."""
        given = self.logits if self.probabilities is None else self.probabilities
        name = given.get(target) if isinstance(given, dict) else given
        return None if name is None else TeacherField(name, self.probabilities is None)

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from self._check_teacher(context)
        yield from super().check(context)

    def _check_teacher(self, context: BuildContext) -> Iterator[Problem]:
        given = {"probabilities": self.probabilities, "logits": self.logits}
        used = {option: fields for option, fields in given.items() if fields is not None}
        if len(used) > 1:
            yield Problem("logits", "is a second form of the same labels; give either probabilities or logits")
        for option, fields in used.items():
            known = ", ".join(context.labels) or "none"
            for target in fields if isinstance(fields, dict) else ():
                if target not in context.labels:
                    yield Problem(option, f"'{target}' is no target of data.labels, which has {known}")
            if not isinstance(fields, dict) and len(context.labels) > 1:
                message = f"is one field, but data.labels has {known}; give a field for each target that has one"
                yield Problem(option, f"{message}: {{{next(iter(context.labels))}: {fields}}}")
        if not used:
            for option in ("temperature", "soft_weight"):
                if getattr(self, option) != 1:
                    yield Problem(option, "is for labels of a teacher; set probabilities or logits to their field")

    def check_targets(self, data: DataContext) -> Iterator[Problem]:
        for column in (data.labels or {"": ""}) if data.targets else ():
            if self.teacher_field(column) is not None and self.classes(data, column) is None:
                option = "logits" if self.probabilities is None else "probabilities"
                yield Problem(option, "needs the number of classes, but no target has num_labels, and labels is unset")
        yield from super().check_targets(data)
