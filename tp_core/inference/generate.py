"""``generate``: texts that a trained model writes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from tp_core.errors import DataError, TPError
from tp_core.inference.batches import inference_batches
from tp_core.inference.load import LoadedModel, load_model
from tp_core.inference.predict import as_records, bad_records
from tp_core.inference.search import Choice, Generated, Sampling, beam_search, most_probable, write
from tp_core.inference.stepper import ModelStepper
from tp_core.interfaces import Batch, GenerationTokens, Processor, Record, Target
from tp_core.spec.context import context_of


@dataclass(frozen=True)
class GenerationOptions:
    """How texts are written.

    Attributes:
        max_new_tokens: the most tokens a text may have.
        beams: texts that are followed at the same time; 1 is greedy.
        length_penalty: above 0, beams prefer longer texts to what their probability says.
        sample: choose each token at random, from the model's distribution.
        temperature: of sampling; below 1, probable tokens become more so.
        top_k: sample from so many most probable tokens; None for all.
        top_p: sample from the fewest tokens that have this probability together.
        seed: of sampling. What a record becomes depends on it and on the record's number, on nothing else.
    """

    max_new_tokens: int = 64
    beams: int = 1
    length_penalty: float = 1.0
    sample: bool = False
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, right, expected in (
            # (option, whether its value can be used, which values can)
            ("max_new_tokens", self.max_new_tokens >= 1, "at least 1"),
            ("beams", self.beams >= 1, "at least 1"),
            ("temperature", self.temperature > 0, "greater than 0"),
            ("top_k", self.top_k is None or self.top_k >= 1, "at least 1"),
            ("top_p", 0 < self.top_p <= 1, "greater than 0 and at most 1"),
            ("seed", self.seed >= 0, "at least 0"),
        ):
            if not right:
                raise TPError(f"{name} must be {expected}, got {getattr(self, name)}")
        if self.sample and self.beams > 1:
            raise TPError("sample and beams exclude each other: beams look for the most probable text")
        given = [name for name, default in _OF_SAMPLING.items() if getattr(self, name) != default]
        if given and not self.sample:
            raise TPError(f"only for sampling, which sample turns on: {', '.join(given)}")


_OF_SAMPLING = {"temperature": 1.0, "top_k": None, "top_p": 1.0, "seed": 0}


def generate(
    model: LoadedModel | str | os.PathLike[str],
    inputs: Iterable[Any],
    batch_size: int = 32,
    device: str = "auto",
    **options: Any,
) -> Iterator[dict[str, Any]]:
    """Write a text for each input: what follows it (causal models), or its counterpart (encoder-decoder models).

    Args:
        model: a loaded model, or its folder.
        inputs: texts, dictionaries of fields, or records.
        options: fields of :class:`GenerationOptions`.

    Yields:
        One dictionary per input, in order: ``text``, and ``finished``, whether the text ended by itself rather than
        at its longest length. Where the spec's ``data.on_bad_record`` is ``skip``, one that cannot be used has an
        empty text and an ``error``.

    Raises:
        TPError: the model cannot write, or the options contradict each other.
        DataError: a record has no text.
    """
    loaded = model if isinstance(model, LoadedModel) else load_model(model, device)
    _targets_of(loaded, None)
    processor, tokens = _processor_of(loaded)
    return _texts(loaded, processor, tokens, inputs, GenerationOptions(**options), batch_size)


def _texts(
    loaded: LoadedModel,
    processor: Processor,
    tokens: GenerationTokens,
    inputs: Iterable[Any],
    options: GenerationOptions,
    batch_size: int,
) -> Iterator[dict[str, Any]]:
    done = 0
    source = as_records(inputs)
    bad: dict[int, str] = {}
    report = bad_records(loaded, bad)
    batches = inference_batches(source, processor, batch_size, loaded.device, processor.prompts, report)
    for chunk, groups, made in batches:
        results: list[dict[str, Any]] = [{"text": "", "finished": True, "error": bad.get(n)} for n in range(len(chunk))]
        bad.clear()
        for group, batch in zip(groups, made):
            numbers = [done + index for index in group]
            texts = continuations(loaded, batch, tokens, options, numbers, [chunk[index] for index in group])
            for index, text in zip(group, texts):
                results[index] = {"text": processor.decode(text.ids), "finished": text.finished}
        yield from results
        done += len(chunk)


@torch.inference_mode()
def continuations(
    loaded: LoadedModel,
    batch: Batch,
    tokens: GenerationTokens,
    options: GenerationOptions,
    numbers: list[int],
    records: list[Record],
) -> list[Generated]:
    """What a model writes for the samples of a batch.

    Args:
        numbers: of the records among all, which are part of the seeds of sampling.
        records: to name in errors.

    Raises:
        DataError: a record leaves no room to write in.
        TPError: the model cannot write.
    """
    facts = loaded.spec.data.target_vocabulary or loaded.spec.data.vocabulary
    target = _targets_of(loaded, batch)[0]
    stepper = ModelStepper(loaded.model, target, batch, tokens, None if facts is None else facts.vocab_size)
    longest = context_of(loaded.spec, side="target").length_limit
    limits = []
    for length, record in zip(stepper.prompt_lengths, records):
        # The last token of a text needs no position: nothing is read after it.
        room = options.max_new_tokens if longest is None else min(options.max_new_tokens, longest - length + 1)
        if room < 1:
            message = f"{length} tokens leave no room to write: the model has {longest} positions"
            raise DataError(message, file=record.file, line=record.line)
        limits.append(room)
    if options.beams > 1:
        return beam_search(stepper, limits, tokens.end, options.beams, options.length_penalty)
    choose: Choice = most_probable
    if options.sample:
        seeds = [(options.seed, number) for number in numbers]
        choose = Sampling(seeds, options.temperature, options.top_k, options.top_p)
    return write(stepper, limits, tokens.end, choose)


def _processor_of(loaded: LoadedModel) -> tuple[Processor, GenerationTokens]:
    if loaded.processor is None:
        raise TPError("generation needs a model with a processor; this one's spec has none")
    if len(loaded.model.streams):
        names = ", ".join(loaded.spec.model.streams)
        raise TPError(f"generation needs a model with one input side; this one has the streams {names}")
    tokens = loaded.processor.generation()
    if loaded.model.decoder is not None and not tokens.start:
        processor = loaded.spec.data.processor
        name = "the processor" if processor is None else f"the processor '{processor.name}'"
        raise TPError(f"generation needs a start token for the model's decoder, and {name} names none")
    return loaded.processor, tokens


def _targets_of(loaded: LoadedModel, batch: Batch | None) -> list[Target]:
    """The targets that score a next token: of a batch, or of the whole model."""
    every = loaded.model.active(batch or Batch({}, 0))
    able = [target for target in every.values() if type(target).next_scores is not Target.next_scores]
    if not able:
        names = ", ".join(every) or "none"
        raise TPError(
            f"generation needs a target that scores a next token, such as lm; this model's are {names} (see tp predict)"
        )
    return able
