"""Shared options of the processors for encoder-decoder models. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.context import BuildContext, DataContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import ATTENTION_MASK, INPUT_IDS, TARGET_ATTENTION_MASK, TARGET_INPUT_IDS, Port
from tp_text.processors.text_options import TextProcessorConfig

if TYPE_CHECKING:
    from tp_core.interfaces.tokenizer import TokenizerFacts


Role = Literal["bos", "eos", "cls", "sep", "pad"]


class EncoderDecoderConfig(TextProcessorConfig):
    """Shared options of processors that make a source for the encoder and a target for the decoder.

    The decoder input is the start token and the target. The labels are the target and the end token.
    """

    terms: ClassVar[Mapping[str, str]] = {
        "target_max_length": (
            "tgt_seq_length max_target_length target_seq_length decoder_max_length generation_max_length"
        ),
    }

    target_length_option: ClassVar[str] = "target_max_length"
    needs_special: ClassVar[tuple[str, ...]] = ("pad",)
    sampling_options: ClassVar[frozenset[str]] = frozenset({"pad", "start", "end"})
    optional_fields: ClassVar[frozenset[str]] = frozenset({"target", "text_b"})
    #: Roles to try for the target's start and end tokens if the options do not name a role.
    usual_starts: ClassVar[tuple[str, ...]] = ("bos", "cls")
    usual_ends: ClassVar[tuple[str, ...]] = ("eos", "sep")

    target_max_length: int | None = Field(
        None,
        gt=1,
        description="maximum length of the decoder input; default: max_length if it is given, else the model's limit",
    )
    start: Role | None = Field(None, description="first token of the decoder input; default: bos, else cls")
    end: Role | None = Field(None, description="last token of the target; default: eos, else sep")

    def limits_of_model(self, data: DataContext) -> dict[str, int]:
        found = super().limits_of_model(data)
        if data.target_length_limit is not None and "max_length" not in self.model_fields_set:
            found["target_max_length"] = data.target_length_limit
        return found

    def target_sequence_length(self) -> int | None:
        return self.target_max_length or self.max_length

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        names = (INPUT_IDS, ATTENTION_MASK, TARGET_INPUT_IDS, TARGET_ATTENTION_MASK, Port.labels("lm"))
        return {name: FieldSpec() for name in names}

    def edge(self, option: Literal["start", "end"], special: Mapping[str, int]) -> int | None:
        """The id of the start or end token in a vocabulary, or None if it has no such token."""
        return next((special[role] for role in self.roles(option) if role in special), None)

    def roles(self, option: Literal["start", "end"]) -> tuple[str, ...]:
        """Possible roles of the start or end token; the first one in the vocabulary is used."""
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
