"""Environments in which our distributions are installed from wheels, and that know nothing of this repository."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email import message_from_bytes
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Environment:
    """A virtual environment with wheels of ours and the packages of others that they require."""

    folder: Path
    wheels: dict[str, Path]

    def run(self, command: str, *arguments: str, within: Path) -> str:
        """Run a program of the environment, which must succeed; its standard output."""
        done = outcome([str(self.folder / "bin" / command), *arguments], within)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def has(self, *packages: str) -> list[str]:
        """Those of the packages that can be imported."""
        code = "import importlib.util, sys\nprint(*filter(importlib.util.find_spec, sys.argv[1:]))"
        return self.run("python", "-c", code, *packages, within=self.folder).split()

    def names(self, package: str) -> list[str]:
        """The files in a wheel."""
        with zipfile.ZipFile(self.wheels[package]) as wheel:
            return wheel.namelist()


def outcome(command: list[str], within: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, without what the variables of this process say about Python."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PYTEST", "VIRTUAL_ENV"))}
    environment = {**clean, "OMP_NUM_THREADS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return subprocess.run(command, cwd=within, env=environment, capture_output=True, text=True, timeout=120)


def _build(source: Path, output: Path) -> Path:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(output), str(source)]
    done = outcome(command, output)
    assert done.returncode == 0, done.stdout + done.stderr
    return output / done.stdout.strip().rpartition(" ")[2]


def _required(wheels: Iterable[Path], besides: Iterable[str]) -> dict[str, Distribution]:
    """The installed distributions of others that wheels need, and what these need; by normalised name."""
    found: dict[str, Distribution] = {}
    ours = {canonicalize_name(wheel.name.partition("-")[0]) for wheel in wheels}
    queue = [Requirement(name) for name in besides]
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as opened:
            (name,) = [each for each in opened.namelist() if each.endswith(".dist-info/METADATA")]
            queue += map(Requirement, message_from_bytes(opened.read(name)).get_all("Requires-Dist", []))
    while queue:
        requirement = queue.pop()
        name = canonicalize_name(requirement.name)
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if not applies or name in ours or name in found:
            continue
        found[name] = distribution(name)
        queue += map(Requirement, found[name].requires or [])
    return found


def _third_party_packages(view: Path, distributions: Iterable[Distribution]) -> None:
    """Links to the installed files of distributions."""
    view.mkdir()
    for each in distributions:
        for top in {file.parts[0] for file in each.files or ()}:
            source = Path(str(each.locate_file(top)))
            if top not in ("..", "__pycache__") and source.exists() and not (view / top).exists():
                (view / top).symlink_to(source)


def install(folder: Path, sources: Mapping[str, Path], besides: Iterable[str] = ()) -> Environment:
    """Build the distributions and install them. Of others', only what these require is there.

    Args:
        sources: package → folder of its distribution.
        besides: distributions that are installed, too.
    """
    wheels = {package: _build(source, folder) for package, source in sources.items()}
    home = folder / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    (site,) = (home / "lib").glob("python*/site-packages")
    _third_party_packages(folder / "view", _required(wheels.values(), besides).values())
    (site / "third_party.pth").write_text(f"{folder / 'view'}\n")
    pip = [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), "install", "--quiet"]
    done = outcome([*pip, "--no-deps", "--no-index", "--no-compile", *map(str, wheels.values())], folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return Environment(home, wheels)
