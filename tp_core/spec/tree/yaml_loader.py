"""YAML 1.2 (core schema) with positions: duplicate keys, tags and endless aliases are errors."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tp_core.spec.errors import SpecError, SpecProblem
from tp_core.spec.tree.nodes import Node, Origin, Scalar, Value, describe
from tp_core.spec.tree.yaml_mistakes import explain
from tp_core.suggest import instead

_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = {
    "": None, "null": None, "Null": None, "NULL": None, "~": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    ".nan": float("nan"), ".inf": float("inf"), "+.inf": float("inf"), "-.inf": float("-inf"),
}  # fmt: skip
_PLAIN_TAGS = {"tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq", None}
_MOST_NODES = 100_000
_MOST_BYTES = 2**24
_MOST_LEVELS = 100
#: Python rejects longer runs of digits; no option has such a number.
_MOST_DIGITS = 4000
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
#: The characters that can precede a block collection on its line.
_INDENTATION = re.compile(r"[\t ?:-]+")


def scalar(text: str) -> Scalar:
    """The value of a plain scalar in the YAML 1.2 core schema: ``1e-4`` is a float and ``no`` is a string."""
    if text in _SPECIAL:
        return _SPECIAL[text]
    if len(text) > _MOST_DIGITS:
        return text
    if _INT.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


_STARTS = (
    yaml.BlockSequenceStartToken,
    yaml.BlockMappingStartToken,
    yaml.FlowSequenceStartToken,
    yaml.FlowMappingStartToken,
)

# Use the C parser if PyYAML was built with it. The base loader does not resolve scalars, so only explicit tags remain.
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
        if id(node) in within:
            raise SpecError([SpecProblem(path, "this anchor is used within itself", origin)])
        if self.count > _MOST_NODES:
            raise SpecError([SpecProblem("", f"the aliases expand to more than {_MOST_NODES} values", origin)])
        if len(within) >= _MOST_LEVELS and isinstance(node, yaml.CollectionNode):
            raise SpecError([_too_deep(origin)])
        within = (*within, id(node))
        if node.tag not in _PLAIN_TAGS:
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            self.problem(path, f"the tag '{tag}' is not supported; a spec holds plain values only", origin)
            return Node(None, origin, key)
        value: Value
        if isinstance(node, yaml.ScalarNode):
            value = scalar(node.value) if node.style in (None, "") else node.value
        elif isinstance(node, yaml.SequenceNode):
            value = [self.convert(item, f"{path}[{i}]", within, None) for i, item in enumerate(node.value)]
        else:
            assert isinstance(node, yaml.MappingNode)
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
            if key == "<<" and not key_node.style:
                self.problem(
                    path, "merge keys ('<<') are not part of YAML 1.2; write the keys out, or use extends", where
                )
                continue
            inner = f"{path}.{key}" if path else key
            if key in children:
                first = children[key].at()
                self.problem(inner, f"the key '{key}' is given twice; it is first given on line {first.line}", where)
                continue
            children[key] = self.convert(value_node, inner, within, where)
        return children


def parse(text: str, source: str, base: str = ".") -> Node:
    """Parse one YAML (or JSON) document.

    Raises:
        SpecError: the text has syntax errors, duplicate keys, tags or recursive aliases; with their positions.
    """
    reader = _Reader(source, text, base)
    if source.endswith(".json"):
        text = text.replace("\t", " ")  # JSON may be indented with tabs; its strings do not contain tabs
    if forbidden := _FORBIDDEN.search(text):
        line = text.count("\n", 0, forbidden.start())
        column = forbidden.start() - (text.rfind("\n", 0, forbidden.start()) + 1)
        message = f"the character U+{ord(forbidden.group()):04X} is not allowed in YAML"
        raise SpecError([SpecProblem("", message, reader.origin(line, column))])
    try:
        _check_depth(text, reader)
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        message, line, column = explain(error, reader.lines)
        raise SpecError([SpecProblem("", f"this is not valid YAML: {message}", reader.origin(line, column))]) from None
    if root is None:
        return Node(None, Origin(source, 1, 1, None, base))
    node = reader.convert(root, "", (), None)
    if reader.problems:
        raise SpecError(reader.problems)
    return node


def _too_deep(origin: Origin) -> SpecProblem:
    return SpecProblem("", f"nested more than {_MOST_LEVELS} levels deep", origin)


def _check_depth(text: str, reader: _Reader) -> None:
    """Reject a text that is nested too deeply before a parser composes it recursively.

    PyYAML's scanner in Python yields one token after the other. The parsers cannot be used, as they read ahead: a
    parser with its own limit would reach it before it yields the first token or event.
    """
    widest = max(map(len, _INDENTATION.findall(text)), default=0)
    if text.count("[") + text.count("{") + widest + 1 <= _MOST_LEVELS:  # usual specs need no scan
        return
    scanner = yaml.BaseLoader(text.replace("\t", " "))  # the C parser allows tabs within brackets
    while not scanner.done:
        scanner.fetch_more_tokens()
        if scanner.flow_level + len(scanner.indents) > _MOST_LEVELS:
            mark = next(t for t in reversed(scanner.tokens) if isinstance(t, _STARTS)).start_mark
            raise SpecError([_too_deep(reader.origin(mark.line, mark.column))])


def parse_file(path: Path, shown: str | None = None) -> Node:
    """Parse a file; positions contain ``shown``, the path as the user wrote it.

    Raises:
        SpecError: the file is missing, not UTF-8, not a mapping, or not valid YAML.
    """
    source = shown or str(path)
    here = Origin(source)
    try:
        with open(path, "rb") as file:  # also works for a pipe, which has no size
            data = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        raise SpecError([SpecProblem("", f"there is no such file{instead(path)}", here)]) from None
    except OSError as error:
        raise SpecError([SpecProblem("", f"cannot be read: {error.strerror}", here)]) from None
    if len(data) > _MOST_BYTES:
        raise SpecError([SpecProblem("", f"has more than {_MOST_BYTES:,} bytes; expected a spec", here)])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        place = Origin(source, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
        message = f"byte 0x{data[error.start]:02X} is not UTF-8; save the file as UTF-8"
        raise SpecError([SpecProblem("", message, place)]) from None
    node = parse(text, source, str(path.parent))
    if node.value is None:
        raise SpecError([SpecProblem("", "the file is empty; a spec has at least a model: or an extends:", here)])
    if not isinstance(node.value, dict):
        message = f"a spec must be a mapping of keys to values, got {describe(node.value)}"
        raise SpecError([SpecProblem("", message, node.origin)])
    return node
