"""YAML 1.2 (core schema) with positions: duplicate keys, tags and endless aliases are errors."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tp_core.spec.errors import SpecError, SpecProblem
from tp_core.spec.nodes import Node, Origin, Scalar, Value

_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = {
    "": None, "null": None, "Null": None, "NULL": None, "~": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    ".nan": float("nan"), ".inf": float("inf"), "+.inf": float("inf"), "-.inf": float("-inf"),
}  # fmt: skip
_PLAIN_TAGS = {"tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq", None}
_MOST_NODES = 100_000


def scalar(text: str) -> Scalar:
    """A plain scalar by the YAML 1.2 core schema: ``1e-4`` is a float and ``no`` is a string."""
    if text in _SPECIAL:
        return _SPECIAL[text]
    if _INT.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


# The C parser where PyYAML was built with it; the base loader resolves no scalar, so only explicit tags remain.
_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


class _Reader:
    def __init__(self, source: str, text: str, base: str) -> None:
        self.source, self.base, self.lines = source, base, text.splitlines()
        self.problems: list[SpecProblem] = []
        self.count = 0

    def origin(self, line: int, column: int) -> Origin:
        shown = self.lines[line] if line < len(self.lines) else ""
        return Origin(self.source, line + 1, column + 1, shown, self.base)

    def problem(self, path: str, message: str, origin: Origin) -> None:
        self.problems.append(SpecProblem(path, message, origin))

    def convert(self, node: yaml.Node, path: str, within: tuple[int, ...], key: Origin | None) -> Node:
        origin = self.origin(node.start_mark.line, node.start_mark.column)
        self.count += 1
        if self.count > _MOST_NODES or id(node) in within:
            raise SpecError([SpecProblem(path, "aliases that expand without end", origin)])
        within = (*within, id(node))
        if node.tag not in _PLAIN_TAGS:
            self.problem(path, f"the tag '{node.tag}' is not supported; a spec holds plain values only", origin)
            return Node(None, origin, key)
        value: Value
        if isinstance(node, yaml.ScalarNode):
            value = scalar(node.value) if node.style in (None, "") else node.value
        elif isinstance(node, yaml.SequenceNode):
            value = [self.convert(item, f"{path}[{i}]", within, None) for i, item in enumerate(node.value)]
        else:
            value = self.mapping(node, path, within)
        return Node(value, origin, key)

    def mapping(self, node: yaml.MappingNode, path: str, within: tuple[int, ...]) -> dict[str, Node]:
        children: dict[str, Node] = {}
        for key_node, value_node in node.value:
            where = self.origin(key_node.start_mark.line, key_node.start_mark.column)
            if not isinstance(key_node, yaml.ScalarNode):
                self.problem(path, "a key must be a plain text", where)
                continue
            key = str(key_node.value)
            inner = f"{path}.{key}" if path else key
            if key in children:
                first = children[key].at()
                self.problem(inner, f"the key '{key}' is given twice; it is first given in line {first.line}", where)
                continue
            children[key] = self.convert(value_node, inner, within, where)
        return children


def parse(text: str, source: str, base: str = ".") -> Node:
    """Parse one YAML (or JSON) document.

    Raises:
        SpecError: on syntax errors, duplicate keys, tags and recursive aliases, with their positions.
    """
    reader = _Reader(source, text, base)
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column) if mark else (0, 0)
        message = f"this is not valid YAML: {error.problem or error.context}"
        raise SpecError([SpecProblem("", message, reader.origin(line, column))]) from None
    except yaml.YAMLError as error:
        message = f"this is not valid YAML: {str(error).splitlines()[0]}"
        raise SpecError([SpecProblem("", message, reader.origin(0, 0))]) from None
    if root is None:
        return Node({}, Origin(source, 1, 1, "", base))
    node = reader.convert(root, "", (), None)
    if reader.problems:
        raise SpecError(reader.problems)
    return node


def parse_file(path: Path, shown: str | None = None) -> Node:
    """Parse a file; positions carry ``shown``, the path as the user wrote it.

    Raises:
        SpecError: when the file is missing, not UTF-8, no mapping, or not valid YAML.
    """
    source = shown or str(path)
    here = Origin(source)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise SpecError([SpecProblem("", f"line {line} is not UTF-8", here)]) from None
    except OSError as error:
        raise SpecError([SpecProblem("", f"cannot be read: {error.strerror}", here)]) from None
    node = parse(text, source, str(path.parent))
    if not isinstance(node.value, dict):
        raise SpecError([SpecProblem("", "a spec must be a mapping of keys to values", node.origin)])
    return node
