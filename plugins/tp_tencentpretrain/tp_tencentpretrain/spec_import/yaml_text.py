"""A spec in YAML as people write it: short mappings and lists in one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from tp_core.spec.schema import spec_dumper

#: Number of characters up to which a mapping or list stands in one line.
_LINE = 76


def written(tree: Mapping[str, Any]) -> str:
    """The spec in YAML. Each section has its lines; what is inside stands in one line if it is short."""
    lines = []
    for key, value in tree.items():
        if not isinstance(value, dict):
            lines.append(_flow({key: value})[1:-1])
            continue
        lines += [f"{key}:", *_block(value, "  ")]
    return "\n".join(lines) + "\n"


def _block(tree: Mapping[str, Any], indent: str) -> list[str]:
    lines = []
    for key, value in tree.items():
        line = f"{indent}{_flow({key: value})[1:-1]}"
        if not isinstance(value, dict) or len(line) <= _LINE:
            lines.append(line)
        else:
            lines += [f"{indent}{key}:", *_block(value, f"{indent}  ")]
    return lines


def _flow(value: Any) -> str:
    """The value in one line."""
    dumper = spec_dumper()
    text: str = yaml.dump(
        value, Dumper=dumper, sort_keys=False, allow_unicode=True, default_flow_style=True, width=10**6
    )
    return text.rstrip("\n").removesuffix("\n...")
