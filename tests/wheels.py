"""Environments in which our distributions are installed from wheels, and that know nothing of this repository."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Environment:
    """A virtual environment with wheels of ours and the third-party packages of the running one."""

    folder: Path
    wheels: dict[str, Path]

    def run(self, command: str, *arguments: str, within: Path) -> str:
        """Run a program of the environment, which must succeed; its standard output."""
        done = _run([str(self.folder / "bin" / command), *arguments], within)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def names(self, package: str) -> list[str]:
        """The files in a wheel."""
        with zipfile.ZipFile(self.wheels[package]) as wheel:
            return wheel.namelist()


def _run(command: list[str], within: Path) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PYTEST", "VIRTUAL_ENV"))}
    environment = {**clean, "OMP_NUM_THREADS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return subprocess.run(command, cwd=within, env=environment, capture_output=True, text=True, timeout=120)


def _build(source: Path, output: Path) -> Path:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(output), str(source)]
    done = _run(command, output)
    assert done.returncode == 0, done.stdout + done.stderr
    return output / done.stdout.strip().rpartition(" ")[2]


def _third_party_packages(view: Path, without: Collection[str]) -> None:
    """Links to everything that is installed here but our own distributions and what points into this repository."""
    view.mkdir()
    for folder in [Path(p) for p in sys.path if p.endswith("-packages")]:
        for entry in folder.iterdir():
            own = entry.name.startswith(("tp_", "_editable_impl_tp_")) or entry.suffix == ".pth"
            name = entry.name.partition("-")[0].partition(".")[0]
            if not own and name not in without and not (view / entry.name).exists():
                (view / entry.name).symlink_to(entry)


def install(folder: Path, sources: Mapping[str, Path], without: Collection[str] = ()) -> Environment:
    """Build the distributions and install them.

    Args:
        sources: package → folder of its distribution.
        without: packages of others that the environment shall lack.
    """
    wheels = {package: _build(source, folder) for package, source in sources.items()}
    home = folder / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    (site,) = (home / "lib").glob("python*/site-packages")
    _third_party_packages(folder / "view", without)
    (site / "third_party.pth").write_text(f"{folder / 'view'}\n")
    pip = [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), "install", "--quiet"]
    done = _run([*pip, "--no-deps", "--no-index", *map(str, wheels.values())], folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return Environment(home, wheels)
