"""The messages about specs that cannot work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tp_core import SpecError, load_spec


def problems_of(folder: Path, spec: dict[str, Any]) -> str:
    """The message of a spec that does not load."""
    file = folder / "wrong.yaml"
    file.write_text(yaml.safe_dump({"tp": 1, **spec}, sort_keys=False), encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        load_spec(file)
    return str(caught.value)
