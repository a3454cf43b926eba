"""Options of pairs of texts in two streams, and of triplets in three. Torch-free."""

import math
from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.context import BuildContext, DataContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import Port
from tp_text.processors.classification_options import ClassificationProcessorConfig


class PairProcessorConfig(ClassificationProcessorConfig):
    """Two texts for two streams, or three for three: SBERT, InferSent, Quick-Thoughts, SimCSE."""

    implementation: ClassVar[str] = "tp_text.processors.pair:PairProcessor"
    needs_special: ClassVar[tuple[str, ...]] = ("pad",)
    feeds_streams: ClassVar[bool] = True
    optional_fields: ClassVar[frozenset[str]] = frozenset({"label", "text_a", "text_b", "negative"})

    pairing: Literal["fields", "next", "same"] = Field(
        "fields",
        description="fields: text_a, text_b and, for a third stream, negative; next: a line and the next line; "
        "same: each line twice",
    )
    labelled: Literal["none", "class", "similarity"] = Field(
        "none",
        description="label of a pair, in the field label: a class, for the target cls; a number, for the target "
        "similarity; or none",
    )
    label_range: list[float] | None = Field(
        None,
        min_length=2,
        max_length=2,
        description="lowest and highest similarity of the data, which become 0 and 1, such as [0, 5]; default: labels "
        "are used as they are",
    )

    def class_column(self, data: DataContext, target: str | None = None) -> str | None:
        return super().class_column(data, target) if self.labelled == "class" else None

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        fields = super().provides(context)
        if self.labelled != "class":
            fields = {port: spec for port, spec in fields.items() if port[:2] != ("labels", "cls")}
        if self.labelled == "similarity":
            fields[Port.labels("similarity")] = FieldSpec(("batch",), "float32")
        return fields | {Port.labels("clr"): FieldSpec(("batch",))}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        if self.labelled != "none" and self.pairing != "fields":
            yield Problem("labelled", "labels are a field of records, so they require pairing: fields")
        for option in ("labels", "probabilities", "logits"):
            if getattr(self, option) is not None and self.labelled != "class":
                yield Problem(option, "is for the classes of labelled pairs; set labelled: class")
        if self.label_range is not None:
            low, high = self.label_range
            if self.labelled != "similarity":
                yield Problem("label_range", "is the range of labels that are similarities; set labelled: similarity")
            elif not (low < high and math.isfinite(high - low)):
                yield Problem("label_range", f"expected the lowest and the highest label, got {low:g} and {high:g}")

    def check_targets(self, data: DataContext) -> Iterator[Problem]:
        yield from super().check_targets(data)
        for kind, labelled in (("cls", "class"), ("similarity", "similarity")):
            if data.asked(kind) and self.labelled != labelled:
                yield Problem("labelled", f"a target needs the labels '{kind}'; set labelled: {labelled}")
        if len(data.streams) not in (2, 3):
            have = ", ".join(data.streams) or "none"
            yield Problem("", f"feeds two streams (model.streams), or three with negatives; the model has {have}")
        elif len(data.streams) == 3 and self.pairing != "fields":
            yield Problem("pairing", f"{self.pairing} makes two texts, and the model has three streams; use fields")
        elif len(data.streams) == 3 and self.labelled != "none":
            yield Problem("labelled", "pairs with a label are for two streams, and the model has three")
