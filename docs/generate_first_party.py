"""Writes tp_core/packages/first_party.json: the names that our own distributions offer, of their pyproject.toml files.

python docs/generate_first_party.py
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tp_core.discovery import GROUP
from tp_core.packages.first_party import FILE

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PROJECTS = [ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))]


def offered(project: dict[str, Any]) -> dict[str, list[str]]:
    """The names that a distribution offers, by kind."""
    groups = project["project"].get("entry-points", {})
    return {group.removeprefix(GROUP): sorted(groups[group]) for group in sorted(groups) if group.startswith(GROUP)}


def first_party() -> str:
    """The content of the file."""
    projects = [tomllib.loads(path.read_text(encoding="utf-8")) for path in PROJECTS]
    return json.dumps({each["project"]["name"]: offered(each) for each in projects}, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(first_party(), encoding="utf-8")
    print(FILE)
