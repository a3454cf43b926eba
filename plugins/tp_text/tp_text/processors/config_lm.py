"""Options of the processors of language models beyond the plain causal one. Torch-free."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tp_core.config import BuildContext, DataContext, FieldSpec, Problem
from tp_text.processors.config import TextProcessorConfig

if TYPE_CHECKING:
    from tp_core.interfaces import Processor
    from tp_core.tokenizer import Tokenizer, TokenizerFacts


class BidirectionalLmProcessorConfig(TextProcessorConfig):
    """One document per line, packed into full rows for a forward and a backward language model (ELMo)."""

    needs_special: ClassVar[tuple[str, ...]] = ("pad",)

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {name: FieldSpec() for name in ("input_ids", "attention_mask", "labels:bilm")}

    def build(self, data: DataContext, tokenizer: "Tokenizer | None") -> "Processor":
        from tp_text.processors.bilm import BidirectionalLmProcessor

        assert tokenizer is not None
        return BidirectionalLmProcessor(self, data, tokenizer)


class PrefixLmProcessorConfig(TextProcessorConfig):
    """A prefix that is read as a whole and its continuation, token by token: pairs, or text cut at random (UniLM)."""

    needs_special: ClassVar[tuple[str, ...]] = ("pad",)
    sampling_options: ClassVar[frozenset[str]] = frozenset({"pad", "prefix_loss"})
    optional_fields: ClassVar[frozenset[str]] = frozenset({"target", "text_b"})

    prefix_loss: bool = Field(
        False, description="predict the tokens of the prefix, too, which is then read token by token"
    )

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        prefix = {} if self.prefix_loss else {"prefix_lengths": FieldSpec(("batch",))}
        return super().provides(context) | prefix | {"labels:lm": FieldSpec()}

    def segments(self, tokenizer: "TokenizerFacts") -> int:
        return 2

    def check_tokenizer(self, tokenizer: "TokenizerFacts") -> Iterator[Problem]:
        yield from super().check_tokenizer(tokenizer)
        if not {"eos", "sep"} & set(tokenizer.special):
            yield Problem("", "the vocabulary has no token for the end of a text: expected eos or sep")

    def build(self, data: DataContext, tokenizer: "Tokenizer | None") -> "Processor":
        from tp_text.processors.prefixlm import PrefixLmProcessor

        assert tokenizer is not None
        return PrefixLmProcessor(self, data, tokenizer)


class InstructionProcessorConfig(TextProcessorConfig):
    """Instruction tuning: conversations, of which a causal language model learns the answers.

    What stands around each turn are the texts of the options; each answer ends with the end-of-text token.
    """

    needs_special: ClassVar[tuple[str, ...]] = ("eos",)
    optional_fields: ClassVar[frozenset[str]] = frozenset({"output"})

    max_length: int = Field(512, gt=3, description="longest sequence, special tokens included")
    pack: bool = Field(False, description="several conversations in a row, which do not see each other")
    system_prefix: str = Field("<|system|>\n", description="text before a system message")
    system_suffix: str = Field("\n", description="text after a system message")
    user_prefix: str = Field("<|user|>\n", description="text before a user's message")
    user_suffix: str = Field("\n", description="text after a user's message")
    assistant_prefix: str = Field("<|assistant|>\n", description="text before an answer")
    assistant_suffix: str = Field("", description="text after an answer, before the end-of-text token")
    system: str | None = Field(None, description="system message of conversations that have none")

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        names = ["input_ids", *(["document_ids", "position_ids"] if self.pack else [])]
        return {name: FieldSpec() for name in names} | {"lengths": FieldSpec(("batch",)), "labels:lm": FieldSpec()}

    def build(self, data: DataContext, tokenizer: "Tokenizer | None") -> "Processor":
        from tp_text.processors.instruction import InstructionProcessor

        assert tokenizer is not None
        return InstructionProcessor(self, data, tokenizer)


class SkipGramProcessorConfig(TextProcessorConfig):
    """Windows of words around words, and random words (word2vec); also hashed bigrams in the windows (Ngram2vec)."""

    needs_special: ClassVar[tuple[str, ...]] = ("pad",)
    sampling_options: ClassVar[frozenset[str]] = frozenset(
        {"pad", "window", "negatives", "subsample", "ngrams", "ngram_buckets"}
    )

    max_length: int = Field(512, gt=3, description="words per row")
    window: int = Field(5, gt=0, description="longest distance of a context; each word draws its own, from 1")
    negatives: int = Field(5, gt=0, description="random words per position, drawn by count^0.75")
    subsample: float = Field(1e-3, ge=0, description="words more frequent than this are dropped at random; 0: none")
    ngrams: int = Field(1, ge=1, le=2, description="2: the bigrams of a window are contexts, too")
    ngram_buckets: int = Field(
        100_000, gt=0, description="ids of hashed bigrams, after the vocabulary; model.target.sgns needs as many"
    )

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {name: FieldSpec() for name in ("input_ids", "attention_mask", "labels:sgns")}

    def check_targets(self, data: DataContext) -> Iterator[Problem]:
        rows = data.target_options.get("sgns", {}).get("ngram_buckets")
        if self.ngrams > 1 and rows is not None and rows < self.ngram_buckets:
            yield Problem("ngram_buckets", f"is {self.ngram_buckets}, but model.target.sgns.ngram_buckets is {rows}")

    def build(self, data: DataContext, tokenizer: "Tokenizer | None") -> "Processor":
        from tp_text.processors.skipgram import SkipGramProcessor

        assert tokenizer is not None
        return SkipGramProcessor(self, data, tokenizer)
