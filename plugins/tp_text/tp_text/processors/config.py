"""Options of the text processors. Torch-free."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from tp_core.config import BuildContext, DataContext, FieldSpec, Problem, ProcessorConfig
from tp_core.data.class_options import ClassLabelOptions

if TYPE_CHECKING:
    from tp_core.interfaces import Processor
    from tp_core.tokenizer import Tokenizer, TokenizerFacts


class TextProcessorConfig(ProcessorConfig):
    """What all text processors share."""

    #: Roles of special tokens without which the processor cannot work.
    needs_special: ClassVar[tuple[str, ...]] = ("cls", "sep", "pad")

    max_length: int = Field(128, gt=3, description="longest sequence, special tokens included")
    pad: Literal["longest", "max_length"] = Field("longest", description="pad to the longest of the batch, or always")

    sampling_options: ClassVar[frozenset[str]] = frozenset({"pad"})

    def sequence_length(self) -> int | None:
        return self.max_length

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {name: FieldSpec() for name in ("input_ids", "attention_mask", "token_type_ids")}

    def check_tokenizer(self, tokenizer: "TokenizerFacts") -> Iterator[Problem]:
        missing = [role for role in self.needs_special if role not in tokenizer.special]
        if missing:
            lacks = f"the vocabulary lacks special tokens that the processor needs: {', '.join(missing)}"
            options = " and ".join(f"{role}_token" for role in missing)
            yield Problem("", f"{lacks}; if others serve for them, the tokenizer has to say which: {options}")
        yield from super().check_tokenizer(tokenizer)


class MaskingOptions(ProcessorConfig):
    """How tokens are chosen and hidden for a masked language model."""

    mask_rate: float = Field(0.15, gt=0, lt=1, description="part of the tokens to predict")
    mask_replace: float = Field(0.8, ge=0, le=1, description="part of these that becomes the mask token")
    random_replace: float = Field(0.1, ge=0, le=1, description="part of these that becomes a random token")
    whole_word: bool = Field(False, description="hide all pieces of a word together")
    span: bool = Field(False, description="hide spans of geometric length (SpanBERT)")
    span_p: float = Field(0.2, gt=0, le=1, description="parameter of the spans' geometric distribution")
    span_max_length: int = Field(10, gt=0)

    def check_masking(self) -> Iterator[Problem]:
        if self.mask_replace + self.random_replace > 1:
            yield Problem("random_replace", "mask_replace and random_replace add up to more than 1")
        if self.whole_word and self.span:
            yield Problem("span", "whole_word and span exclude each other")

    def check_tokenizer(self, tokenizer: "TokenizerFacts") -> Iterator[Problem]:
        if self.whole_word and not tokenizer.marks_words:
            yield Problem("whole_word", "the vocabulary of the tokenizer does not say where words begin")
        yield from super().check_tokenizer(tokenizer)


MASKING_OPTIONS = frozenset(MaskingOptions.model_fields)


class BertProcessorConfig(TextProcessorConfig, MaskingOptions):
    """Documents as pairs of segments with masked tokens: BERT's next sentence, or ALBERT's sentence order."""

    needs_special: ClassVar[tuple[str, ...]] = ("cls", "sep", "pad", "mask")
    sampling_options: ClassVar[frozenset[str]] = frozenset({"pad"}) | MASKING_OPTIONS

    sentence_task: Literal["next", "order", "none"] = Field(
        "next", description="next: does the second segment follow; order: are the two swapped; none: one segment"
    )
    short_rate: float = Field(0.1, ge=0, le=1, description="part of the rows that is shorter on purpose")

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        labels = {"labels:mlm": FieldSpec()}
        if self.sentence_task != "none":
            labels["labels:sp"] = FieldSpec(("batch",))
        return super().provides(context) | labels

    def segments(self, tokenizer: "TokenizerFacts") -> int:
        return tokenizer.segments[self.sentence_task != "none"]

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from self.check_masking()

    def build(self, data: DataContext, tokenizer: "Tokenizer | None") -> "Processor":
        from tp_text.processors.bert import BertProcessor

        assert tokenizer is not None
        return BertProcessor(self, data, tokenizer)


class MlmProcessorConfig(TextProcessorConfig, MaskingOptions):
    """One document per line, masked tokens, no pairs (RoBERTa)."""

    needs_special: ClassVar[tuple[str, ...]] = ("cls", "sep", "pad", "mask")
    sampling_options: ClassVar[frozenset[str]] = frozenset({"pad"}) | MASKING_OPTIONS

    pack: bool = Field(True, description="fill rows across documents; else a row never spans two")

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        return super().provides(context) | {"labels:mlm": FieldSpec()}

    def segments(self, tokenizer: "TokenizerFacts") -> int:
        return tokenizer.segments[0]

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from self.check_masking()

    def build(self, data: DataContext, tokenizer: "Tokenizer | None") -> "Processor":
        from tp_text.processors.mlm import MlmProcessor

        assert tokenizer is not None
        return MlmProcessor(self, data, tokenizer)


class LmProcessorConfig(TextProcessorConfig):
    """One document per line, packed into full rows for a causal language model (GPT-2)."""

    needs_special: ClassVar[tuple[str, ...]] = ("eos",)
    sampling_options: ClassVar[frozenset[str]] = frozenset({"pad", "truncation_side"})

    isolate_documents: bool = Field(False, description="attention and positions start anew at each document of a row")
    truncation_side: Literal["left", "right"] = Field(
        "left", description="the side that a text too long loses for predictions and vectors"
    )

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        names = ["input_ids", *(["document_ids", "position_ids"] if self.isolate_documents else [])]
        return {name: FieldSpec() for name in names} | {"lengths": FieldSpec(("batch",)), "labels:lm": FieldSpec()}

    def build(self, data: DataContext, tokenizer: "Tokenizer | None") -> "Processor":
        from tp_text.processors.lm import LmProcessor

        assert tokenizer is not None
        return LmProcessor(self, data, tokenizer)


class ClassificationProcessorConfig(ClassLabelOptions, TextProcessorConfig):
    """A text, or a pair of texts, with a class label."""

    def build(self, data: DataContext, tokenizer: "Tokenizer | None") -> "Processor":
        from tp_text.processors.classification import ClassificationProcessor

        assert tokenizer is not None
        return ClassificationProcessor(self, data, tokenizer)
