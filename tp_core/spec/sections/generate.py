"""``inference.generate:`` of a spec: how a trained model writes texts. Torch-free."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from tp_core.options.section import Section

TokenId = Annotated[int, Field(ge=0)]

#: The most tokens of a text where no option bounds it.
USUAL_LENGTH = 64

#: Options that say which text is looked for, and nothing of its length or its tokens.
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
#: Two ways to say one thing, of which a call that says one means that one.
EITHER = (("max_new_tokens", "max_length"), ("min_new_tokens", "min_length"))


class GenerateOptions(Section):
    """Keys of ``inference.generate``: the defaults of ``tp generate``.

    Options that transformers has too have its meaning; token ids are those of the vocabulary that texts are written in.
    """

    max_new_tokens: int | None = Field(
        None,
        ge=1,
        description=f"the most tokens that are written; unset: as max_length says, or {USUAL_LENGTH}, or more if a "
        "least number is asked for",
    )
    max_length: int | None = Field(
        None,
        ge=1,
        description="the most tokens of a causal model's prompt, or a decoder's start, and the text together",
    )
    min_new_tokens: int = Field(0, ge=0, description="no text ends before it has so many tokens")
    min_length: int = Field(0, ge=0, description="the same, with the prompt of a causal model counted")
    truncation_side: Literal["left", "right"] | None = Field(
        None, description="the side that a prompt too long loses; unset: left, of an encoder's source right"
    )
    beams: int = Field(1, ge=1, description="texts that are followed at the same time; 1 is greedy search")
    length_penalty: float = Field(
        1.0, ge=-50, le=50, description="of beams: a text's log probability is divided by its length to this power"
    )
    early_stopping: bool | Literal["never"] = Field(
        False,
        description="of beams: true ends a search at as many whole texts as there are beams; false, when no running "
        "text is better at its present length; never, when none can become better",
    )
    sample: bool = Field(False, description="choose tokens at random, by their probability")
    temperature: float = Field(1.0, gt=0, description="of sampling; below 1, less random")
    top_k: int | None = Field(None, ge=0, description="sample from so many most probable tokens; unset, 0: from all")
    top_p: float = Field(1.0, gt=0, le=1, description="sample from the most probable tokens of this share")
    min_p: float = Field(
        0.0, ge=0, le=1, description="sample from tokens of at least this share of the greatest probability"
    )
    typical_p: float = Field(1.0, gt=0, le=1, description="sample from the most typical tokens of this share")
    seed: int = Field(0, ge=0, description="of sampling")
    repetition_penalty: float = Field(
        1.0, gt=0, description="above 1, tokens that are in a causal model's prompt or in the text are less probable"
    )
    no_repeat_ngram_size: int = Field(0, ge=0, description="no row of so many tokens is written twice; 0: off")
    encoder_no_repeat_ngram_size: int = Field(
        0, ge=0, description="no row of so many tokens is copied from the input; 0: off"
    )
    bad_words_ids: list[Annotated[list[TokenId], Field(min_length=1)]] | None = Field(
        None, description="rows of token ids that are never written"
    )
    suppress_tokens: list[TokenId] | None = Field(None, description="token ids that are never written")
    begin_suppress_tokens: list[TokenId] | None = Field(None, description="token ids that are not written first")
    forced_bos_token_id: TokenId | Literal["none"] | None = Field(
        None, description="token id that a text begins with; unset: as a decoder's texts of the training; none: any"
    )
    forced_eos_token_id: TokenId | list[TokenId] | None = Field(
        None, description="token ids of which one is the last of a text of the greatest length"
    )
    eos_token_id: TokenId | list[TokenId] | None = Field(
        None, description="token ids that end a text, beside those of the processor"
    )
    decoder_start_token_id: int | None = Field(
        None, ge=0, description="token id that a decoder's input begins with, where the processor names none"
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
                yield f"{new} and {whole} exclude each other; remove one ({drop} drops one that is inherited)"
        for name in ("new_tokens", "length"):
            most, minimum = getattr(self, f"max_{name}"), getattr(self, f"min_{name}")
            if most is not None and minimum > most:
                yield f"min_{name} is {minimum}, more than max_{name}, which is {most}"
        for name in ("forced_bos_token_id", "forced_eos_token_id"):
            forced = ids_of(getattr(self, name) if getattr(self, name) != "none" else None)
            if forced and set(forced) <= set(self.suppress_tokens or ()):
                yield f"{name} is suppressed by suppress_tokens: {', '.join(map(str, forced))}"

    def only(self, names: tuple[str, ...]) -> "GenerateOptions":
        """These options without all but some, which have their usual values."""
        return GenerateOptions().model_copy(update={name: getattr(self, name) for name in names})

    def token_ids(self) -> Iterator[tuple[str, int]]:
        """The options that name token ids, with each id that they name."""
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
    """One id, several or none as several."""
    if value is None:
        return ()
    return (value,) if isinstance(value, int) else tuple(value)
