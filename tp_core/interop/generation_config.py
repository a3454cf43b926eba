"""Conversion between Hugging Face's generation_config.json and the spec's ``inference.generate``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tp_core.data.build import build_processor, build_tokenizer
from tp_core.errors import TPError
from tp_core.files.bounded_reads import read_json
from tp_core.interfaces import GenerationTokens, Target
from tp_core.interop import generation_keys
from tp_core.interop.accounting import Account, KeyRules, account
from tp_core.interop.generation_keys import MAPPED
from tp_core.interop.ignored_keys import IgnoredKeys
from tp_core.interop.keys import Keys, Memory
from tp_core.model import meta_model
from tp_core.spec.schema import Spec, spec_dumper
from tp_core.spec.sections.generate import USUAL_LENGTH, GenerateOptions, ids_of
from tp_core.spec.tree.yaml_loader import parse_file

GENERATION_CONFIG = "generation_config.json"

#: The ``top_k`` that transformers uses if a file enables sampling without ``top_k``.
_USUAL_TOP_K = 50


@dataclass(frozen=True)
class Generation:
    """The generation options of a Hugging Face folder.

    Attributes:
        options: ``inference.generate`` of a spec, without options that have their default.
        bos: ``bos_token_id``, the first token of a decoder's input if there is no ``decoder_start_token_id``.
        account: the verdicts on the keys.
    """

    options: dict[str, Any]
    bos: int | None
    account: Account


def read_generation(folder: Path, config: Keys, ignored: IgnoredKeys) -> Generation:
    """The options in generation_config.json; without this file those in config.json, as in transformers.

    Args:
        folder: the Hugging Face folder.
        config: the content of config.json. Its generation keys are marked as read, because generation_config.json
            overrides them.
        ignored: keys that the user ignores.

    Raises:
        TPError: the file is not a JSON object, or a value has the wrong type.
    """
    config.mark(*(key for key in generation_keys.IN_CONFIG if key in config.memory.given))
    found = _read_from(folder, config.memory, ignored)
    if tasks := config.memory.given.get("task_specific_params"):
        said = f"{config.memory.file}: 'task_specific_params' is not kept; use options of tp generate instead"
        found.account.notes.append(f"{said} ({', '.join(tasks)})")
    return found


def _read_from(folder: Path, config: Memory, ignored: IgnoredKeys) -> Generation:
    file = folder / GENERATION_CONFIG
    if not file.is_file():
        return _read(_from_config(config.given), config.file)
    try:
        content = read_json(file)
    except (OSError, ValueError) as error:
        raise TPError(f"{GENERATION_CONFIG}: this is no JSON: {error}") from None
    if not isinstance(content, dict):
        raise TPError(f"{GENERATION_CONFIG}: expected a JSON object")
    return _read(ignored.without(content, GENERATION_CONFIG), GENERATION_CONFIG)


def _from_config(given: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a config.json from which transformers makes a generation config."""
    found = {key: value for key, value in given.items() if key in generation_keys.IN_CONFIG}
    if found.pop("force_bos_token_to_be_generated", False):
        found["forced_bos_token_id"] = given.get("bos_token_id")
    return found


def _read(content: Mapping[str, Any], file: str) -> Generation:
    keys = Keys(content, Memory(file, content))
    found = {ours: value for theirs, ours in MAPPED.items() if (value := keys.get(theirs)) is not None}
    # max_new_tokens overrides max_length, and min_new_tokens overrides min_length.
    for one, other in (("max_new_tokens", "max_length"), ("min_new_tokens", "min_length")):
        if one in found:
            found.pop(other, None)
    if not found.get("bad_words_ids"):
        found.pop("bad_words_ids", None)
    if found.get("sample") and "top_k" not in found:
        found["top_k"] = _USUAL_TOP_K
    bos = keys.get("bos_token_id")
    said = account(keys, KeyRules(required=generation_keys.NEUTRAL, irrelevant=generation_keys.IRRELEVANT))
    if found.get("sample") and found.get("beams", 1) > 1:
        said.refused["do_sample"] = (
            "'do_sample' is true, and 'num_beams' is above 1; only one of the two can be converted"
        )
        found.pop("sample")
    if not found.get("sample") and found.get("temperature") == 0:
        said.notes.append(f"{file}: 'temperature' is 0, which has no effect without 'do_sample'")
        found.pop("temperature")
    try:
        options = GenerateOptions(**found)
    except ValidationError as error:
        raise TPError(f"{file}: {'; '.join(_said(each, found) for each in error.errors())}") from None
    return Generation(options.model_dump(mode="json", exclude_defaults=True), bos, said)


def _said(error: Any, found: Mapping[str, Any]) -> str:
    place = error["loc"]
    if not place:
        return str(error["ctx"]["error"])
    theirs = next(theirs for theirs, ours in MAPPED.items() if ours == place[0])
    return f"'{theirs}' is {json.dumps(found[str(place[0])])}: {error['msg'].lower()}"


def write_generation(folder: Path, file: Path, spec: Spec, found: Generation) -> list[str]:
    """Add generation options to the spec of a converted model.

    The first and the last tokens of a text are left out if the spec's processor defines the same ones.

    Args:
        folder: the folder of the Hugging Face model, for messages.
        file: the spec; ``inference`` is its last part if it has one.
        spec: the loaded spec.
        found: the generation options of the Hugging Face folder.

    Returns:
        Notes for the user.

    Raises:
        TPError: the model generates texts, but keys of the file cannot be converted.
    """
    if not writes(spec):
        return []
    name = found.account.file
    try:
        found.account.check()
        options, start, notes = _beside_processor(spec, found)
    except TPError as error:
        raise TPError(f"{folder}: {error}") from None
    tree: Any = parse_file(file).plain()
    if options:
        tree.setdefault("inference", {})["generate"] = options
    if start and spec.data.processor is not None:
        tree["data"]["processor"][spec.data.processor.written] |= start
    file.write_text(yaml.dump(tree, Dumper=spec_dumper(), sort_keys=False, allow_unicode=True), encoding="utf-8")
    return [*found.account.notes, *(f"{name}: {note}" for note in notes)]


def _beside_processor(spec: Spec, found: Generation) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """The options that the processor does not define already, options to add to the processor, and notes."""
    options, notes, tokens, own = dict(found.options), list[str](), _tokens(spec), dict[str, Any]()
    start, forced = options.get("decoder_start_token_id"), options.get("forced_bos_token_id")
    if spec.model.decoder is None:
        options.pop("decoder_start_token_id", None)
    elif start is None and found.bos is not None:
        start = options["decoder_start_token_id"] = found.bos
    if tokens is None or spec.data.processor is None:
        return options, own, notes
    named = f"the processor '{spec.data.processor.name}'"
    ends = ids_of(options.pop("eos_token_id", None))
    if further := [index for index in ends if index not in tokens.end]:
        options["eos_token_id"] = further
    if ends and (others := [str(index) for index in tokens.end if index not in ends]):
        notes.append(f"'eos_token_id' is {list(ends)}; {named} also ends texts at {', '.join(others)}")
    if spec.model.decoder is not None and tokens.start:
        if start not in (None, tokens.start[0]):
            own = dict(spec.data.processor.config.starting_with(start, _special_tokens(spec)))
            if not own:
                raise TPError(
                    f"{found.account.file}: 'decoder_start_token_id' is {start}, but {named} starts the decoder with "
                    f"{tokens.start[0]}; --ignore-key decoder_start_token_id leaves it to the processor"
                )
        options.pop("decoder_start_token_id", None)
        if forced is not None and tokens.start[1:] == (forced,):
            options.pop("forced_bos_token_id")
        elif forced is None and tokens.start[1:]:
            options["forced_bos_token_id"] = "none"
    return options, own, notes


def _special_tokens(spec: Spec) -> Mapping[str, int]:
    """Role → id in the vocabulary of generated texts."""
    facts = spec.data.target_vocabulary or spec.data.vocabulary
    return {} if facts is None else facts.special


def writes(spec: Spec) -> bool:
    """True if the model generates texts: one of its targets computes logits of the next token."""
    kinds: list[Any] = [type(target) for target in meta_model(spec).targets.values()]
    return any(kind.next_logits is not Target.next_logits for kind in kinds)


def _tokens(spec: Spec) -> GenerationTokens | None:
    """The tokens with which the spec's processor begins and ends texts; None if it does not support generation."""
    if spec.data.processor is None:
        return None
    try:
        processor = build_processor(spec, build_tokenizer(spec), next(iter(spec.sets())))
        return None if processor is None else processor.generation()
    except TPError:
        return None


# -- from a spec to generation_config.json ---------------------------------------------------------------------------


def written_generation(spec: Spec, config: Mapping[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
    """The generation_config.json with which transformers generates like ``tp generate``, and notes for the user.

    It is None for a model that does not generate texts.

    Args:
        spec: the spec.
        config: the content of config.json; its special tokens are used if the spec does not define them.
    """
    if not writes(spec):
        return None, []
    options, tokens = spec.inference.generate, _tokens(spec) or GenerationTokens()
    content = {key: value for key in generation_keys.SPECIAL if (value := config.get(key)) is not None}
    content |= dict(_special(spec, options, tokens))
    if "eos_token_id" in content:  # transformers pads with this token by default
        content.setdefault("pad_token_id", next(iter(ids_of(content["eos_token_id"]))))
    theirs = {ours: theirs for theirs, ours in MAPPED.items()}
    chosen = options.model_dump(mode="json", exclude_defaults=True)
    if options.forced_bos_token_id == "none":
        content.pop("forced_bos_token_id", None)
        chosen.pop("forced_bos_token_id")
    content |= {theirs[name]: value for name, value in chosen.items() if name in theirs and theirs[name] not in content}
    if options.max_length is None:
        content["max_new_tokens"] = options.max_new_tokens or USUAL_LENGTH
    if options.sample:
        content["top_k"] = options.top_k or 0  # transformers' default would be 50
    notes = [f"{GENERATION_CONFIG}: '{name}' has no counterpart" for name in chosen if name not in theirs]
    if len(tokens.start) > 2:
        notes.append(f"{GENERATION_CONFIG}: only one token can be forced at the beginning of a text")
    return content, notes


def _special(spec: Spec, options: GenerateOptions, tokens: GenerationTokens) -> Iterator[tuple[str, Any]]:
    """Yield the keys of the special tokens that begin, end and pad a text."""
    special = _special_tokens(spec)
    ends = list(dict.fromkeys((*tokens.end, *options.ends())))
    if ends:
        yield "eos_token_id", ends[0] if len(ends) == 1 else ends
    for role in ("bos", "pad"):
        if role in special:
            yield f"{role}_token_id", special[role]
    if spec.model.decoder is None:
        return
    if tokens.start:
        yield "decoder_start_token_id", tokens.start[0]
    if options.forced_bos_token_id is None and tokens.start[1:]:
        yield "forced_bos_token_id", tokens.start[1]
