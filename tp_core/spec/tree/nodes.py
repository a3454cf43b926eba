"""The spec as a tree, in which every value has its origin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Union

Scalar = str | int | float | bool | None
Value = Union[Scalar, "dict[str, Node]", "list[Node]"]


#: Source of the settings on the command line.
COMMAND_LINE = "command line"


class Origin(NamedTuple):
    """The place where a value was written.

    Attributes:
        source: a file's path as the user gave it, or the name of another origin (``command line``).
        line: line number from 1, or None.
        column: column number from 1, or None.
        text: the line itself, for showing it with a caret.
        base: folder for relative paths that are written here.
    """

    source: str
    line: int | None = None
    column: int | None = None
    text: str | None = None
    base: str = "."

    def place(self) -> str:
        if self.line is None:  # the column of a command-line setting is not helpful in messages
            return self.source
        return f"{self.source}:{self.line}:{self.column}"


class Node(NamedTuple):
    """A value with its origin and, inside a mapping, the origin of its key."""

    value: Value
    origin: Origin
    key_origin: Origin | None = None

    def plain(self) -> object:
        """The value without origins, in the types of YAML and JSON."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    @property
    def mapping(self) -> dict[str, Node]:
        """The children of a mapping; empty for any other value."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list[Node]:
        """The items of a list; empty for any other value."""
        return self.value if isinstance(self.value, list) else []

    def at(self) -> Origin:
        """The best origin for messages: that of the key if there is one."""
        return self.key_origin or self.origin

    def with_value(self, value: Value) -> Node:
        return self._replace(value=value)

    def find(self, path: tuple[str | int, ...]) -> Node:
        """The deepest node that exists along ``path``."""
        node = self
        for part in path:
            found = node.mapping.get(part) if isinstance(part, str) else next(iter(node.items[part : part + 1]), None)
            if found is None:
                break
            node = found
        return node


def describe(value: object) -> str:
    """A value or its kind as text for messages, in the terms of YAML, in one line."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        shown = " ".join(value.split())
        return f"the text '{shown if len(shown) <= 60 else shown[:57] + '...'}'"
    return "a mapping" if isinstance(value, dict) else "a list"


def as_node(plain: object, origin: Origin) -> Node:
    """A plain value as a tree; all values in it have the same origin."""
    if isinstance(plain, Mapping):
        return Node({key: as_node(each, origin) for key, each in plain.items()}, origin)
    if isinstance(plain, list):
        return Node([as_node(each, origin) for each in plain], origin)
    assert plain is None or isinstance(plain, str | int | float | bool)
    return Node(plain, origin)
