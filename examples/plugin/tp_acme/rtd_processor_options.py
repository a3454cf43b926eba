"""Options of the processor ``acme.rtd``. Torch-free."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tp_acme.rtd_target_options import REPLACED
from tp_core import BuildContext, FieldSpec, Port, Problem, ProcessorConfig
from tp_core.options.marks import ModelSize
from tp_core.options.ports import ATTENTION_MASK, INPUT_IDS, TOKEN_TYPE_IDS

if TYPE_CHECKING:
    from tp_core import TokenizerFacts


class ReplacedTokensConfig(ProcessorConfig):
    """Texts in which some tokens are replaced by random ones, for the target acme.rtd."""

    implementation: ClassVar[str] = "tp_acme.rtd_processor:ReplacedTokens"
    sampling_options: ClassVar[frozenset[str]] = frozenset({"rate"})
    length_column: ClassVar[str | None] = "tokens"

    max_length: ModelSize[int] = Field(128, gt=3, description="maximum sequence length, including special tokens")
    rate: float = Field(0.15, gt=0, lt=1, description="probability of replacing a token")

    def sequence_length(self) -> int | None:
        return self.max_length

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {port: FieldSpec() for port in (INPUT_IDS, ATTENTION_MASK, TOKEN_TYPE_IDS, REPLACED)}

    def check_tokenizer(self, tokenizer: "TokenizerFacts") -> Iterator[Problem]:
        if len(tokenizer.special) == tokenizer.vocab_size:
            yield Problem("", "the vocabulary only has special tokens; replacing tokens needs ordinary ones")
        yield from super().check_tokenizer(tokenizer)
