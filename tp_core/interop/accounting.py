"""The check that a conversion handles every key of a JSON file. Torch-free.

A key is mapped if the conversion reads it (:class:`tp_core.interop.keys.Keys`). The converter and
:mod:`tp_core.interop.known_keys` list other keys: those that do not change the model, and those that must have certain
values. Any other key is refused.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tp_core.errors import TPError
from tp_core.interop import known_keys
from tp_core.interop.keys import Keys

if TYPE_CHECKING:
    from tp_core.options.converter import ConverterConfig
    from tp_core.options.huggingface import PreprocessorFile

_OPTION = "--ignore-key"


class KeyRules(NamedTuple):
    """Rules for the keys that a conversion does not read; a key inside an object is written ``object.key``.

    Attributes:
        defaults: the values that transformers uses for missing keys.
        required: key → the allowed values, transformers' default first; these also apply to keys that are read.
        irrelevant: keys that never change what a model computes.
        training_only: keys that only change training → transformers' default.
        generation_only: keys that only change which tokens are generated → transformers' default.
        remarks: key → the note that the user gets if the key has a value.
        labelled: True for files that may have names of classes.
        foreign: keys that only the converter uses; transformers does not have them.
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
    """The rules of a converter for one architecture, combined with the rules for every config.json."""
    heads = converter.architectures[architecture]
    others = {key for head, keys in converter.head_keys.items() if head not in heads for key in keys}
    others -= {key for head, keys in converter.head_keys.items() if head in heads for key in keys}
    own = {*converter.irrelevant, *others}
    required = {key: values for key, values in known_keys.REQUIRED.items() if key not in own}
    if not heads:
        required.pop("problem_type", None)
        own.add("problem_type")
    if any(head in converter.head_variants for head in heads):
        required.pop("problem_type", None)  # the converter reads it
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
    """The rules of a processor for the keys of its preprocessor_config.json."""
    irrelevant = known_keys.PREPROCESSOR_IRRELEVANT | processor.irrelevant_keys
    return KeyRules(required=processor.required_keys, irrelevant=irrelevant - processor.required_keys.keys())


class RefusedKeysError(TPError):
    """The error for keys that a conversion cannot represent although they change the result."""


class Verdict(NamedTuple):
    """The verdict on one key.

    Attributes:
        kind: ``mapped``: read or required; ``default``: has the default value; ``irrelevant``: never changes the
            model; ``training`` or ``generation``: only changes these; ``remark``: the user gets a note; ``refused``.
        reason: the text for the user, without the key; empty if there is none.
    """

    kind: Literal["mapped", "default", "irrelevant", "training", "generation", "remark", "refused"]
    reason: str = ""


@dataclass
class Account:
    """The verdicts on all keys of a file, with the messages for the user.

    Attributes:
        file: name of the file.
        refused: path → the message for the user.
        notes: messages for the user about keys that are not refused.
        spelled: path → the name of the key in the file, which may be an alias.
        verdicts: path → the verdict on the key, for all keys.
    """

    file: str
    refused: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    spelled: Mapping[str, str] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)

    def check(self, *more: str) -> None:
        """Raise an error if keys are refused.

        Args:
            more: further lines of the message.

        Raises:
            RefusedKeysError: keys are refused; one message lists all of them.
        """
        if not self.refused:
            return
        lines = "\n".join(f"  {line}" for line in (*self.refused.values(), *more))
        raise RefusedKeysError(
            f"{self.file}: not all keys can be converted:\n{lines}\n"
            f"{_OPTION} KEY ignores a key, as if the file did not have it"
        )


def account(keys: Keys, rules: KeyRules) -> Account:
    """The verdicts on all keys of a file, after the conversion has read the keys that it supports.

    Args:
        keys: the keys of the whole file.
        rules: the rules for keys that the conversion does not read.
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
        hint = "(Reading a key from a plain copy is not recorded; write keys | {...} instead of {**keys, ...}.)"
        last = next(reversed(found.refused))
        found.refused[last] += f"\n  {hint}"
    return found


def violations(keys: Keys, rules: KeyRules) -> Account:
    """The keys with a value that ``rules.required`` does not allow, whether or not they were read."""
    found = Account(keys.memory.file)
    for path, value in _leaves(keys):
        verdict = _verdict(path, value, keys, rules)
        if verdict.kind == "refused" and any(each in rules.required for each in (path, path.rpartition(".")[2])):
            found.refused[path] = f"'{_spelled(path, keys)}' {verdict.reason}"
    return found


def _leaves(keys: Keys) -> Iterator[tuple[str, Any]]:
    """Yield the paths and values of all keys, including the keys inside objects that were opened but not read whole."""

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
    # Each part of a multimodal model has its own config, with the same common keys.
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
        off = value is None and not any(allowed)  # null is equivalent to false
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
    """The verdict on names of classes that the architecture does not use, or on the number of classes."""
    if value is None:
        return Verdict("default")
    if isinstance(value, dict):
        numbered = all(str(name).startswith("LABEL_") for name in value.values())
        return Verdict("irrelevant") if numbered else Verdict("remark", "names classes, but the model has none")
    table = keys.memory.given.get("id2label")
    if isinstance(table, dict) and len(table) != value and "id2label" in keys.memory.read:
        return Verdict("refused", f"is {shown(value)}, but id2label has {len(table)} names")
    return Verdict("irrelevant")


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)


def shown(value: Any, limit: int = 100) -> str:
    """A value as JSON, truncated to a maximum length."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


# -- keys that the user ignores --------------------------------------------------------------------------------------
