"""Options of pairs of texts in two streams. Torch-free."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.context import BuildContext, DataContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import Port
from tp_text.processors.classification_options import ClassificationProcessorConfig


class PairProcessorConfig(ClassificationProcessorConfig):
    """Two texts for two streams: SBERT, InferSent, Quick-Thoughts, SimCSE."""

    implementation: ClassVar[str] = "tp_text.processors.pair:PairProcessor"
    needs_special: ClassVar[tuple[str, ...]] = ("pad",)
    feeds_streams: ClassVar[bool] = True
    optional_fields: ClassVar[frozenset[str]] = frozenset({"label", "text_a", "text_b"})

    pairing: Literal["fields", "next", "same"] = Field(
        "fields", description="fields: text_a and text_b; next: a line and the next line; same: each line twice"
    )
    labelled: bool = Field(False, description="each pair has a class label (field label) for the target cls")

    def class_column(self, data: DataContext, target: str | None = None) -> str | None:
        return super().class_column(data, target) if self.labelled else None

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        fields = super().provides(context)
        if not self.labelled:
            del fields[Port.labels("cls")]
        return fields | {Port.labels("clr"): FieldSpec(("batch",))}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        if self.labelled and self.pairing != "fields":
            yield Problem("labelled", "labels are a field of records, so they require pairing: fields")
        for option in ("labels", "probabilities", "logits"):
            if getattr(self, option) is not None and not self.labelled:
                yield Problem(option, "is for the classes of labelled pairs; set labelled: true")

    def check_targets(self, data: DataContext) -> Iterator[Problem]:
        yield from super().check_targets(data)
        if len(data.streams) != 2:
            have = ", ".join(data.streams) or "none"
            yield Problem("", f"feeds exactly two streams (model.streams); the model has {have}")
