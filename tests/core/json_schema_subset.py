"""The part of JSON Schema that our own schema uses, for tests where the jsonschema package is missing."""

from __future__ import annotations

import re
from typing import Any

_TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "null": type(None),
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}
_KNOWN = {
    "$schema", "$defs", "$ref", "title", "description", "default", "type", "const", "enum", "anyOf", "not",
    "if", "then", "else", "properties", "patternProperties", "additionalProperties", "required", "items",
    "minItems", "maxItems", "minProperties", "maxProperties", "pattern", "minimum", "maximum",
    "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength",
}  # fmt: skip


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, _TYPES[name])


def valid(value: Any, schema: Any, root: dict[str, Any]) -> bool:
    """True if ``value`` satisfies ``schema``, whose references point into ``root``."""
    if isinstance(schema, bool):
        return schema
    assert set(schema) <= _KNOWN, set(schema) - _KNOWN
    if "$ref" in schema:
        target = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
        if not valid(value, target, root):
            return False
    names = schema.get("type", [])
    if names and not any(_is(value, name) for name in ([names] if isinstance(names, str) else names)):
        return False
    if "const" in schema and value != schema["const"]:
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if "anyOf" in schema and not any(valid(value, each, root) for each in schema["anyOf"]):
        return False
    if "not" in schema and valid(value, schema["not"], root):
        return False
    if "if" in schema:
        branch = schema.get("then" if valid(value, schema["if"], root) else "else", True)
        if not valid(value, branch, root):
            return False
    if isinstance(value, dict):
        return _mapping(value, schema, root)
    if isinstance(value, list):
        in_range = schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
        return in_range and all(valid(item, schema.get("items", True), root) for item in value)
    if isinstance(value, str):
        return "pattern" not in schema or re.search(schema["pattern"], value) is not None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        inside = schema.get("minimum", value) <= value <= schema.get("maximum", value)
        above = "exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"]
        return inside and above and ("exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"])
    return True


def _mapping(value: dict[str, Any], schema: dict[str, Any], root: dict[str, Any]) -> bool:
    if not schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", len(value)):
        return False
    if any(name not in value for name in schema.get("required", ())):
        return False
    for name, each in value.items():
        own = [schema["properties"][name]] if name in schema.get("properties", {}) else []
        own += [s for pattern, s in schema.get("patternProperties", {}).items() if re.search(pattern, name)]
        if not all(valid(each, s, root) for s in own or [schema.get("additionalProperties", True)]):
            return False
    return True
