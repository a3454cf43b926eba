"""Options of processors that read numbers as labels. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from tp_core.data.label_options import LabelOptions
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext, DataContext
from tp_core.options.facts import FieldSpec, OutputFacts, Usual
from tp_core.options.ports import Port

if TYPE_CHECKING:
    from tp_core.data.labels import RecordLabels


class NumberLabelOptions(LabelOptions):
    """Mixin for the config of a processor whose records have numbers as labels. It must be the first base class.

    All targets that ask for ``regression`` get the same numbers, unless ``data.labels`` names a column for each target.
    """

    terms: ClassVar[Mapping[str, str]] = {
        "names": "labels output_names label_names id2label target_names",
        "fields": "label_columns target_columns output_columns",
    }

    label_kind: ClassVar[str] = "regression"

    fields: list[str] = Field(
        ["label"],
        min_length=1,
        description="the field with the number, or with the list of numbers, of a record; or a field for each output",
    )
    names: list[str] | dict[str, list[str]] | None = Field(
        None,
        description="names of the outputs of one field, in order, for predictions of several outputs; or these for "
        "each target of data.labels; with several fields, outputs have the names of the fields",
    )
    allow_missing: bool = Field(
        False,
        description="true: a record need not have all labels; a missing or empty one counts neither in the loss nor in "
        "metrics; false: it is an error",
    )

    def output_names(self, target: str = "") -> list[str] | None:
        """The names of a target's outputs, in order; None if they have no names."""
        if len(self.fields) > 1:
            return self.fields
        return self.names.get(target) if isinstance(self.names, dict) else self.names

    def label_names(self) -> list[str] | None:
        return self.output_names()

    def outputs(self, data: DataContext, target: str = "") -> int:
        """Number of outputs: from the names, else from the target, else from the first target with one, else 1."""
        names = self.output_names(target)
        asked = [data.targets[target]] if target in data.targets else data.targets.values()
        found = (known.number for each in asked if (known := each.fact(OutputFacts)) is not None)
        return len(names) if names is not None else next(found, 1)

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        found = super().provides(context)
        for target in context.labels or ("",):
            names = self.output_names(target)
            size = Usual(1) if names is None else len(names)
            found = found | {Port.labels(self.label_kind, target): FieldSpec(("batch", size), "float32")}
        return found

    def record_labels(self, data: DataContext) -> "RecordLabels[Any]":
        """The reader of the records' labels."""
        from tp_core.data.numbers.reader import Numbers, RecordNumbers

        fields = {target: [column] for target, column in data.labels.items()} or {"": self.fields}
        return RecordNumbers(
            {
                target: Numbers(own, self.outputs(data, target), self.output_names(target), self.allow_missing)
                for target, own in fields.items()
            }
        )

    def check(self, context: BuildContext) -> Iterator[Problem]:
        several = self.names if isinstance(self.names, dict) else {}
        for target in several:
            if target not in context.labels:
                known = ", ".join(context.labels) or "none"
                yield Problem("names", f"'{target}' is no target of data.labels, which has {known}")
        for names in several.values() or [self.names or []]:
            twice = next((name for name in names if list(names).count(name) > 1), None)
            if twice is not None:
                yield Problem("names", f"'{twice}' is listed twice")
        if self.names is not None and not all(several.values() or [self.names]):
            yield Problem("names", "names no output")
        if twice := next((field for field in self.fields if self.fields.count(field) > 1), None):
            yield Problem("fields", f"'{twice}' is listed twice")
        if len(self.fields) > 1 and self.names is not None:
            yield Problem("names", "is for the outputs of one field; outputs of several fields are named after these")
        if context.labels and self.fields != ["label"]:
            columns = ", ".join(context.labels.values())
            yield Problem("fields", f"data.labels names the columns ({columns}); leave it out")
        yield from super().check(context)

    def check_targets(self, data: DataContext) -> Iterator[Problem]:
        first: tuple[str, int] | None = None
        for name, target in data.targets.items():
            known = target.fact(OutputFacts)
            if self.label_kind not in target.labels or known is None:
                continue
            names = self.output_names(name if name in data.labels else "")
            if names is not None and len(names) != known.number:
                option, what = ("fields", "fields") if len(self.fields) > 1 else ("names", "outputs")
                yield Problem(option, f"names {len(names)} {what}, but model.target.{name}.outputs is {known.number}")
            elif first is not None and name not in data.labels and known.number != first[1]:
                message = f"model.target.{name}.outputs is {known.number}, and that of {first[0]} is {first[1]}; both "
                yield Problem("", f"{message}get the same labels; give each a column of its own in data.labels")
            if name not in data.labels:
                first = first or (name, known.number)
        yield from super().check_targets(data)
