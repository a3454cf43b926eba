"""JSON objects of Hugging Face that remember which of their keys were read. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tp_core.errors import TPError

#: Objects that are tables, not options: they are read as a whole.
_TABLES = frozenset({"id2label", "label2id"})


#: What is raised over a value of a kind that no file has.
MISFITS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class MissingKeyError(TPError, KeyError):
    """A key that the conversion needs, and that the file lacks."""

    def __str__(self) -> str:
        return str(self.args[0])


class _Listed(str):
    """A key that came of going through all of them; to look it up is no reading of its value."""


@dataclass
class Memory:
    """The keys of one file, and a record of those that have been read.

    Attributes:
        file: its name, for messages.
        given: its content, with the usual spelling of the keys.
        spelled: the usual spelling of a key → that of the file.
        read: paths whose values were read; a path of several keys has dots between them.
        whole: paths of objects that were read with everything in them.
        idle: paths of keys that have no effect beside the others.
        copied: True once some code has iterated over all keys.
    """

    file: str = "config.json"
    given: Mapping[str, Any] = field(default_factory=dict)
    spelled: Mapping[str, str] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)
    whole: set[str] = field(default_factory=set)
    idle: set[str] = field(default_factory=set)
    copied: bool = False


class Keys(dict[str, Any]):
    """A JSON object, or one inside another, that notes the keys whose values are asked for.

    ``keys | {...}`` has other values for some keys and the same memory. To go through all keys, as ``{**keys}`` does,
    is to read none of them: what is read from such a copy is not noticed.

    Args:
        values: the object.
        memory: the file's; that of a new file if None.
        path: where the object is in the file, with a dot at the end; empty at the top.
        replaced: keys whose values are not the file's.
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
        """A value as plain data; all that is in it counts as read."""
        if key not in self:
            return default
        if key not in self.replaced:
            self.memory.read.add(f"{self.path}{key}")
            self.memory.whole.add(f"{self.path}{key}")
        return super().__getitem__(key)

    def mark(self, *names: str) -> None:
        """Note keys as dealt with: they have no effect beside the others, or are read by other means."""
        self.memory.idle |= {f"{self.path}{name}" for name in names}

    def rewritten(self, values: Mapping[str, Any], *gone: str) -> Keys:
        """The file as if these values had stood in it, and the keys ``gone`` had not; all of which is read anew."""
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
    """A value without anything that notes or is noted: dictionaries, lists and what they hold."""
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in dict.items(value)}
    return [plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def mark(config: Mapping[str, Any], *names: str) -> None:
    """:meth:`Keys.mark`, of a mapping that may be a plain one."""
    if isinstance(config, Keys):
        config.mark(*names)
