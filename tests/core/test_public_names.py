"""A third party's package needs nothing that is not public: exported, or in a module that the guide names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tp_core

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "plugin"
GUIDE = "".join(page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs" / "modules").glob("*.md")))


@pytest.mark.parametrize("file", sorted(EXAMPLE.rglob("*.py")), ids=lambda file: str(file.relative_to(EXAMPLE)))
def test_the_example_imports_public_names_only(file: Path) -> None:
    for module, names in re.findall(
        r"^\s*from (tp_\w+[\w.]*) import (\([^)]*\)|.*)$", file.read_text(encoding="utf-8"), re.MULTILINE
    ):
        if module == "tp_core":
            imported = {name.split(" as ")[0].strip() for name in names.strip("()").split(",")} - {""}
            assert imported <= {*tp_core.__all__, "interop"}, f"{imported - {*tp_core.__all__}} of tp_core"
        elif not module.startswith("tp_acme"):
            assert module in GUIDE, f"{module} is not named in docs/modules/"


def test_every_public_name_is_there() -> None:
    for name in tp_core.__all__:
        assert getattr(tp_core, name) is not None
