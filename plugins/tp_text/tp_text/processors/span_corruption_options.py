"""Options of T5's span corruption. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_text.processors.denoising_options import DenoisingConfig
from tp_text.processors.sentinels import USUAL_SENTINELS, find_sentinels
from tp_text.processors.seq2seq_options import Role
from tp_text.processors.span_lengths import SpanLengths
from tp_text.processors.text_options import PACK

if TYPE_CHECKING:
    from tp_core.interfaces.tokenizer import TokenizerFacts


class SpanCorruptionProcessorConfig(DenoisingConfig):
    """Span corruption: sentinels replace spans of running text, and the target holds the spans (T5)."""

    terms: ClassVar[Mapping[str, str]] = {
        "mean_span_length": "mean_noise_span_length",
        "pack": "full_sentences packing sample_packing group_texts",
    }

    implementation: ClassVar[str] = "tp_text.processors.span_corruption:SpanCorruptionProcessor"
    sampling_options: ClassVar[frozenset[str]] = frozenset({"pad", "start", "end", "sentinel_pattern"})

    start: Role | None = Field("pad", description="first token of the decoder input; if null: bos, else cls")
    target_max_length: int | None = Field(
        None, gt=1, description="maximum length of the decoder input; default: the length needed for a full row"
    )
    source_start: Role | None = Field(None, description="special token before the source; default: none")
    pack: bool = Field(True, description=PACK)
    noise_density: float = Field(0.15, gt=0, lt=1, description="share of tokens to hide")
    mean_span_length: float = Field(3.0, ge=1, description="mean number of tokens per hidden span")
    sentinel_pattern: str | None = Field(
        None, description="spelling of the sentinels, {} for 0, 1, ...; default: ``<extra_id_{}>``, else ``[unused{}]``"
    )

    def spans(self) -> SpanLengths:
        return SpanLengths(self.noise_density, self.mean_span_length)

    def row_length(self) -> int:
        """Maximum number of text tokens in a row whose source and target fit after the spans are hidden."""
        room = self.max_length - (self.source_start is not None)
        return self.spans().longest_row(room, self.target_max_length)

    def target_sequence_length(self) -> int:
        return self.spans().target_length(self.row_length())

    def missing_sentinels(self, tokens: Mapping[str, int]) -> str:
        """Error message if the vocabulary has too few sentinels for a full row; empty if it has enough.

        Args:
            tokens: token → id.
        """
        there = len(find_sentinels(tokens, self.sentinel_pattern))
        needed = self.spans().hidden(self.row_length())[1] + 1
        if there >= needed:
            return ""
        pattern = self.sentinel_pattern or " or ".join(USUAL_SENTINELS)
        return (
            f"rows of {self.row_length()} tokens need {needed} sentinel tokens, and the vocabulary has "
            f"{there or 'none'} (spelled {pattern}); give sentinel_pattern, lower max_length, or add the tokens to the "
            "vocabulary"
        )

    def check_tokenizer(self, tokenizer: "TokenizerFacts") -> Iterator[Problem]:
        yield from super().check_tokenizer(tokenizer)
        if self.row_length() >= 2 and (missing := self.missing_sentinels(tokenizer.tokens())):
            yield Problem("sentinel_pattern", missing)

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        if self.row_length() < 2:
            option = "max_length" if self.target_max_length is None else "target_max_length"
            yield Problem(option, "is too short for one hidden span")
        if self.sentinel_pattern is not None and self.sentinel_pattern.count("{}") != 1:
            yield Problem("sentinel_pattern", "must contain {} once, in place of the sentinel's number")
