"""Options of processors that read sets of classes. Torch-free."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from tp_core.data.classes.name_options import ClassNameOptions
from tp_core.options.base import Problem
from tp_core.options.context import DataContext
from tp_core.options.facts import FieldSpec, Usual

if TYPE_CHECKING:
    from tp_core.data.labels import RecordLabels


class ClassSetOptions(ClassNameOptions):
    """Mixin for the config of a processor whose records have sets of classes. It must be the first base class."""

    label_kind: ClassVar[str] = "multi_label"

    delimiter: str = Field(
        ",", min_length=1, description="divides a label that is a text into classes; a label may also be a list"
    )

    def label_spec(self, count: int | None) -> FieldSpec:
        return FieldSpec(("batch", Usual(2) if count is None else count), "float32")

    def record_labels(self, data: DataContext) -> "RecordLabels[Any]":
        from tp_core.data.classes.sets import ClassSets, RecordClassSets

        readers = {target: self.class_labels(data, target) for target in self.label_columns(data)}
        return RecordClassSets({target: ClassSets(each, self.delimiter) for target, each in readers.items()})

    def check_targets(self, data: DataContext) -> Iterator[Problem]:
        yield from super().check_targets(data)
        for target in self.label_columns(data):
            if self.classes(data, target) is None:
                yield Problem("labels", "is required: no target has num_labels, so the number of classes is unknown")
                break
