"""Shared options of all text processors. Torch-free."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.context import BuildContext, DataContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import ATTENTION_MASK, INPUT_IDS, TOKEN_TYPE_IDS, Port
from tp_core.options.processor import ProcessorConfig

if TYPE_CHECKING:
    from tp_core.interfaces.tokenizer import TokenizerFacts


PACK = "fill rows across documents; if false, a row holds text of one document only"


class TextProcessorConfig(ProcessorConfig):
    """Shared options of all text processors."""

    terms: ClassVar[Mapping[str, str]] = {
        "max_length": (
            "seq_length seq_len max_seq_length max_seq_len sequence_length block_size context_length ctx_len "
            "max_source_length tokens_per_sample model_max_length cutoff_len max_len"
        ),
        "pad": "padding pad_to_max_length padding_strategy",
    }

    length_option: ClassVar[str] = "max_length"
    #: Roles of the special tokens that the processor requires.
    needs_special: ClassVar[tuple[str, ...]] = ("cls", "sep", "pad")

    max_length: int = Field(
        128,
        gt=3,
        description="maximum sequence length, including special tokens; default: the model's limit, if it has one",
    )
    pad: Literal["longest", "max_length"] = Field(
        "longest", description="pad to the longest row of the batch, or to max_length"
    )

    sampling_options: ClassVar[frozenset[str]] = frozenset({"pad"})

    def limits_of_model(self, data: DataContext) -> dict[str, int]:
        return {} if data.length_limit is None else {"max_length": data.length_limit}

    def sequence_length(self) -> int | None:
        return self.max_length

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {name: FieldSpec() for name in (INPUT_IDS, ATTENTION_MASK, TOKEN_TYPE_IDS)}

    def check_tokenizer(self, tokenizer: "TokenizerFacts") -> Iterator[Problem]:
        yield from self.check_special(tokenizer, self.needs_special)
        yield from super().check_tokenizer(tokenizer)

    @staticmethod
    def check_special(tokenizer: "TokenizerFacts", roles: Iterable[str]) -> Iterator[Problem]:
        """Yield a problem if the vocabulary lacks the special tokens of some roles."""
        missing = [role for role in roles if role not in tokenizer.special]
        if missing:
            lacks = f"the vocabulary lacks special tokens that the processor needs: {', '.join(missing)}"
            options = " and ".join(f"{role}_token" for role in missing)
            yield Problem("", f"{lacks}; if it spells them differently, set {options} of the tokenizer")
