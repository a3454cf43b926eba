"""Distributions of third parties, as an installer leaves them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tp_core import discovery

ENCODER = """\
from tp_core.options.encoder import EncoderConfig
from tp_core.modules.encoders.transformer_options import TransformerConfig

class Config(TransformerConfig):
    "An encoder of a third party."
"""

HOOKS = """\
import sys
from tp_core import HooksConfig, hookimpl

class Listener:
    @hookimpl
    def tp_step_end(self, trainer, step):
        print(f"heard of step {step}", file=sys.stderr)

class Config(HooksConfig):
    "Says that a step is done."
    def build(self):
        return Listener()
"""


class Shelf:
    """A folder of distributions as an installer leaves them, before the installed ones on ``sys.path``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(
        self, name: str, points: dict[str, dict[str, str]], code: str = "", version: str = "1.5", folder: str = ""
    ) -> str:
        """Install a distribution with one module, named like it, and entry points by kind; gives back that name."""
        module = name.replace("-", "_").lower()
        place = self.folder / folder if folder else self.folder
        info = place / f"{module}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = [f"[tp.v1.{k}]\n" + "".join(f"{n} = {v}\n" for n, v in each.items()) for k, each in points.items()]
        (info / "entry_points.txt").write_text("\n".join(lines))
        (place / f"{module}.py").write_text(code)
        return module

    def encoder(self, name: str, code: str = ENCODER, offers: str = "acme.gates", **options: Any) -> str:
        """Install a distribution that offers one encoder."""
        module = name.replace("-", "_").lower()
        return self.add(name, {"encoder": {offers: f"{module}:Config"}}, code, **options)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    discovery.index.cache_clear()
    yield Shelf(folder)
    discovery.index.cache_clear()
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]


def shelf_alone(path: list[str]) -> discovery.Index:
    """The index of what is in these folders, with the kinds that are installed."""
    kinds = [entry for entry in discovery.scan() if entry.kind == discovery.KINDS]
    return discovery.Index([*kinds, *discovery.scan(path)])
