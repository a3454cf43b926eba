"""Options of the processors of classified and paired texts. Torch-free."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from tp_core.config import BuildContext, DataContext, FieldSpec, Problem
from tp_text.processors.config import MASKING_OPTIONS, ClassificationProcessorConfig, MaskingOptions

if TYPE_CHECKING:
    from tp_core.interfaces import Processor
    from tp_core.tokenizer import Tokenizer


class ClassificationMlmProcessorConfig(ClassificationProcessorConfig, MaskingOptions):
    """A text, or a pair of texts, with a class label, and masked tokens."""

    needs_special: ClassVar[tuple[str, ...]] = ("cls", "sep", "pad", "mask")
    sampling_options: ClassVar[frozenset[str]] = frozenset({"pad"}) | MASKING_OPTIONS

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        return super().provides(context) | {"labels:mlm": FieldSpec()}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        yield from self.check_masking()

    def build(self, data: DataContext, tokenizer: "Tokenizer | None") -> "Processor":
        from tp_text.processors.cls_mlm import ClassificationMlmProcessor

        assert tokenizer is not None
        return ClassificationMlmProcessor(self, data, tokenizer)


class PairProcessorConfig(ClassificationProcessorConfig):
    """Two texts for two streams: SBERT, InferSent, Quick-Thoughts, SimCSE."""

    needs_special: ClassVar[tuple[str, ...]] = ("pad",)
    feeds_streams: ClassVar[bool] = True
    optional_fields: ClassVar[frozenset[str]] = frozenset({"label", "text_a", "text_b"})

    pairing: Literal["fields", "next", "same"] = Field(
        "fields", description="fields: text_a and text_b; next: a line and the line after it; same: each line twice"
    )
    labelled: bool = Field(False, description="pairs have a class label (the field label), for the target cls")

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        fields = super().provides(context)
        if not self.labelled:
            del fields["labels:cls"]
        return fields | {"labels:clr": FieldSpec(("batch",))}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        if self.labelled and self.pairing != "fields":
            yield Problem("labelled", "labels are a field of records; they need pairing: fields")
        if self.labels is not None and not self.labelled:
            yield Problem("labels", "names the classes of labelled pairs; set labelled: true")

    def check_targets(self, data: DataContext) -> Iterator[Problem]:
        yield from super().check_targets(data)
        if len(data.streams) != 2:
            have = ", ".join(data.streams) or "none"
            yield Problem("", f"makes two texts for exactly two streams (model.streams); the model has {have}")

    def build(self, data: DataContext, tokenizer: "Tokenizer | None") -> "Processor":
        from tp_text.processors.pair import PairProcessor

        assert tokenizer is not None
        return PairProcessor(self, data, tokenizer)
