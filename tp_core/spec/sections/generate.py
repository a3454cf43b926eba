"""``inference.generate:`` of a spec: options for generating texts with a trained model. Torch-free."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from tp_core.options.section import Section

TokenId = Annotated[int, Field(ge=0)]

#: Default maximum number of new tokens.
USUAL_LENGTH = 64

#: Options of the search method; the other options limit the length or the tokens of a text.
SEARCH = (
    "beams",
    "length_penalty",
    "early_stopping",
    "sample",
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "typical_p",
    "seed",
)
OF_BEAMS = ("length_penalty", "early_stopping")
OF_SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical_p", "seed")
#: Pairs of options with the same purpose. If a call gives one of them, it replaces the other one.
EITHER = (("max_new_tokens", "max_length"), ("min_new_tokens", "min_length"))


class GenerateOptions(Section):
    """Keys of ``inference.generate``: the defaults of ``tp generate``.

    Options with a name of transformers have the same meaning as there. Token ids belong to the vocabulary of the
    generated texts.
    """

    max_new_tokens: int | None = Field(
        None,
        ge=1,
        description=f"maximum number of new tokens; default: according to max_length, else {USUAL_LENGTH}, or more if "
        "a minimum requires it",
    )
    max_length: int | None = Field(
        None,
        ge=1,
        description="maximum number of tokens of the text plus a causal model's prompt or a decoder's start token",
    )
    min_new_tokens: int = Field(0, ge=0, description="minimum number of new tokens")
    min_length: int = Field(0, ge=0, description="minimum number of tokens, including the prompt of a causal model")
    truncation_side: Literal["left", "right"] | None = Field(
        None,
        description="the side on which a long prompt is truncated; default: left; for the source of an encoder, right",
    )
    beams: int = Field(1, ge=1, description="number of beams of beam search; 1 is greedy search")
    length_penalty: float = Field(
        1.0,
        ge=-50,
        le=50,
        description="for beam search: a text's log probability is divided by its length to this power",
    )
    early_stopping: bool | Literal["never"] = Field(
        False,
        description="for beam search, the condition for its end: true, as many finished texts as beams; false, no "
        "unfinished text is better at its present length; never, no unfinished text can become better",
    )
    sample: bool = Field(False, description="choose tokens at random according to their probabilities")
    temperature: float = Field(1.0, gt=0, description="temperature of sampling; values below 1 make it less random")
    top_k: int | None = Field(
        None, ge=0, description="sample from this number of most probable tokens; default, or 0: all tokens"
    )
    top_p: float = Field(
        1.0, gt=0, le=1, description="sample from the most probable tokens with this total probability"
    )
    min_p: float = Field(
        0.0, ge=0, le=1, description="sample from tokens with at least this share of the greatest probability"
    )
    typical_p: float = Field(
        1.0, gt=0, le=1, description="sample from the most typical tokens with this total probability"
    )
    seed: int = Field(0, ge=0, description="random seed of sampling")
    repetition_penalty: float = Field(
        1.0, gt=0, description="values above 1 make tokens of a causal model's prompt and of the text less probable"
    )
    no_repeat_ngram_size: int = Field(0, ge=0, description="no n-gram of this size occurs twice in the text; 0: off")
    encoder_no_repeat_ngram_size: int = Field(
        0, ge=0, description="no n-gram of this size is copied from the input; 0: off"
    )
    bad_words_ids: list[Annotated[list[TokenId], Field(min_length=1)]] | None = Field(
        None, description="sequences of token ids that are never generated"
    )
    suppress_tokens: list[TokenId] | None = Field(None, description="token ids that are never generated")
    begin_suppress_tokens: list[TokenId] | None = Field(
        None, description="token ids that are not generated as the first token"
    )
    forced_bos_token_id: TokenId | Literal["none"] | None = Field(
        None,
        description="token id of the first token; default: for a decoder, as in the training texts; none: any token",
    )
    forced_eos_token_id: TokenId | list[TokenId] | None = Field(
        None, description="token ids; one of them is the last token of a text that reaches the maximum length"
    )
    eos_token_id: TokenId | list[TokenId] | None = Field(
        None, description="token ids that end a text, in addition to those of the processor"
    )
    decoder_start_token_id: int | None = Field(
        None, ge=0, description="first token id of a decoder's input, if the processor does not define it"
    )

    @model_validator(mode="after")
    def _together(self) -> "GenerateOptions":
        problem = next(self._contradictions(), None)
        if problem:
            raise ValueError(problem)
        return self

    def _contradictions(self) -> Iterator[str]:
        if self.sample and self.beams > 1:
            yield "sample and beams exclude each other: beams look for the most probable text"
        for new, whole in EITHER:
            if getattr(self, new) and getattr(self, whole):
                drop = f"{whole}: {0 if new.startswith('min') else 'null'}"
                yield f"{new} and {whole} exclude each other; remove one ({drop} removes an inherited value)"
        for name in ("new_tokens", "length"):
            most, minimum = getattr(self, f"max_{name}"), getattr(self, f"min_{name}")
            if most is not None and minimum > most:
                yield f"min_{name} is {minimum}, more than max_{name}, which is {most}"
        for name in ("forced_bos_token_id", "forced_eos_token_id"):
            forced = ids_of(getattr(self, name) if getattr(self, name) != "none" else None)
            if forced and set(forced) <= set(self.suppress_tokens or ()):
                yield f"{name} is suppressed by suppress_tokens: {', '.join(map(str, forced))}"

    def only(self, names: tuple[str, ...]) -> "GenerateOptions":
        """A copy that keeps only the named options; the others have their defaults."""
        return GenerateOptions().model_copy(update={name: getattr(self, name) for name in names})

    def token_ids(self) -> Iterator[tuple[str, int]]:
        """Pairs of option and token id, for all options with token ids."""
        for name in (
            *("forced_bos_token_id", "forced_eos_token_id", "eos_token_id", "decoder_start_token_id"),
            *("suppress_tokens", "begin_suppress_tokens"),
        ):
            value = getattr(self, name)
            yield from ((name, index) for index in ids_of(None if value == "none" else value))
        yield from (("bad_words_ids", index) for word in self.bad_words_ids or () for index in word)

    def ends(self) -> tuple[int, ...]:
        """The ids of ``eos_token_id``."""
        return ids_of(self.eos_token_id)


def ids_of(value: int | list[int] | None) -> tuple[int, ...]:
    """One id, several ids or none, as a tuple."""
    if value is None:
        return ()
    return (value,) if isinstance(value, int) else tuple(value)
