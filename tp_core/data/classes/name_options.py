"""Options of processors that read names of classes. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from tp_core import discovery
from tp_core.data.classes.names import as_compared
from tp_core.data.label_options import LabelOptions
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext, DataContext
from tp_core.options.facts import ClassFacts, FieldSpec
from tp_core.options.ports import Port

if TYPE_CHECKING:
    from tp_core.data.classes.labels import ClassLabels

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


class ClassNameOptions(LabelOptions):
    """Base of the options of processors whose records have a class or a set of classes.

    All targets that ask for labels of the kind get the field ``label``, unless ``data.labels`` names a column for each
    target.
    """

    terms: ClassVar[Mapping[str, str]] = {
        "labels": "label_list class_names id2label label_names",
    }

    labels: Annotated[list[str] | dict[int, str] | dict[str, Names] | None, BeforeValidator(_ordered)] = Field(
        None,
        description="names of the classes, in order; or a mapping from the integers that records have as labels to "
        "names: {0: neutral, 1: happy}; or either of these for each target of data.labels; default: labels are "
        "integers from 0",
    )

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        own = context.labels or ("",)
        return super().provides(context) | {
            Port.labels(self.label_kind, target): self.label_spec(_count(self.names(target))) for target in own
        }

    def label_spec(self, count: int | None) -> FieldSpec:
        """The tensor of the labels of a target with this number of classes; None if it is unknown."""
        return FieldSpec(("batch",), high=count)

    def label_columns(self, data: DataContext) -> dict[str, str]:
        """Target → the field of its label; the empty name means all targets."""
        return dict(data.labels) or {"": "label"}

    def class_labels(self, data: DataContext, target: str) -> "ClassLabels":
        """The reader of the label of a target."""
        from tp_core.data.classes.labels import ClassLabels

        option = f"data.processor.{discovery.index().name_of('processor', type(self))}.labels"
        return ClassLabels(self.names(target), self.classes(data, target), option, self.label_columns(data)[target])

    def names(self, target: str = "") -> Names | None:
        """The names of a target's classes in the form of the option; None if the classes have no names."""
        own = self._of_targets()
        return self.labels if own is None else own.get(target)  # type: ignore[return-value]

    def _of_targets(self) -> dict[str, Names] | None:
        """The class names by target; None if all targets have the same names."""
        each = isinstance(self.labels, dict) and not all(isinstance(name, str) for name in self.labels.values())
        return self.labels if each else None  # type: ignore[return-value]

    def class_names(self, target: str = "") -> list[str] | None:
        """The names of a target's classes, in order; None if the classes have no names."""
        names = self.names(target)
        return list(names.values()) if isinstance(names, dict) else names

    def label_names(self) -> list[str] | None:
        return self.class_names()

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
        yield from super().check(context)

    def classes(self, data: DataContext, target: str = "") -> int | None:
        """Number of classes: from the names, else from the target, else from the first target with one, else None."""
        asked = [data.targets[target]] if target in data.targets else data.targets.values()
        found = (known.number for each in asked if (known := each.fact(ClassFacts)) is not None)
        return _count(self.names(target)) or next(found, None)

    def check_targets(self, data: DataContext) -> Iterator[Problem]:
        first: tuple[str, int] | None = None
        for name, target in data.targets.items():
            known = target.fact(ClassFacts)
            if self.label_kind not in target.labels or known is None:
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
