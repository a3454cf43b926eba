"""Hugging Face's generation_config.json and the spec's ``inference.generate``."""

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
from tp_core.interop.accounting import Account, IgnoredKeys, KeyRules, account
from tp_core.interop.generation_keys import MAPPED
from tp_core.interop.keys import Keys, Memory
from tp_core.model import meta_model
from tp_core.spec.schema import Spec, spec_dumper
from tp_core.spec.sections.generate import USUAL_LENGTH, GenerateOptions, ids_of
from tp_core.spec.tree.yaml_loader import parse_file

GENERATION_CONFIG = "generation_config.json"

#: The value that transformers samples with where a file asks for samples and does not say.
_USUAL_TOP_K = 50


@dataclass(frozen=True)
class Generation:
    """The options of generation that a Hugging Face folder gives.

    Attributes:
        options: as ``inference.generate`` of a spec; options at their usual value are left out.
        bos: the first token of a decoder's input where no ``decoder_start_token_id`` says otherwise.
        account: the verdicts on the keys.
    """

    options: dict[str, Any]
    bos: int | None
    account: Account


def read_generation(folder: Path, config: Keys, ignored: IgnoredKeys) -> Generation:
    """The generation options of generation_config.json; without that file, those of config.json, as transformers does.

    Args:
        config: its keys of generation are marked as read, since they have no effect beside a generation_config.json.

    Raises:
        TPError: the file is no JSON object, or a value is of a wrong kind.
    """
    config.mark(*(key for key in generation_keys.IN_CONFIG if key in config.memory.given))
    found = _read_from(folder, config.memory, ignored)
    if tasks := config.memory.given.get("task_specific_params"):
        said = f"{config.memory.file}: 'task_specific_params' is not kept; options of tp generate say the same"
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
    """The keys of a config.json that transformers makes a generation config of."""
    found = {key: value for key, value in given.items() if key in generation_keys.IN_CONFIG}
    if found.pop("force_bos_token_to_be_generated", False):
        found["forced_bos_token_id"] = given.get("bos_token_id")
    return found


def _read(content: Mapping[str, Any], file: str) -> Generation:
    keys = Keys(content, Memory(file, content))
    found = {ours: value for theirs, ours in MAPPED.items() if (value := keys.get(theirs)) is not None}
    # What says less than another key has no effect.
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
    """Add how texts are written to a converted model's spec.

    What the spec's processor says of a text's first and last tokens is left out: they follow the processor.

    Args:
        folder: of the Hugging Face model, for messages.
        file: the spec, whose last part is ``inference`` if it has that.

    Returns:
        Notes for the user.

    Raises:
        TPError: the model writes texts, and keys of the file cannot be converted.
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
    """The options without what follows from the processor, options that the processor has to have, and notes."""
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
        notes.append(f"'eos_token_id' is {list(ends)}; {named} ends texts at {', '.join(others)}, too")
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
    """Role → id, of the vocabulary that texts are written in."""
    facts = spec.data.target_vocabulary or spec.data.vocabulary
    return {} if facts is None else facts.special


def writes(spec: Spec) -> bool:
    """True if a model has a target that scores a next token."""
    kinds: list[Any] = [type(target) for target in meta_model(spec).targets.values()]
    return any(kind.next_logits is not Target.next_logits for kind in kinds)


def _tokens(spec: Spec) -> GenerationTokens | None:
    """The tokens with which the spec's processor begins and ends texts; None if it is not for generation."""
    if spec.data.processor is None:
        return None
    try:
        processor = build_processor(spec, build_tokenizer(spec), next(iter(spec.sets())))
        return None if processor is None else processor.generation()
    except TPError:
        return None


# -- the way back ----------------------------------------------------------------------------------------------------


def written_generation(spec: Spec, config: Mapping[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
    """The generation_config.json with which transformers writes what ``tp generate`` does, and notes for the user.

    None for a model that writes no texts.

    Args:
        config: the config.json that is written, whose special tokens count where the spec says nothing of them.
    """
    if not writes(spec):
        return None, []
    options, tokens = spec.inference.generate, _tokens(spec) or GenerationTokens()
    content = {key: value for key in generation_keys.SPECIAL if (value := config.get(key)) is not None}
    content |= dict(_special(spec, options, tokens))
    if "eos_token_id" in content:  # which is what transformers pads with where it has to guess
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
        content["top_k"] = options.top_k or 0  # unset, it would be 50
    notes = [f"{GENERATION_CONFIG}: '{name}' has no counterpart" for name in chosen if name not in theirs]
    if len(tokens.start) > 2:
        notes.append(f"{GENERATION_CONFIG}: of the first tokens of a text, only one can be forced")
    return content, notes


def _special(spec: Spec, options: GenerateOptions, tokens: GenerationTokens) -> Iterator[tuple[str, Any]]:
    """The tokens at the edges of a text."""
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
