"""Options that differ between a checkpoint and the spec that resumes it: which are allowed to change."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from pydantic import BaseModel

from tp_core.errors import TPError
from tp_core.options.choice import Chosen
from tp_core.options.marks import paths_in
from tp_core.spec.schema import Spec
from tp_core.spec.sections.data import DataOptions
from tp_core.spec.sections.train import EarlyStopping, TrainOptions
from tp_core.spec.trained.portable import dump_by_names, replaced
from tp_core.suggest import did_you_mean
from tp_core.training.resuming.rules import ALLOWED, EVALUATION, FREE, NEVER, rule_of

Plain = dict[str, Any]


class Change(NamedTuple):
    """An option with its old and new plain values; None is unset.

    Attributes:
        option: path of the option, such as ``train.optimizer.adamw.lr``.
    """

    option: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.option} (was {_brief(self.old)}, is {_brief(self.new)})"


def differences(before: Any, now: Any, path: str = "") -> list[Change]:
    """The options that differ between two dumped specs. A module with another name is a single difference."""
    if before == now:
        return []
    if _modules(before) and _modules(before) == _modules(now):  # report options by module name, not by list index
        pairs = zip(_modules(before), before, now, strict=True)
        return [change for name, was, is_ in pairs for change in differences(was[name], is_[name], f"{path}.{name}")]
    if isinstance(before, dict) and isinstance(now, dict) and (not path or before.keys() & now.keys()):
        keys = [*before, *(key for key in now if key not in before)]
        inner = ((f"{path}.{key}" if path else key, before.get(key), now.get(key)) for key in keys)
        return [change for below, was, is_ in inner for change in differences(was, is_, below)]
    return [Change(path, before, now)]


def _modules(value: Any) -> list[str]:
    """The names in a list of modules with options; empty for any other value."""
    listed = isinstance(value, list) and all(isinstance(item, dict) and len(item) == 1 for item in value)
    return [next(iter(item)) for item in value] if listed else []


def _brief(value: Any) -> str:
    """An option's value in short; for a module with options, its name."""
    if isinstance(value, dict):
        return ", ".join(value) or "none"
    if isinstance(value, list):
        return f"[{', '.join(_brief(item) for item in value)}]"
    return "unset" if value is None else str(value)


def kind_of(option: str, *specs: Plain) -> str:
    """``FREE``, ``ALLOWED`` or ``NEVER``. Options of evaluations are free unless early stopping depends on them."""
    kind = rule_of(option).kind
    if kind != EVALUATION:
        return kind
    watched = any(spec.get("train", {}).get("early_stopping") is not None for spec in specs)
    return ALLOWED if watched else FREE


def compared(spec: Spec) -> Plain:
    """A dumped spec after a JSON round trip, without hooks that only observe."""
    hooks = tuple(each for each in spec.train.hooks if not each.config.observes)
    return in_order(json.loads(json.dumps(dump_by_names(replace(spec, train=spec.train._replace(hooks=hooks))))))


def in_order(plain: Plain) -> Plain:
    """A dumped spec with its data sets as a list, like modules, since their order counts."""
    data = plain.get("data", {})
    if not isinstance(data.get("sets"), dict):
        return plain
    return {**plain, "data": {**data, "sets": [{name: own} for name, own in data["sets"].items()]}}


def path_options(spec: Spec) -> set[str]:
    """The options of a spec's modules that name files. Files are compared by content, not by path."""
    return {each.option for each in differences(compared(spec), compared(replaced(spec, _without_paths)))}


def _without_paths(chosen: Chosen[Any]) -> Chosen[Any]:
    changed = {option.partition(".")[0]: "a file" for option in paths_in(chosen.config)}
    return replace(chosen, config=chosen.config.model_copy(update=changed))


def checked_changes(
    now: Plain, checkpoint: Plain, newest: Plain | None, allowed: Sequence[str], moved: Collection[str] = ()
) -> list[Change]:
    """The changed options that make a resumed run compute differently than before.

    Args:
        now: the current dumped spec.
        checkpoint: the dumped spec of the checkpoint.
        newest: the dumped spec of the run's newest start, whose changes the user has allowed.
        allowed: options that the user allows to change, by the ends or parts of their paths.
        moved: options that name a file, which may have moved.

    Raises:
        TPError: an option changed that cannot change, or that the user did not allow to change.
    """
    known = _known(now, checkpoint)
    for key in allowed:
        _check_key(key, known)
    found = [
        each
        for each in differences(checkpoint, now)
        if kind_of(each.option, checkpoint, now) != FREE
        and not (each.option in moved and each.old is not None and each.new is not None)
    ]
    since = [each.option for each in differences(newest, now)] if newest is not None else None
    never = [each for each in found if kind_of(each.option, checkpoint, now) == NEVER]
    asked = [
        each
        for each in found
        if each not in never
        and not any(_fits(key, each.option) for key in allowed)
        and (since is None or any(_overlap(each.option, option) for option in since))
    ]
    if never or asked:
        raise TPError("\n".join(_refusal(never, asked, known)))
    return found


def without_effect(now: Plain, newest: Plain | None) -> list[Change]:
    """The changes since the newest start that have no effect, although they may seem to have one."""
    found = differences(newest, now) if newest is not None else []
    return [each for each in found if kind_of(each.option, now) == FREE and rule_of(each.option).note]


def check_keys(now: Plain, allowed: Sequence[str]) -> None:
    """Refuse keys that do not name an option, or that name one that can never change.

    Raises:
        TPError: the message gives the nearest option, or the reason.
    """
    for key in allowed:
        _check_key(key, _known(now))


def _refusal(never: list[Change], asked: list[Change], known: Iterable[str]) -> Iterator[str]:
    yield "the spec differs from that of the checkpoint"
    for each in never:
        yield f"  cannot change on --resume: {each}: {rule_of(each.option).note}"
    if never:
        yield "  (start another run with --run DIR, and init_from for its weights)"
    for each in asked:
        yield f"  cannot change on --resume unless you allow it: {each}: {rule_of(each.option).note}"
    if asked:
        keys = ",".join(dict.fromkeys(_short(each.option, known) for each in asked))
        yield f"  (--allow-change {keys}; the result is then no longer that of one uninterrupted run)"


def _known(*specs: Plain) -> list[str]:
    """The paths of all options, set or unset, and of the modules that have them."""
    fields: dict[str, type[BaseModel]]
    fields = {"train": TrainOptions, "train.early_stopping": EarlyStopping, "data": DataOptions}
    unset = (f"{section}.{name}" for section, options in fields.items() for name in options.model_fields)
    return list(
        dict.fromkeys([*(path for spec in specs for path in _paths(spec)), *unset, "train.hooks", "train.loggers"])
    )


def _paths(value: Any, path: str = "") -> Iterator[str]:
    if path:
        yield path
    items: Mapping[str, Any] = value if isinstance(value, dict) else {}
    if _modules(value):
        items = {name: each for item in value for name, each in item.items()}
    for key, each in items.items():
        yield from _paths(each, f"{path}.{key}" if path else key)


def _fits(key: str, option: str) -> bool:
    """True if a key names an option: its parts occur in the option's path, in order."""
    parts = iter(option.split("."))
    return all(part in parts for part in key.split("."))


def _overlap(one: str, other: str) -> bool:
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def _check_key(key: str, known: Sequence[str]) -> None:
    named = [option for option in known if _fits(key, option)]
    if not named:
        candidates = {name for option in known for name in (option.rpartition(".")[2], option)}
        changing = dict.fromkeys(o.rpartition(".")[2] for o in known if rule_of_section(o) == ALLOWED)
        hint = did_you_mean(key, sorted(candidates)) or f"options that it may name: {', '.join(changing)}"
        raise TPError(f"--allow-change {key}: the spec has no such option; {hint}")
    if all(rule_of_section(option) == NEVER for option in named):
        note = rule_of(named[0]).note
        raise TPError(f"--allow-change {key}: {named[0]} cannot change on --resume: {note}; start another run")


def rule_of_section(option: str) -> str:
    """The kind of rule for an option, or for a section of the spec whose options may change."""
    try:
        return rule_of(option).kind
    except KeyError:
        return FREE


def _short(option: str, known: Iterable[str]) -> str:
    """The shortest key that names an option and no other option that may change."""
    last = option.rpartition(".")[2]
    others = (each for each in known if _fits(last, each) and not _overlap(option, each))
    return option if any(rule_of_section(each) in (ALLOWED, EVALUATION) for each in others) else last
