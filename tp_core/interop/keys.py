"""JSON objects that record which of their keys were read. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tp_core.errors import TPError

#: Objects that are tables and not options; reading one counts as reading all its keys.
_TABLES = frozenset({"id2label", "label2id"})


#: Exceptions that a converter may raise for a value of an unexpected type.
MISFITS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class MissingKeyError(TPError, KeyError):
    """The error for a key that the conversion needs but the file does not have."""

    def __str__(self) -> str:
        return str(self.args[0])


class _Listed(str):
    """A key from an iteration over all keys; looking up its value is not recorded."""


@dataclass
class Memory:
    """The keys of one file, and a record of those that were read.

    Attributes:
        file: name of the file, for messages.
        given: content of the file, with aliases of keys resolved.
        spelled: key → its name in the file, which may be an alias.
        read: paths of values that were read; the keys of a path are separated by dots.
        whole: paths of objects that were read as a whole.
        idle: paths of keys that have no effect.
        copied: True if code has iterated over all keys.
    """

    file: str = "config.json"
    given: Mapping[str, Any] = field(default_factory=dict)
    spelled: Mapping[str, str] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)
    whole: set[str] = field(default_factory=set)
    idle: set[str] = field(default_factory=set)
    copied: bool = False


class Keys(dict[str, Any]):
    """A JSON object, or an object inside one, that records which of its keys are read.

    ``keys | {...}`` replaces the values of some keys and shares the record. An iteration over all keys, as in
    ``{**keys}``, does not count as reading, and reads from such a copy are not recorded.

    Args:
        values: the object.
        memory: the record of the file; a new one if None.
        path: path of the object in the file, with a dot at the end; empty for the whole file.
        replaced: keys whose values do not come from the file.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        memory: Memory | None = None,
        path: str = "",
        replaced: Iterable[str] = (),
    ) -> None:
        super().__init__(dict.items(values) if isinstance(values, dict) else values)
        self.memory = Memory(given=values) if memory is None else memory
        self.path, self.replaced = path, set(replaced)

    def __getitem__(self, key: str) -> Any:
        if key not in self:
            raise MissingKeyError(f"{self.memory.file}: there is no '{self.path}{key}', which the conversion needs")
        value = super().__getitem__(key)
        if key in self.replaced or isinstance(key, _Listed):
            return value
        self.memory.read.add(f"{self.path}{key}")
        if not isinstance(value, dict) or isinstance(value, Keys):
            return value
        return self.plain(key) if key in _TABLES else Keys(value, self.memory, f"{self.path}{key}.")

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if key in self else default  # noqa: SIM401  (this is that method)

    def plain(self, key: str, default: Any = None) -> Any:
        """A value as plain data; everything in it counts as read."""
        if key not in self:
            return default
        if key not in self.replaced:
            self.memory.read.add(f"{self.path}{key}")
            self.memory.whole.add(f"{self.path}{key}")
        return super().__getitem__(key)

    def mark(self, *names: str) -> None:
        """Record keys as handled: they have no effect, or they are read in another way."""
        self.memory.idle |= {f"{self.path}{name}" for name in names}

    def rewritten(self, values: Mapping[str, Any], *gone: str) -> Keys:
        """The object as if the file had these values and lacked the keys ``gone``.

        All these keys count as not read yet.
        """
        memory = self.memory
        memory.given = {key: value for key, value in {**memory.given, **values}.items() if key not in gone}
        for key in (*values, *gone):
            memory.read.discard(key)
            memory.whole.discard(key)
        kept = {key: value for key, value in dict.items(self) if key not in gone}
        return Keys({**kept, **values}, memory, self.path, self.replaced - values.keys())

    # -- all keys at once ------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[str]:
        self.memory.copied = True
        return (_Listed(key) for key in super().__iter__())

    def keys(self) -> Any:
        return list(self)

    def values(self) -> Any:
        self.memory.copied = True
        return super().values()

    def items(self) -> Any:
        self.memory.copied = True
        return super().items()

    def copy(self) -> Keys:
        return self | {}

    # -- other values ----------------------------------------------------------------------------------------------

    def __or__(self, other: Mapping[str, Any]) -> Keys:  # type: ignore[override]
        return Keys(
            {**dict(dict.items(self)), **other}, self.memory, self.path, self.replaced | {str(key) for key in other}
        )

    def __ror__(self, other: Mapping[str, Any]) -> Keys:  # type: ignore[override]
        own = dict(dict.items(self))
        return Keys({**other, **own}, self.memory, self.path, self.replaced | {key for key in other if key not in own})

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        self.replaced.add(key)

    def update(self, *others: Any, **more: Any) -> None:
        for key, value in dict(*others, **more).items():
            self[key] = value

    def __ior__(self, other: Any) -> Keys:  # type: ignore[override,misc]
        self.update(other)
        return self


def plain(value: Any) -> Any:
    """A copy of a value that consists of plain dictionaries, lists and scalars, and records no reads."""
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in dict.items(value)}
    return [plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def mark(config: Mapping[str, Any], *names: str) -> None:
    """Call :meth:`Keys.mark` if the mapping is a :class:`Keys`; else do nothing."""
    if isinstance(config, Keys):
        config.mark(*names)
