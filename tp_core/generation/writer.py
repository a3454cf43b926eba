"""Generation of texts by a model for batches of prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tp_core.errors import TPError
from tp_core.generation.logits_chain import Rules, rules_of
from tp_core.generation.logits_rules import Written
from tp_core.generation.room import prompt_room, text_limit
from tp_core.generation.search import Choice, Draw, Generated, beam_search, most_probable, write
from tp_core.generation.stepper import ModelStepper, rows_of
from tp_core.interfaces import Batch, GenerationTokens, Processor, PromptRoom, Record, Target
from tp_core.model import Model
from tp_core.spec.context import context_of
from tp_core.spec.schema import Spec
from tp_core.spec.sections.generate import GenerateOptions, ids_of


class TextWriter:
    """Writes texts with a model; the caller turns dropout and gradients off.

    Args:
        spec: the spec of the model, limited to the data set whose processor makes the batches.
        processor: makes the batches, and decodes texts.
        tokens: how texts begin and end; default: as the processor says.

    Attributes:
        causal: True if the model continues its prompt; False if a decoder writes the text.

    Raises:
        TPError: the model cannot generate, or an option does not fit it.
    """

    def __init__(
        self,
        model: Model,
        spec: Spec,
        processor: Processor,
        options: GenerateOptions,
        tokens: GenerationTokens | None = None,
    ) -> None:
        self.model, self.spec, self.processor, self.options = model, spec, processor, options
        self._targets(None)
        rows = context_of(spec, side="target").vocab_size
        for name, index in options.token_ids():
            if index >= rows:
                raise TPError(f"{name}: there is no token {index}; the model has {rows}")
        self.tokens = self._checked(processor.generation() if tokens is None else tokens)
        self.causal = model.decoder is None
        self.positions = context_of(spec, side="target").length_limit

    def __call__(self, batch: Batch, numbers: Sequence[int], records: Sequence[Record]) -> list[Generated]:
        """The texts that the model generates for the samples of a batch.

        Args:
            numbers: positions of the records among all records; part of the seeds for sampling.
            records: the records, for error messages.

        Raises:
            DataError: a record leaves no room for new tokens.
            TPError: the model cannot generate, or an option does not fit it.
        """
        options, device = self.options, next(self.model.parameters()).device
        facts = self.spec.data.target_vocabulary or self.spec.data.vocabulary
        start, begin = _beginning(self.tokens, options, not self.causal)
        end = tuple(dict.fromkeys((*self.tokens.end, *options.ends())))
        known = None if facts is None else facts.vocab_size
        stepper = ModelStepper(self.model, self._targets(batch)[0], batch, replace(self.tokens, start=start), known)
        limits = [
            text_limit(options, length, self.positions, record)
            for length, record in zip(stepper.prompt_lengths, records, strict=True)
        ]
        inputs = rows_of(batch.inputs) if "input_ids" in batch.inputs else None
        chain = list(rules_of(options, end, begin, inputs, device))
        prompts = [start] * batch.size if not self.causal or inputs is None else inputs
        rules = Rules(chain, Written.of(prompts, limits, device)) if chain else None
        if options.beams > 1:
            search = (options.beams, options.length_penalty, options.early_stopping)
            texts = beam_search(stepper, limits, end, *search, rules)
        else:
            seeds = [(options.seed, number) for number in numbers]
            choose: Choice = Draw(seeds) if options.sample else most_probable
            texts = write(stepper, limits, end, choose, rules)
        if options.forced_eos_token_id is not None:  # a forced last token does not mean that the text ended by itself
            for text, limit in zip(texts, limits):
                text.finished = text.finished and len(text.ids) + 1 < limit
        # The forced beginning of a decoder's text is not part of the text.
        return [replace(text, ids=text.ids[0 if self.causal else len(begin) :]) for text in texts]

    def room(self) -> PromptRoom:
        """The maximum length of prompts.

        Raises:
            TPError: the options leave no position for a prompt.
        """
        return prompt_room(self.options, self.positions, not self.causal)

    def decoded(self, texts: Sequence[Generated], batch: Batch) -> list[str]:
        """The texts as strings.

        Args:
            batch: the batch that they were generated for; a causal model's text continues its prompt.
        """
        prompts = rows_of(batch.inputs) if self.causal and "input_ids" in batch.inputs else [None] * batch.size
        return [self.processor.decode(text.ids, prompt) for text, prompt in zip(texts, prompts, strict=True)]

    def _checked(self, tokens: GenerationTokens) -> GenerationTokens:
        if len(self.model.streams):
            names = ", ".join(self.spec.model.streams)
            raise TPError(f"generation needs a model with one input side; this one has the streams {names}")
        named = self.options.decoder_start_token_id
        if self.model.decoder is not None:
            processor = self.spec.data.processor
            name = "the processor" if processor is None else f"the processor '{processor.name}'"
            if not tokens.start and named is None:
                raise TPError(f"generation needs a start token for the model's decoder, and {name} names none")
            if tokens.start and named not in (None, tokens.start[0]):
                start = tokens.start[0]
                raise TPError(f"decoder_start_token_id is {named}, but {name} starts the decoder with {start}")
        elif named is not None:
            raise TPError(f"decoder_start_token_id is {named}, and the model has no decoder")
        return tokens

    def _targets(self, batch: Batch | None) -> list[Target]:
        """The targets that score a next token, for a batch or for the whole model."""
        every = self.model.active(batch or Batch({}, 0))
        able = [target for target in every.values() if type(target).next_logits is not Target.next_logits]
        if not able:
            names = ", ".join(every) or "none"
            raise TPError(
                "generation needs a target that scores a next token, such as lm; this model's are "
                f"{names} (see tp predict)"
            )
        return able


def _beginning(
    tokens: GenerationTokens, options: GenerateOptions, decoder: bool
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The start token of the decoder's side, and the forced tokens after it.

    Forced tokens count as generated, as in transformers.
    """
    start = () if not decoder else tokens.start or ids_of(options.decoder_start_token_id)
    forced = options.forced_bos_token_id
    if forced == "none":
        return start[:1], ()
    return start[:1], start[1:] if forced is None else (forced,)
