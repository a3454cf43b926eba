"""Options of the processors that teach an encoder and a decoder to restore text: T5, BART, PEGASUS. Torch-free."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tp_core.config import BuildContext, DataContext, Problem
from tp_text.processors.config_seq2seq import EncoderDecoderConfig, Role
from tp_text.processors.span_lengths import SpanLengths

if TYPE_CHECKING:
    from tp_core.interfaces import Processor
    from tp_core.tokenizer import Tokenizer


class DenoisingConfig(EncoderDecoderConfig):
    """What the denoising processors share: both sides are made of one text, so they have one vocabulary."""

    def check_separate_tokenizers(self) -> Iterator[Problem]:
        yield Problem("", "source and target are made of one text and share data.tokenizer; remove this one")


class SpanCorruptionProcessorConfig(DenoisingConfig):
    """Span corruption: spans of running text become sentinels, and the target says what they were (T5)."""

    sampling_options: ClassVar[frozenset[str]] = frozenset({"pad", "start", "end", "sentinel_pattern"})

    start: Role | None = Field("pad", description="token that the decoder's input begins with; unset: bos, else cls")
    target_max_length: int | None = Field(
        None, gt=1, description="longest decoder input; as long as the spans of a full row need if unset"
    )
    noise_density: float = Field(0.15, gt=0, lt=1, description="part of the tokens to hide")
    mean_span_length: float = Field(3.0, ge=1, description="tokens per hidden span, on average")
    sentinel_pattern: str | None = Field(
        None, description="spelling of the sentinels, {} for 0, 1, ...; unset: ``<extra_id_{}>``, else ``[unused{}]``"
    )

    def spans(self) -> SpanLengths:
        return SpanLengths(self.noise_density, self.mean_span_length)

    def row_length(self) -> int:
        """Tokens of text in a full row: as many as fit once their spans are hidden."""
        return self.spans().longest_row(self.max_length, self.target_max_length)

    def target_sequence_length(self) -> int:
        return self.spans().target_length(self.row_length())

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        if self.row_length() < 2:
            option = "max_length" if self.target_max_length is None else "target_max_length"
            yield Problem(option, "is too short for one hidden span")
        if self.sentinel_pattern is not None and self.sentinel_pattern.count("{}") != 1:
            yield Problem("sentinel_pattern", "holds {} once, in place of the sentinel's number")

    def build(self, data: DataContext, tokenizer: "Tokenizer | None") -> "Processor":
        from tp_text.processors.span_corruption import SpanCorruptionProcessor

        assert tokenizer is not None
        return SpanCorruptionProcessor(self, data, tokenizer)


class BartProcessorConfig(DenoisingConfig):
    """Text infilling and sentence permutation; the target is the original text (BART).

    One sentence per line, a blank line between documents.
    """

    needs_special: ClassVar[tuple[str, ...]] = ("pad", "mask")
    usual_starts: ClassVar[tuple[str, ...]] = ("eos", "sep")
    sampling_options: ClassVar[frozenset[str]] = frozenset(
        {"pad", "start", "end", "infill_rate", "span_lambda", "permute_rate", "mask_rate", "delete_rate", "rotate_rate"}
    )

    start: Role | None = Field(None, description="token that the decoder's input begins with; unset: eos, else sep")
    infill_rate: float = Field(0.3, ge=0, lt=1, description="part of the tokens in spans that become one mask each")
    span_lambda: float = Field(3.0, gt=0, description="mean of the spans' Poisson distributed lengths")
    permute_rate: float = Field(1.0, ge=0, le=1, description="part of a row's sentences that change places")
    mask_rate: float = Field(0.0, ge=0, lt=1, description="part of the other tokens that becomes the mask token")
    delete_rate: float = Field(0.0, ge=0, lt=1, description="part of the other tokens that is left out")
    rotate_rate: float = Field(0.0, ge=0, le=1, description="part of the rows that begin at a random token")

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        if self.mask_rate + self.delete_rate > 1:
            yield Problem("delete_rate", "mask_rate and delete_rate add up to more than 1")

    def build(self, data: DataContext, tokenizer: "Tokenizer | None") -> "Processor":
        from tp_text.processors.bart import BartProcessor

        assert tokenizer is not None
        return BartProcessor(self, data, tokenizer)


class GapSentencesProcessorConfig(DenoisingConfig):
    """Gap sentences: a document's principal sentences are masked, and are the target (PEGASUS).

    One sentence per line, a blank line between documents.
    """

    sampling_options: ClassVar[frozenset[str]] = frozenset({"pad", "start", "end", "mask_token"})

    start: Role | None = Field("pad", description="token that the decoder's input begins with; unset: bos, else cls")
    gap_ratio: float = Field(0.3, gt=0, lt=1, description="part of the sentences to mask, one at least")
    mask_token: str | None = Field(
        None,
        description="the token that stands for a sentence; unset: ``<mask_1>`` if there is one, else the mask token",
    )

    def build(self, data: DataContext, tokenizer: "Tokenizer | None") -> "Processor":
        from tp_text.processors.gap_sentences import GapSentencesProcessor

        assert tokenizer is not None
        return GapSentencesProcessor(self, data, tokenizer)
