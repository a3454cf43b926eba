"""Options of processors that read class labels. Torch-free."""

from collections.abc import Iterator

from pydantic import Field

from tp_core.config import BuildContext, DataContext, FieldSpec, Problem, ProcessorConfig


class ClassLabelOptions(ProcessorConfig):
    """Mixed into the config of a processor whose records have a class label; it stands first among the bases."""

    labels: list[str] | None = Field(None, description="names of the classes, in order; numbers from 0 if unset")

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        return super().provides(context) | {"labels:cls": FieldSpec(("batch",))}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        names = self.labels or []
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            yield Problem("labels", f"'{twice}' is listed twice")
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
