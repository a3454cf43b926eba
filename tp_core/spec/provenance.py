"""The packages that a model's modules came from: written beside it, and read when it is used. Torch-free."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tp_core import discovery
from tp_core.spec.schema import Spec
from tp_core.whole_files import write_whole

#: Their names in a folder.
PROVENANCE, REQUIREMENTS = "provenance.json", "requirements.txt"


class Package(NamedTuple):
    """A distribution, and the version that a model was made with."""

    name: str
    version: str

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version}" if self.version else self.name


def write_provenance(spec: Spec, folder: Path) -> None:
    """Write which packages a spec's modules are of, for programs and for ``pip install -r requirements.txt``."""
    lines = [package.requirement for package in _packages(spec.provenance())]
    write_whole(folder / PROVENANCE, json.dumps(spec.provenance(), indent=1) + "\n")
    write_whole(folder / REQUIREMENTS, "".join(f"{line}\n" for line in lines))


def _packages(modules: Iterable[dict[str, Any]]) -> list[Package]:
    """The distributions of modules, the core first, each once."""
    found = {"tp-core": discovery.own_version()}
    found |= {str(m["distribution"]): str(m["version"]) for m in modules if m.get("portable") and m.get("version")}
    return [Package(name, version) for name, version in found.items()]


def package_of(folder: str, kind: str, name: str) -> Package | None:
    """The package that a module came from when the model in a folder was made; None where nothing says."""
    for module in _read(folder):
        if module["kind"] == kind and module["name"] == name.partition("@")[0] and module["portable"]:
            return Package(module["distribution"], module["version"])
    return None


def other_versions(folder: Path) -> Iterator[str]:
    """Packages of which another major version is installed than a model was made with, a sentence each.

    Of a version 0, the second number counts, as in semantic versioning.
    """
    for package in dict.fromkeys(Package(m["distribution"], m["version"]) for m in _read(str(folder)) if m["portable"]):
        installed = discovery.installed_version(package.name)
        if installed and package.version and _major(installed) != _major(package.version):
            yield (
                f"{folder} was made with {package.name} {package.version}, and {installed} is installed; if results "
                f"differ: pip install '{package.name}=={package.version}'"
            )


def _major(version: str) -> tuple[str, ...]:
    first, second = [*version.split("."), ""][:2]
    return (first, second) if first == "0" else (first,)


def _read(folder: str) -> list[dict[str, Any]]:
    """The modules of a model's or run's folder; empty where nothing is written, or cannot be read."""
    try:
        modules = json.loads((Path(folder) / PROVENANCE).read_text(encoding="utf-8"))
        keys = {"kind", "name", "distribution", "version", "portable"}
        return [module for module in modules if keys <= module.keys()]
    except (OSError, ValueError, TypeError, AttributeError):
        return []
