"""Options that processors for encoders with decoders share. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import ATTENTION_MASK, INPUT_IDS, TARGET_ATTENTION_MASK, TARGET_INPUT_IDS, Port
from tp_text.processors.text_options import TextProcessorConfig

if TYPE_CHECKING:
    from tp_core.interfaces.tokenizer import TokenizerFacts


Role = Literal["bos", "eos", "cls", "sep", "pad"]


class EncoderDecoderConfig(TextProcessorConfig):
    """Options of the processors that make a source, which the encoder reads, and a target, which the decoder writes.

    The decoder's input is the start token and the target; its labels are the target and the end token.
    """

    needs_special: ClassVar[tuple[str, ...]] = ("pad",)
    sampling_options: ClassVar[frozenset[str]] = frozenset({"pad", "start", "end"})
    optional_fields: ClassVar[frozenset[str]] = frozenset({"target", "text_b"})
    #: Roles that the tokens at the target's edges are looked for in, where the options leave it to the vocabulary.
    usual_starts: ClassVar[tuple[str, ...]] = ("bos", "cls")
    usual_ends: ClassVar[tuple[str, ...]] = ("eos", "sep")

    target_max_length: int | None = Field(None, gt=1, description="longest decoder input; max_length if unset")
    start: Role | None = Field(None, description="token that the decoder's input begins with; unset: bos, else cls")
    end: Role | None = Field(None, description="token that a target ends with; unset: eos, else sep")

    def target_sequence_length(self) -> int | None:
        return self.target_max_length or self.max_length

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        names = (INPUT_IDS, ATTENTION_MASK, TARGET_INPUT_IDS, TARGET_ATTENTION_MASK, Port.labels("lm"))
        return {name: FieldSpec() for name in names}

    def edge(self, option: Literal["start", "end"], special: Mapping[str, int]) -> int | None:
        """The id of the start or end token in a vocabulary, or None if it has no such token."""
        return next((special[role] for role in self.roles(option) if role in special), None)

    def roles(self, option: Literal["start", "end"]) -> tuple[str, ...]:
        """The roles that the start or end token may have, the first that the vocabulary has is taken."""
        usual = self.usual_starts if option == "start" else self.usual_ends
        chosen = self.start if option == "start" else self.end
        return usual if chosen is None else (chosen,)

    def starting_with(self, token: int, special: Mapping[str, int]) -> Mapping[str, Any]:
        return next(({"start": role} for role in get_args(Role) if special.get(role) == token), {})

    def check_target_tokenizer(self, tokenizer: "TokenizerFacts") -> Iterator[Problem]:
        options: tuple[Literal["start", "end"], ...] = ("start", "end")
        for option in options:
            if self.edge(option, tokenizer.special) is None:
                roles, have = " or ".join(self.roles(option)), ", ".join(tokenizer.special) or "none"
                message = f"the vocabulary has no token for {option}: expected {roles}; its special tokens are {have}"
                yield Problem(option, message)
