"""Options of processors that read class labels. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

from pydantic import BeforeValidator, Field

from tp_core.data.classes.names import as_compared
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext, DataContext
from tp_core.options.facts import ClassFacts, FieldSpec
from tp_core.options.ports import Port
from tp_core.options.processor import ProcessorConfig

if TYPE_CHECKING:
    from tp_core.interfaces import Rows

#: Names of classes, in order; or a mapping from the integers that records have as labels to names.
Names = list[str] | dict[int, str]


def _ordered(value: Any) -> Any:
    """Sort a mapping from integers to names by integer, also within targets. Integers may be written as text."""
    if not isinstance(value, Mapping):
        return value
    if value and all(isinstance(names, (list, Mapping)) for names in value.values()):
        return {str(target): _ordered(names) for target, names in value.items()}
    numbered: dict[int, Any] = {}
    for number, name in value.items():
        try:
            key = int(str(number))
        except ValueError:
            expected = "a list of names, names by integers, or one of these for each target by its name"
            raise ValueError(f"'{number}' is no integer; expected {expected}") from None
        if key in numbered:
            raise ValueError(f"{key} is listed twice")
        if not isinstance(name, str):
            raise ValueError(f"the name of {key} is no text; expected one, such as '{name}' in quotes")
        numbered[key] = name
    return dict(sorted(numbered.items()))


class TeacherField(NamedTuple):
    """A field of records with a teacher's probabilities or logits.

    Attributes:
        name: name of the field.
        logits: True if the numbers are logits.
    """

    name: str
    logits: bool


def label_column(target: str = "") -> str:
    """The column of rows with class numbers, of a target with its own column or of all other targets."""
    return f"label:{target}" if target else "label"


def probability_column(target: str = "") -> str:
    """The column of rows with probabilities of classes, for the targets of :func:`label_column`."""
    return f"probabilities:{target}" if target else "probabilities"


class ClassLabelOptions(ProcessorConfig):
    """Mixin for the config of a processor whose records have class labels. It must be the first base class.

    All targets that ask for ``cls`` get the field ``label``, unless ``data.labels`` names a column for each target.
    """

    terms: ClassVar[Mapping[str, str]] = {
        "labels": "label_list class_names id2label label_names",
        "probabilities": "soft_labels soft_targets teacher_probabilities",
        "logits": "teacher_logits soft_logits",
        "soft_weight": "soft_alpha",
    }

    optional_fields: ClassVar[frozenset[str]] = frozenset({"label"})

    labels: Annotated[list[str] | dict[int, str] | dict[str, Names] | None, BeforeValidator(_ordered)] = Field(
        None,
        description="names of the classes, in order; or a mapping from the integers that records have as labels to "
        "names: {0: neutral, 1: happy}; or either of these for each target of data.labels; default: labels are "
        "integers from 0",
    )

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

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        own = context.labels or ("",)
        return super().provides(context) | {
            Port.labels("cls", target): FieldSpec(("batch",), high=_count(self.names(target))) for target in own
        }

    def names(self, target: str = "") -> Names | None:
        """The names of a target's classes in the form of the option; None if the classes have no names."""
        own = self._of_targets()
        return self.labels if own is None else own.get(target)  # type: ignore[return-value]

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

    def _of_targets(self) -> dict[str, Names] | None:
        """The class names by target; None if all targets have the same names."""
        each = isinstance(self.labels, dict) and not all(isinstance(name, str) for name in self.labels.values())
        return self.labels if each else None  # type: ignore[return-value]

    def class_names(self, target: str = "") -> list[str] | None:
        """The names of a target's classes, in order; None if the classes have no names."""
        names = self.names(target)
        return list(names.values()) if isinstance(names, dict) else names

    def check(self, context: BuildContext) -> Iterator[Problem]:
        targets = [*context.labels] or [""]
        for target in self._of_targets() or ():
            if target not in context.labels:
                known = ", ".join(context.labels) or "none"
                yield Problem("labels", f"'{target}' is no target of data.labels, which has {known}")
        for target in targets:
            names = [as_compared(name) for name in self.class_names(target) or []]
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                yield Problem("labels", f"'{twice}' is listed twice")
            if self.names(target) is not None and not names:
                yield Problem("labels", "names no class")
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

    def classes(self, data: DataContext, target: str = "") -> int | None:
        """Number of classes: from the names, else from the target, else from the first target with one, else None."""
        asked = [data.targets[target]] if target in data.targets else data.targets.values()
        found = (known.number for each in asked if (known := each.fact(ClassFacts)) is not None)
        return _count(self.names(target)) or next(found, None)

    def check_targets(self, data: DataContext) -> Iterator[Problem]:
        for column in (data.labels or {"": ""}) if data.targets else ():
            if self.teacher_field(column) is not None and self.classes(data, column) is None:
                option = "logits" if self.probabilities is None else "probabilities"
                yield Problem(option, "needs the number of classes, but no target has num_labels, and labels is unset")
        first: tuple[str, int] | None = None
        for name, target in data.targets.items():
            known = target.fact(ClassFacts)
            if "cls" not in target.labels or known is None:
                continue
            count = known.number
            named = _count(self.names(name if name in data.labels else ""))
            if named is not None and named != count:
                yield Problem("labels", f"names {named} classes, but model.target.{name}.num_labels is {count}")
            elif first is not None and name not in data.labels and count != first[1]:
                message = f"model.target.{name}.num_labels is {count}, and that of {first[0]} is {first[1]}; both get "
                yield Problem("", message + "the field label; give each a column of its own in data.labels")
            if name not in data.labels:
                first = first or (name, count)
        yield from super().check_targets(data)


def _count(names: Names | None) -> int | None:
    return None if names is None else len(names)
