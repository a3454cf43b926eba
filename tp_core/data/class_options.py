"""Options of processors that read class labels. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from tp_core.data.class_names import as_compared
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext, DataContext
from tp_core.options.facts import FieldSpec
from tp_core.options.processor import ProcessorConfig


def _ordered(value: Any) -> Any:
    """Names of integers in the order of these, the integers as a spec or JSON may write them."""
    if not isinstance(value, Mapping):
        return value
    numbered: dict[int, Any] = {}
    for number, name in value.items():
        try:
            key = int(str(number))
        except ValueError:
            raise ValueError(f"'{number}' is no integer; expected integers and the names of their classes") from None
        if key in numbered:
            raise ValueError(f"{key} is listed twice")
        if not isinstance(name, str):
            raise ValueError(f"the name of {key} is no text; expected one, such as '{name}' in quotes")
        numbered[key] = name
    return dict(sorted(numbered.items()))


class ClassLabelOptions(ProcessorConfig):
    """Mixed into the config of a processor whose records have a class label; it stands first among the bases."""

    optional_fields: ClassVar[frozenset[str]] = frozenset({"label"})

    labels: Annotated[list[str] | dict[int, str] | None, BeforeValidator(_ordered)] = Field(
        None,
        description="names of the classes, in order; or the integers that records have for labels, with the names of "
        "these: {0: neutral, 1: happy}; unset: labels are integers from 0",
    )

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        return super().provides(context) | {"labels:cls": FieldSpec(("batch",))}

    def class_names(self) -> list[str] | None:
        """The names of the classes, in order; None if they have none."""
        return list(self.labels.values()) if isinstance(self.labels, dict) else self.labels

    def check(self, context: BuildContext) -> Iterator[Problem]:
        names = [as_compared(name) for name in self.class_names() or []]
        twice = next((name for name in names if names.count(name) > 1), None) if len({*names}) < len(names) else None
        if twice is not None:
            yield Problem("labels", f"'{twice}' is listed twice")
        if self.labels is not None and not self.labels:
            yield Problem("labels", "names no class")
        yield from super().check(context)

    def classes(self, data: DataContext) -> int | None:
        """Number of classes: the names', else that of the first target that has one; None if nothing says."""
        counts = (options.get("num_labels") for options in data.target_options.values())
        return len(self.labels) if self.labels is not None else next((count for count in counts if count), None)

    def check_targets(self, data: DataContext) -> Iterator[Problem]:
        for name, options in data.target_options.items():
            count = options.get("num_labels")
            if self.labels is not None and count is not None and len(self.labels) != count:
                own = options.get("name") or name
                named = f"names {len(self.labels)} classes"
                yield Problem("labels", f"{named}, but model.target.{own}.num_labels is {count}")
        yield from super().check_targets(data)
