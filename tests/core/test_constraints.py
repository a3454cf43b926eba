"""constraints.txt names one version of everything that our distributions require, for each Python and platform."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = sorted(
    [ROOT / "pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml"), *ROOT.glob("examples/*/pyproject.toml")]
)
LINES = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
PINS = [line for line in LINES if line and not line.startswith("#")]
#: What decides between two pins of a package.
MACHINES: list[dict[str, str]] = [
    {
        "python_version": version,
        "python_full_version": f"{version}.4",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "sys_platform": system,
        "platform_system": {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}[system],
        "os_name": "nt" if system == "win32" else "posix",
        "platform_machine": machine,
    }
    for version in ("3.10", "3.11", "3.12", "3.13")
    for system, machine in (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("win32", "AMD64"))
]


def _content(project: Path) -> dict[str, Any]:
    return tomllib.loads(project.read_text(encoding="utf-8"))


def _required(project: Path) -> Iterator[Requirement]:
    content = _content(project)
    extras = content["project"].get("optional-dependencies", {}).values()
    for group in (content["build-system"]["requires"], content["project"]["dependencies"], *extras):
        yield from map(Requirement, group)


def _pinned(machine: dict[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pin in map(Requirement, PINS):
        if pin.marker is None or pin.marker.evaluate(machine):
            assert found.setdefault(canonicalize_name(pin.name), str(pin)) == str(pin)
    return found


@pytest.mark.parametrize(
    "machine", MACHINES, ids=lambda m: f"{m['python_version']}-{m['sys_platform']}-{m['platform_machine']}"
)
def test_everything_that_is_required_has_one_version_within_its_range(machine: dict[str, str]) -> None:
    pins = {name: Requirement(pin).specifier for name, pin in _pinned(machine).items()}
    ours = {canonicalize_name(_content(project)["project"]["name"]) for project in PROJECTS}
    assert len(PROJECTS) >= 6
    for project in PROJECTS:
        for wanted in _required(project):
            name = canonicalize_name(wanted.name)
            if name in ours or (wanted.marker is not None and not wanted.marker.evaluate(machine)):
                continue
            assert name in pins, f"{project}: {wanted} has no version in constraints.txt; make lock renews it"
            (pin,) = pins[name]
            assert wanted.specifier.contains(pin.version), f"{project}: {wanted}, and constraints.txt has {pin}"
    assert {"uv", "editables"} <= pins.keys()  # `make install` and the build of editable packages use them
    assert not ours & pins.keys()


def test_packages_of_one_platform_are_named_for_it_alone() -> None:
    linux, mac, windows = (
        {name for m in MACHINES if m["sys_platform"] == system for name in _pinned(m)}
        for system in ("linux", "darwin", "win32")
    )
    assert {name for name in linux if name.startswith("nvidia-")}
    assert not {name for name in mac | windows if name.startswith(("nvidia-", "cuda-", "triton"))}


def test_the_file_names_versions_and_no_place_to_get_them_from() -> None:
    for line in LINES:
        assert not re.search(r"https?:|file:|--|/|\\|@|sha256|\.(com|org|io|net)\b", line), line
    for pin in map(Requirement, PINS):
        assert [part.operator for part in pin.specifier] == ["=="], pin
        assert not pin.extras, pin
        assert pin.url is None, pin


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.parent.name)
def test_a_package_whose_next_major_version_breaks_ours_has_an_upper_bound(project: Path) -> None:
    for wanted in _required(project):
        name = canonicalize_name(wanted.name)
        if name in ("tokenizers", "transformers", "numpy", "pydantic", "torch", "torchvision", "torchaudio", "pyyaml"):
            assert any(part.operator == "<" for part in wanted.specifier), f"{project}: {wanted}"
        assert any(part.operator == ">=" for part in wanted.specifier), f"{project}: {wanted}"
