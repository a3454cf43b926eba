"""The rules that the options enable, in the order of transformers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from tp_core.errors import TPError
from tp_core.generation.logits_rules import (
    BadWords,
    Forced,
    LeastLength,
    NoCopiedNgrams,
    NoRepeatedNgrams,
    RepetitionPenalty,
    Rule,
    Suppressed,
    Written,
)
from tp_core.generation.sampling_filters import MinP, Temperature, TopK, TopP, Typical
from tp_core.spec.sections.generate import GenerateOptions, ids_of


class Rules:
    """A chain of rules, with the texts that they are applied to."""

    def __init__(self, chain: Sequence[Rule], texts: Written) -> None:
        self.chain, self.texts = list(chain), texts

    def __call__(self, scores: Tensor, ids: Tensor | None) -> Tensor:
        """Apply the rules to a model's scores (rows, vocabulary), after appending ``ids`` (rows,) to the texts."""
        if not self.chain:
            return scores
        if ids is not None:
            self.texts.append(ids)
        for rule in self.chain:
            scores = rule(scores, self.texts)
        return scores

    def reorder(self, index: Tensor) -> None:
        """Continue with the rows selected by ``index`` (new rows,), in its order."""
        if self.chain:
            self.texts.reorder(index)


def rules_of(
    options: GenerateOptions,
    end: Sequence[int],
    begin: Sequence[int],
    inputs: Sequence[Sequence[int]] | None,
    device: torch.device,
) -> Iterator[Rule]:
    """The rules of the options.

    Args:
        end: ids of end tokens.
        begin: ids that a text is forced to begin with, after the decoder's start.
        inputs: ids that the encoder or causal model reads, for each sample; None if the input has no tokens.

    Raises:
        TPError: a rule needs the tokens of the input, which has none.
    """
    if options.repetition_penalty != 1.0:
        yield RepetitionPenalty(options.repetition_penalty)
    if options.no_repeat_ngram_size:
        yield NoRepeatedNgrams(options.no_repeat_ngram_size)
    if options.encoder_no_repeat_ngram_size:
        if inputs is None:
            raise TPError("encoder_no_repeat_ngram_size: the model's input has no tokens that could be copied")
        yield NoCopiedNgrams(options.encoder_no_repeat_ngram_size, inputs, device)
    if options.bad_words_ids:
        yield BadWords(options.bad_words_ids, end)
    if options.min_length:
        yield LeastLength(options.min_length, end, whole=True)
    if options.min_new_tokens:
        yield LeastLength(options.min_new_tokens, end, whole=False)
    for length, index in enumerate(begin, 1):
        yield Forced([index], _at_length(length))
    if last := ids_of(options.forced_eos_token_id):
        yield Forced(last, _at_limit)
    if options.suppress_tokens:
        yield Suppressed(options.suppress_tokens)
    if options.begin_suppress_tokens:
        yield Suppressed(options.begin_suppress_tokens, _behind(len(begin)))
    if options.sample:
        yield from filters_of(options)


def filters_of(options: GenerateOptions) -> Iterator[Rule]:
    """The filters that the sampling options enable, in the order of application."""
    if options.temperature != 1.0:
        yield Temperature(options.temperature)
    if options.top_k:
        yield TopK(options.top_k)
    if options.top_p < 1.0:
        yield TopP(options.top_p)
    if options.min_p:
        yield MinP(options.min_p)
    if options.typical_p < 1.0:
        yield Typical(options.typical_p)


def _at_length(length: int) -> Callable[[Written], Tensor]:
    """Selects texts that have a given length, including the prompt."""
    return lambda texts: texts.lengths == length


def _at_limit(texts: Written) -> Tensor:
    """Selects texts whose next token is the last."""
    return texts.limits == texts.step + 1


def _behind(count: int) -> Callable[[Written], Tensor]:
    """Selects texts whose next token is the first after ``count`` forced ones, which only follow a one-token prompt."""
    return lambda texts: torch.where(texts.prompts == 1, count, 0) == texts.step
