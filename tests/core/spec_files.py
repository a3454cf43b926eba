"""The spec files of the tests, with what they expect of themselves in their leading comments.

``# expect: 5:12: model.encoder: ...`` is one message (several: all of them, in that order, and no other). A message
about another file begins with that file's name. One that ends in ``...`` is the beginning of a message that goes on
with names of what is installed. ``# override: KEY=VALUE`` is a setting of the command line, ``# check: run`` asks for
the checks of a training run too, ``# value: PATH = JSON`` is a value of the resolved spec.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tp_core import Spec, SpecError, load_spec
from tp_core.spec.checks.run import check_run

FOLDER = Path(__file__).parents[1] / "specs"


@dataclass(frozen=True)
class SpecFile:
    """A spec file and its comments."""

    path: Path
    expected: list[str]
    overrides: list[str]
    values: dict[str, Any]
    for_run: bool

    def load(self) -> Spec:
        """Load it as its comments say; the folder of the file must be the current one."""
        spec = load_spec(self.path.name, self.overrides)
        if self.for_run:
            check_run(spec)
        return spec


def spec_files(folder: str) -> list[SpecFile]:
    """All specs of a folder, by name."""
    return [_read(path) for path in sorted((FOLDER / folder).iterdir()) if path.suffix in (".yaml", ".json")]


def _read(path: Path) -> SpecFile:
    lines = path.read_bytes().decode("utf-8-sig", errors="replace").splitlines()

    def comments(kind: str) -> list[str]:
        mark = f"# {kind}: "
        return [line.removeprefix(mark) for line in lines if line.startswith(mark)]

    values = (value.split(" = ", 1) for value in comments("value"))
    return SpecFile(
        path,
        comments("expect"),
        comments("override"),
        {key: json.loads(value) for key, value in values},
        comments("check") == ["run"],
    )


def messages(error: SpecError, file: SpecFile) -> list[str]:
    """The first line of each problem, without the name of the file itself and the folder of the tests."""
    own = f"{file.path.name}:"
    lines = (problem.render().splitlines()[0].replace(f"{FOLDER}/", "") for problem in error.problems)
    return [line.removeprefix(own).strip() for line in lines]


def as_expected(found: list[str], expected: list[str]) -> bool:
    return len(found) == len(expected) and all(
        message.startswith(wanted[:-3]) if wanted.endswith("...") else message == wanted
        for message, wanted in zip(found, expected)
    )
