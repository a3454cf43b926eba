"""Options of the processor of speech with texts, for a decoder. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from pydantic import Field

from tp_audio.processors.options import Role
from tp_audio.processors.speech_options import SpeechProcessorConfig
from tp_core.metrics.facts import MetricFacts
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext, DataContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import TARGET_ATTENTION_MASK, TARGET_INPUT_IDS, Port

if TYPE_CHECKING:
    from tp_core.interfaces.tokenizer import TokenizerFacts


ErrorRate = Literal["word_error_rate", "character_error_rate"]


class SpeechTextProcessorConfig(SpeechProcessorConfig):
    """Speech for an encoder and its text for a decoder (Speech2Text; Wang et al., 2020).

    The decoder's input is the start token and the text; its labels are the text and the end token.
    """

    terms: ClassVar[Mapping[str, str]] = {
        "target_max_length": (
            "tgt_seq_length max_target_length target_seq_length decoder_max_length generation_max_length"
        ),
    }

    implementation: ClassVar[str] = "tp_audio.processors.speech_text:SpeechTextProcessor"
    target_length_option: ClassVar[str] = "target_max_length"
    sampling_options: ClassVar[frozenset[str]] = SpeechProcessorConfig.sampling_options | {"start", "end"}
    optional_fields: ClassVar[frozenset[str]] = frozenset({"text"})

    target_max_length: int = Field(
        256,
        gt=1,
        description="maximum length of the decoder input; longer texts are bad records; default: the model's limit, if "
        "it has one",
    )
    metrics: list[ErrorRate] = Field(
        [],
        description="metrics of texts that the model generates in evaluations: word_error_rate, character_error_rate; "
        "none by default, since generation takes time",
    )
    start: Role | None = Field(None, description="first token of the decoder input; default: eos, else sep")
    end: Role | None = Field(None, description="last token of a text; default: eos, else sep")

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return {name: MetricFacts("low") for name in self.metrics}

    def limits_of_model(self, data: DataContext) -> dict[str, int]:
        return {} if data.target_length_limit is None else {"target_max_length": data.target_length_limit}

    def target_sequence_length(self) -> int | None:
        return self.target_max_length

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        names = (TARGET_INPUT_IDS, TARGET_ATTENTION_MASK, Port.labels("lm"))
        return super().provides(context) | {name: FieldSpec() for name in names}

    def edge(self, option: Literal["start", "end"], special: Mapping[str, int]) -> int | None:
        """The id of the start or end token in a vocabulary; None if it has no such token."""
        return next((special[role] for role in self.roles(option) if role in special), None)

    def roles(self, option: Literal["start", "end"]) -> tuple[str, ...]:
        """The possible roles of the start or end token. The first role that the vocabulary has is used."""
        chosen = self.start if option == "start" else self.end
        return ("eos", "sep") if chosen is None else (chosen,)

    def starting_with(self, token: int, special: Mapping[str, int]) -> Mapping[str, Any]:
        return next(({"start": role} for role in get_args(Role) if special.get(role) == token), {})

    def check_target_tokenizer(self, tokenizer: "TokenizerFacts") -> Iterator[Problem]:
        options: tuple[Literal["start", "end"], ...] = ("start", "end")
        for option in options:
            if self.edge(option, tokenizer.special) is None:
                roles, have = " or ".join(self.roles(option)), ", ".join(tokenizer.special) or "none"
                message = f"the vocabulary has no token for {option}: expected {roles}; its special tokens are {have}"
                yield Problem(option, message)
