"""The options of one call of ``generate``, merged from the spec and the call. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tp_core.errors import TPError
from tp_core.spec.choices.validate import validate
from tp_core.spec.errors import Problems
from tp_core.spec.sections.generate import EITHER, OF_BEAMS, OF_SAMPLING, GenerateOptions, ids_of
from tp_core.spec.tree.given import tree
from tp_core.spec.tree.nodes import Node, Origin


def for_call(usual: GenerateOptions, given: Mapping[str, Any]) -> GenerateOptions:
    """The options of one call: the given ones, and the defaults from the spec for the others.

    Defaults that contradict the call are dropped: beams if the call asks for sampling, ``max_length`` if it gives
    ``max_new_tokens`` or a greater ``min_length``, a forced token that the call suppresses. Options without an effect
    are an error only if the call gives them.

    Raises:
        TPError: an option is unknown, has a wrong value, or contradicts another one.
    """
    own = _checked(given)
    kept = usual.model_dump(exclude_defaults=True)
    for pair in EITHER:
        if any(given.get(name) is not None for name in pair):
            kept = {name: value for name, value in kept.items() if name not in pair}
    if own.sample:
        kept.pop("beams", None)
    if own.beams > 1:
        kept.pop("sample", None)
    found = GenerateOptions().model_copy(update={**kept, **{name: getattr(own, name) for name in given}})
    found = found.model_copy(update=dict(_giving_way(found, given)))
    for turns_on, needless, names, what in (
        ("sample", not found.sample, OF_SAMPLING, "sampling"),
        ("beams", found.beams == 1, OF_BEAMS, "beam search"),
    ):
        idle = [name for name in names if name in given and getattr(own, name) != getattr(GenerateOptions(), name)]
        if needless and idle:
            raise TPError(f"only for {what}, which {turns_on} turns on: {', '.join(idle)}")
    return found


def _giving_way(found: GenerateOptions, given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Defaults that contradict the options of a call, with the values to use instead."""
    for least, most in (("min_new_tokens", "max_new_tokens"), ("min_length", "max_length")):
        limit = getattr(found, most)
        if limit is not None and getattr(found, least) > limit:
            yield (most, None) if least in given else (least, limit)
    allowed = list(found.suppress_tokens or ())
    for name in ("forced_bos_token_id", "forced_eos_token_id"):
        forced = ids_of(getattr(found, name) if getattr(found, name) != "none" else None)
        if forced and set(forced) <= set(allowed):
            if name in given:
                allowed = [index for index in allowed if index not in forced]
                yield "suppress_tokens", allowed
            else:
                yield name, None


def _checked(given: Mapping[str, Any]) -> GenerateOptions:
    problems, at = Problems(), Node({}, Origin("generate"))
    nodes = {name: tree(value, name, problems) for name, value in given.items()}
    found = None if problems else validate(GenerateOptions, "", nodes, at, problems)
    if found is not None and not problems:
        return found
    raise TPError("; ".join(_said(problem.path.removeprefix("."), problem.message) for problem in problems))


def _said(name: str, message: str) -> str:
    if not name or message.startswith("unknown"):
        return message
    return f"{name} {message}" if message.startswith("must") else f"{name}: {message}"
