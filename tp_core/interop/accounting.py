"""Every key of a file is accounted for: mapped, required to have a value, or irrelevant. Torch-free.

A key is mapped when the conversion read it (:class:`tp_core.interop.keys.Keys`). Of the others, those that change
nothing are named by the converter or by :mod:`tp_core.interop.known_keys`; whatever remains is a refusal.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tp_core.errors import TPError
from tp_core.interop import known_keys
from tp_core.interop.keys import Keys
from tp_core.suggest import did_you_mean

if TYPE_CHECKING:
    from tp_core.options.converter import ConverterConfig
    from tp_core.options.huggingface import PreprocessorFile

_OPTION = "--ignore-key"


class KeyRules(NamedTuple):
    """Rules for the keys that a conversion does not read; a key inside an object is written ``object.key``.

    Attributes:
        defaults: the values that transformers takes for keys that are left out.
        required: the values that a key may have, transformers' default first; also for keys that are read.
        irrelevant: keys that never change what a model computes.
        training_only: keys that only change training → transformers' default.
        generation_only: keys that only change which tokens are generated → transformers' default.
        remarks: keys that call for a note to the user → the note.
        labelled: True for files that may name classes.
        foreign: keys that only the converter knows; no file of transformers has them.
    """

    defaults: Mapping[str, Any] = {}
    required: Mapping[str, tuple[Any, ...]] = {}
    irrelevant: Collection[str] = ()
    training_only: Mapping[str, Any] = {}
    generation_only: Mapping[str, Any] = {}
    remarks: Mapping[str, str] = {}
    labelled: bool = False
    foreign: Collection[str] = ()


def rules_of(converter: ConverterConfig, architecture: str) -> KeyRules:
    """The rules of a converter for one architecture, with those that hold for every config.json."""
    heads = converter.architectures[architecture]
    others = {key for head, keys in converter.head_keys.items() if head not in heads for key in keys}
    others -= {key for head, keys in converter.head_keys.items() if head in heads for key in keys}
    own = {*converter.irrelevant, *others}
    required = {key: values for key, values in known_keys.REQUIRED.items() if key not in own}
    if not heads:
        required.pop("problem_type", None)
        own.add("problem_type")
    generation = {k: converter.defaults.get(k, value) for k, value in known_keys.GENERATION.items()}
    return KeyRules(
        converter.defaults,
        {**required, **converter.required},
        (known_keys.IRRELEVANT | own) - converter.required.keys(),
        converter.training_only,
        generation,
        known_keys.REMARKS,
        labelled=True,
        foreign=converter.unwritten,
    )


def preprocessor_rules(processor: PreprocessorFile) -> KeyRules:
    """The rules of a processor for the keys of a preprocessor_config.json."""
    irrelevant = known_keys.PREPROCESSOR_IRRELEVANT | processor.irrelevant_keys
    return KeyRules(required=processor.required_keys, irrelevant=irrelevant - processor.required_keys.keys())


class RefusedKeysError(TPError):
    """Keys that a conversion would leave out, and that change what it makes."""


class Verdict(NamedTuple):
    """The verdict on one key.

    Attributes:
        kind: a key is mapped, at a default, irrelevant, worth a note, or refused.
        reason: the sentence for the user, of a note or a refusal.
    """

    kind: Literal["mapped", "default", "irrelevant", "training", "generation", "remark", "refused"]
    reason: str = ""


@dataclass
class Account:
    """The verdicts on all keys of a file, with the messages for the user.

    Attributes:
        refused: path → the sentence for the user.
        notes: sentences for the user on keys that are not refused.
        spelled: path → the key as the file spells it.
        verdicts: path → the verdict on the key, for all keys.
    """

    file: str
    refused: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    spelled: Mapping[str, str] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)

    def check(self, *more: str) -> None:
        """Raise where keys are refused.

        Args:
            more: further reasons, in sentences.

        Raises:
            RefusedKeysError: one message for all of them.
        """
        if not self.refused:
            return
        lines = "\n".join(f"  {line}" for line in (*self.refused.values(), *more))
        raise RefusedKeysError(
            f"{self.file}: not all keys can be converted:\n{lines}\n"
            f"{_OPTION} KEY goes on without a key, as if it were not there"
        )


def account(keys: Keys, rules: KeyRules) -> Account:
    """Look at every key of a file after the conversion has read those that it knows.

    Args:
        keys: of the whole file.
        rules: of the keys that it does not read.
    """
    memory = keys.memory
    found, later = Account(memory.file, spelled=memory.spelled), {"training": list[str](), "generation": list[str]()}
    for path, value in _leaves(keys):
        verdict = found.verdicts[path] = _verdict(path, value, keys, rules)
        shown = f"'{_spelled(path, keys)}' {verdict.reason}"
        if verdict.kind == "refused":
            found.refused[path] = shown
        elif verdict.kind in later:
            later[verdict.kind].append(shown)
        elif verdict.kind == "remark":
            found.notes.append(f"{memory.file}: {shown}")
    for kind, shown_ones in later.items():
        if shown_ones:
            what = "training" if kind == "training" else "which tokens are generated"
            found.notes.append(f"{memory.file}: not kept, since only {what} depends on it: {', '.join(shown_ones)}")
    if found.refused and memory.copied:
        hint = "(What is read from a plain copy of the keys does not count; {**keys, ...} is written keys | {...}.)"
        last = next(reversed(found.refused))
        found.refused[last] += f"\n  {hint}"
    return found


def violations(keys: Keys, rules: KeyRules) -> Account:
    """The keys that do not have the values that are required, whatever has been read."""
    found = Account(keys.memory.file)
    for path, value in _leaves(keys):
        verdict = _verdict(path, value, keys, rules)
        if verdict.kind == "refused" and any(each in rules.required for each in (path, path.rpartition(".")[2])):
            found.refused[path] = f"'{_spelled(path, keys)}' {verdict.reason}"
    return found


def _leaves(keys: Keys) -> Iterator[tuple[str, Any]]:
    """The paths and values of a file: of an object that was read, what is in it."""

    def inside(values: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
        for key, value in values.items():
            here = f"{path}{key}"
            opened = isinstance(value, dict) and here in keys.memory.read and here not in keys.memory.whole
            yield here, value
            if opened:
                yield from inside(value, f"{here}.")

    yield from inside(keys.memory.given, "")


def _spelled(path: str, keys: Keys) -> str:
    return keys.memory.spelled.get(path, path)


def _verdict(path: str, value: Any, keys: Keys, rules: KeyRules) -> Verdict:
    # The parts of models of several modalities have a config each, with the keys that any config has.
    *parents, name = path.split(".")
    common = all(parent.endswith("_config") or parent in known_keys.PARTS for parent in parents)
    names = (path, name) if common else (path,)

    def of(table: Mapping[str, Any]) -> str | None:
        return next((each for each in names if each in table), None)

    if path in rules.foreign:
        return Verdict("refused", f"is {shown(value)}; transformers has no such key")
    known = of(rules.required)
    if known is not None:
        allowed = rules.required[known]
        off = value is None and not any(allowed)  # as good as false
        if not off and not any(_same(value, each) for each in allowed):
            return Verdict("refused", _required(name, value, allowed))
        return Verdict("mapped" if path in keys.memory.read else "default")
    if path in keys.memory.idle:
        return Verdict("irrelevant")
    if path in keys.memory.read:
        return Verdict("mapped")
    if any(each in rules.irrelevant for each in names):
        return Verdict("irrelevant")
    if rules.labelled and common and name in known_keys.LABELS:
        return _labels(path, value, keys)
    if of(rules.remarks) is not None:
        return Verdict("default") if not value else Verdict("remark", rules.remarks[name])
    kind: Literal["training", "generation"]
    for table, kind in ((rules.training_only, "training"), (rules.generation_only, "generation")):
        entry = of(table)
        if entry is not None:
            same = _same(value, table[entry])
            return Verdict("default") if same else Verdict(kind, f"is {shown(value)}")
    default = _default(rules.defaults, path)
    if default is not _UNKNOWN:
        return Verdict("default") if _same(value, default) else Verdict("refused", f"is {shown(value)}")
    return Verdict("default") if value is None else Verdict("refused", f"is {shown(value)}")


_UNKNOWN = object()


def _default(defaults: Mapping[str, Any], path: str) -> Any:
    found: Any = defaults
    for name in path.split("."):
        if not isinstance(found, Mapping) or name not in found:
            return _UNKNOWN
        found = found[name]
    return found


def _required(name: str, value: Any, allowed: tuple[Any, ...]) -> str:
    accepted = " or ".join(shown(each) for each in allowed)
    reason = known_keys.REASONS.get(name)
    why = f" ({reason})" if reason else ""
    return f"is {shown(value)}; only {accepted} can be converted{why}"


def _labels(path: str, value: Any, keys: Keys) -> Verdict:
    """Names of classes that the architecture does not have, or their number beside the names."""
    if value is None:
        return Verdict("default")
    if isinstance(value, dict):
        numbered = all(str(name).startswith("LABEL_") for name in value.values())
        return Verdict("irrelevant") if numbered else Verdict("remark", "names classes, and the model has none")
    table = keys.memory.given.get("id2label")
    if isinstance(table, dict) and len(table) != value and "id2label" in keys.memory.read:
        return Verdict("refused", f"is {shown(value)}, and id2label has {len(table)} names")
    return Verdict("irrelevant")


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)


def shown(value: Any, limit: int = 100) -> str:
    """A value as JSON, not too long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


# -- keys that the user leaves out -----------------------------------------------------------------------------------


class IgnoredKeys:
    """The keys that the user asks to leave out, of whichever file has them.

    Args:
        asked: keys, or paths such as ``text_config.hidden_act``.
    """

    def __init__(self, asked: Iterable[str] = ()) -> None:
        self.asked = tuple(dict.fromkeys(asked))
        self.notes: list[str] = []
        self._found: set[str] = set()
        self._seen: dict[str, None] = {}

    def without(self, content: Mapping[str, Any], file: str) -> dict[str, Any]:
        """A file's content without those of its keys that are asked for; a note is kept for each."""

        def left(values: Mapping[str, Any], path: str) -> dict[str, Any]:
            found: dict[str, Any] = {}
            for key, value in values.items():
                here = f"{path}{key}"
                self._seen[here] = None
                if here in self.asked:
                    self._found.add(here)
                    self.notes.append(f"{file}: '{here}' is {shown(value)}, and is ignored as you asked")
                else:
                    found[key] = left(value, f"{here}.") if isinstance(value, dict) else value
            return found

        return left(content, "")

    def nearly(self, account: Account) -> list[str]:
        """Sentences on keys that were not found, and that are like ones of a file that are refused."""
        missed = {key: did_you_mean(key, account.refused) for key in self.asked if key not in self._found}
        return [f"{_OPTION} {key} is no key of {account.file}; {near}" for key, near in missed.items() if near]

    def check(self) -> None:
        """See that every key was found.

        Raises:
            TPError: a key that is in none of the files; with the nearest one.
        """
        for key in self.asked:
            if key not in self._found:
                near = did_you_mean(key, self._seen)
                raise TPError(f"{_OPTION} {key}: no file that is read has this key{f'; {near}' if near else ''}")
