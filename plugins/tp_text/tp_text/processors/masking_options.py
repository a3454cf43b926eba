"""Options of masking. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.processor import ProcessorConfig

if TYPE_CHECKING:
    from tp_core.interfaces.tokenizer import TokenizerFacts


class MaskingOptions(ProcessorConfig):
    """Options for selecting and masking tokens for a masked language model."""

    terms: ClassVar[Mapping[str, str]] = {
        "mask_rate": "mlm_probability masked_lm_prob mlm_prob masking_probability mask_probability",
        "whole_word": "whole_word_masking whole_word_mask wwm",
        "span": "span_masking",
        "span_p": "span_geo_prob",
        "span_max_length": "max_span_length",
    }

    mask_rate: float = Field(0.15, gt=0, lt=1, description="share of tokens to predict")
    mask_replace: float = Field(0.8, ge=0, le=1, description="share of predicted tokens replaced by the mask token")
    random_replace: float = Field(0.1, ge=0, le=1, description="share of predicted tokens replaced by a random token")
    whole_word: bool = Field(False, description="mask all pieces of a word together")
    span: bool = Field(False, description="mask spans with geometrically distributed lengths (SpanBERT)")
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
