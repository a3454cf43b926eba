"""``generate`` writes texts with a trained model."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from tp_core.artifacts.load import LoadedModel, loaded_model
from tp_core.errors import TPError
from tp_core.evaluation.mode import evaluating
from tp_core.inference.batches import Unusable, answers
from tp_core.inference.logits_chain import Rules, rules_of
from tp_core.inference.logits_rules import Written
from tp_core.inference.predict import Inputs, as_records, skips
from tp_core.inference.prompts import prompt_room, text_limit
from tp_core.inference.search import Choice, Draw, Generated, beam_search, most_probable, write
from tp_core.inference.stepper import ModelStepper, rows_of
from tp_core.interfaces import Batch, GenerationTokens, Processor, PromptRoom, Record, Sample, Target
from tp_core.processes.shared import ALONE, Processes
from tp_core.spec.context import context_of
from tp_core.spec.sections.generate import GenerateOptions, ids_of
from tp_core.spec.trained.generate_call import for_call


def generate(
    model: LoadedModel | str | os.PathLike[str],
    inputs: Inputs,
    batch_size: int = 32,
    device: str = "auto",
    processes: Processes = ALONE,
    trust_code: bool = False,
    done: Callable[[int], None] = lambda _: None,
    **options: Any,
) -> Iterator[dict[str, Any]]:
    """Write a text for each input: its continuation (causal models) or its counterpart (encoder-decoder models).

    Args:
        model: a loaded model, or its folder.
        inputs: texts, dictionaries of fields, or records; or one of these.
        processes: share the inputs (:func:`tp_core.processes.shared.shared`); the first gets all texts, the others
            none. Without it, each process writes for all of its inputs.
        trust_code: run the Python files of the model's folder, where its modules are in such files.
        done: told of inputs that are done, how many they are, as batches are computed.
        options: of :class:`~tp_core.spec.sections.generate.GenerateOptions`; the others are as the spec's
            ``inference.generate`` says.

    Yields:
        One dictionary per input, in order: ``text``, and ``finished``, which is False if the text was cut at its
        maximum length. If the input was too long, ``truncated`` is the number of tokens that were cut from it. With the
        spec's ``data.on_bad_record: skip``, an unusable input has an empty text and an ``error``.

    Raises:
        TPError: the model cannot generate, or the options contradict each other.
        DataError: a record has no text, or leaves no room for new tokens.
    """
    loaded = loaded_model(model, device, processes, trust_code)
    _targets_of(loaded, None)
    chosen = for_call(loaded.spec.inference.generate, options)
    rows = context_of(loaded.spec, side="target").vocab_size
    for name, index in chosen.token_ids():
        if index >= rows:
            raise TPError(f"{name}: there is no token {index}; the model has {rows}")
    processor, tokens = _processor_of(loaded, chosen)
    room = prompt_room(chosen, _positions(loaded), loaded.model.decoder is not None)
    return _texts(loaded, processor, tokens, inputs, chosen, room, batch_size, processes, done)


def _texts(
    loaded: LoadedModel,
    processor: Processor,
    tokens: GenerationTokens,
    inputs: Inputs,
    options: GenerateOptions,
    room: PromptRoom,
    batch_size: int,
    processes: Processes,
    done: Callable[[int], None],
) -> Iterator[dict[str, Any]]:
    lost: dict[int, int] = {}  # ids of deleted records are reused, so this stays small
    causal = loaded.model.decoder is None

    def compute(batch: Batch, numbers: list[int], records: list[Record]) -> list[dict[str, Any]]:
        texts = continuations(loaded, batch, tokens, options, numbers, records)
        prompts = rows_of(batch.inputs) if causal and "input_ids" in batch.inputs else [None] * batch.size
        found = []
        for record, text, prompt in zip(records, texts, prompts, strict=True):
            found.append({"text": processor.decode(text.ids, prompt), "finished": text.finished})
            if cut := lost.get(id(record)):
                found[-1]["truncated"] = cut
        return found

    made = answers(
        as_records(inputs),
        loaded.feed,
        batch_size,
        loaded.device,
        compute,
        _prompts(loaded, processor, options, room, lost),
        skips(loaded),
        processes,
        done,
    )
    for _, found in made:
        for answer in found:
            if isinstance(answer, Unusable):
                yield {"text": "", "finished": True, "error": answer.error}
            else:
                yield answer


def _prompts(
    loaded: LoadedModel, processor: Processor, options: GenerateOptions, room: PromptRoom, lost: dict[int, int]
) -> Callable[[list[Record]], list[Sample]]:
    """The function that makes prompts of records.

    Args:
        lost: filled with the number of tokens cut from each prompt, by the identity of its record.
    """
    positions, causal = _positions(loaded), loaded.model.decoder is None

    def encode(records: list[Record]) -> list[Sample]:
        samples = processor.prompts(records, room)
        for record, sample in zip(records, samples):
            if causal and "input_ids" in sample:
                text_limit(options, len(sample["input_ids"]), positions, record)
            lost[id(record)] = sample.pop("truncated", 0)
        return samples

    return encode


def continuations(
    loaded: LoadedModel,
    batch: Batch,
    tokens: GenerationTokens,
    options: GenerateOptions,
    numbers: list[int],
    records: list[Record],
) -> list[Generated]:
    """The texts that a model generates for the samples of a batch.

    Args:
        numbers: positions of the records among all records; part of the seeds for sampling.
        records: the records, for error messages.

    Raises:
        DataError: a record leaves no room for new tokens.
        TPError: the model cannot generate, or an option does not fit it.
    """
    facts = loaded.spec.data.target_vocabulary or loaded.spec.data.vocabulary
    target, decoder = _targets_of(loaded, batch)[0], loaded.model.decoder is not None
    start, begin = _beginning(tokens, options, decoder)
    end = tuple(dict.fromkeys((*tokens.end, *options.ends())))
    known = None if facts is None else facts.vocab_size
    stepper = ModelStepper(loaded.model, target, batch, replace(tokens, start=start), known)
    positions = _positions(loaded)
    limits = [text_limit(options, n, positions, record) for n, record in zip(stepper.prompt_lengths, records)]
    inputs = rows_of(batch.inputs) if "input_ids" in batch.inputs else None
    chain = list(rules_of(options, end, begin, inputs, loaded.device))
    prompts = [start] * batch.size if decoder or inputs is None else inputs
    rules = Rules(chain, Written.of(prompts, limits, loaded.device)) if chain else None
    with evaluating(loaded.model):
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
    return [replace(text, ids=text.ids[len(begin) if decoder else 0 :]) for text in texts]


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


def _positions(loaded: LoadedModel) -> int | None:
    """Maximum number of positions of the generated side; None if there is no limit."""
    return context_of(loaded.spec, side="target").length_limit


def _processor_of(loaded: LoadedModel, options: GenerateOptions) -> tuple[Processor, GenerationTokens]:
    if loaded.processor is None:
        raise TPError("generation needs a model with a processor; this one's spec has none")
    if len(loaded.model.streams):
        names = ", ".join(loaded.spec.model.streams)
        raise TPError(f"generation needs a model with one input side; this one has the streams {names}")
    tokens, named = loaded.processor.generation(), options.decoder_start_token_id
    if loaded.model.decoder is not None:
        processor = loaded.spec.data.processor
        name = "the processor" if processor is None else f"the processor '{processor.name}'"
        if not tokens.start and named is None:
            raise TPError(f"generation needs a start token for the model's decoder, and {name} names none")
        if tokens.start and named not in (None, tokens.start[0]):
            raise TPError(f"decoder_start_token_id is {named}, but {name} starts the decoder with {tokens.start[0]}")
    elif named is not None:
        raise TPError(f"decoder_start_token_id is {named}, and the model has no decoder")
    return loaded.processor, tokens


def _targets_of(loaded: LoadedModel, batch: Batch | None) -> list[Target]:
    """The targets that score a next token, for a batch or for the whole model."""
    every = loaded.model.active(batch or Batch({}, 0))
    able = [target for target in every.values() if type(target).next_logits is not Target.next_logits]
    if not able:
        names = ", ".join(every) or "none"
        raise TPError(
            f"generation needs a target that scores a next token, such as lm; this model's are {names} (see tp predict)"
        )
    return able
