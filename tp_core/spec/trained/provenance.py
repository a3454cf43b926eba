"""The packages that a model's modules came from: written beside it, and read when it is used. Torch-free."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tp_core import discovery
from tp_core.files.bounded_reads import read_json
from tp_core.files.whole_files import write_whole
from tp_core.packages.installed import installed_version

if TYPE_CHECKING:
    from tp_core.options.choice import Chosen

#: Their names in a folder.
PROVENANCE, REQUIREMENTS = "provenance.json", "requirements.txt"


class Package(NamedTuple):
    """A distribution, and the version that a model was made with."""

    name: str
    version: str

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version}" if self.version else self.name


def facts_of(modules: Iterable[Chosen[Any]]) -> list[dict[str, Any]]:
    """For each module: kind, name, place in the spec, distribution, version, and whether it can be found elsewhere."""
    return [
        {
            "kind": each.kind,
            "name": each.name,
            "path": each.path,
            "distribution": each.distribution,
            "version": each.version,
            "portable": each.portable,
        }
        for each in modules
    ]


def write_provenance(modules: Iterable[Chosen[Any]], folder: Path, made: Path | None = None) -> None:
    """Write which packages modules are of, for programs and for ``pip install -r requirements.txt``.

    Modules of the models that are inside the folder already, with their own provenance, are among them.

    Args:
        made: the folder that the model is copied from, which says what it was made with; None: with what is installed.
    """
    was = {} if made is None else {m["distribution"]: m["version"] for m in _read(str(made)) if m["portable"]}
    own = [module | {"version": was.get(module["distribution"], module["version"])} for module in facts_of(modules)]
    every = [*own, *_inside(folder)]
    lines = [package.requirement for package in _packages(every)]
    write_whole(folder / PROVENANCE, json.dumps(every, indent=1) + "\n")
    write_whole(folder / REQUIREMENTS, "".join(f"{line}\n" for line in lines))


def _inside(folder: Path) -> Iterator[dict[str, Any]]:
    """The modules of the models that lie inside a folder; those have, in their turn, the modules of models in them."""
    models: list[Path] = []
    for file in sorted(folder.rglob(PROVENANCE), key=lambda path: len(path.parts)):
        model = file.parent
        if model != folder and not any(model.is_relative_to(outer) for outer in models):
            models.append(model)
            place = model.relative_to(folder).as_posix()
            yield from ({**module, "path": f"{place}:{module.get('path', '')}"} for module in _read(str(model)))


def _packages(modules: Iterable[dict[str, Any]]) -> list[Package]:
    """The distributions of modules, the core first, each once, with the version of the first that is of it."""
    found = {"tp-core": discovery.own_version()}
    for module in modules:
        if module.get("portable") and module.get("version"):
            found.setdefault(str(module["distribution"]), str(module["version"]))
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
        installed = installed_version(package.name)
        if installed and package.version and _major(installed) != _major(package.version):
            yield (
                f"{folder} was made with {package.name} {package.version}, and {installed} is installed; if results "
                f"differ: pip install '{package.name}=={package.version}'"
            )


def versions_of_model(path: str) -> Iterator[str]:
    """As :func:`other_versions`, of a model that a module names: an export, a run, or a checkpoint of one."""
    folder = Path(path)
    for place in (folder / "model", folder, folder.parent.parent):
        if (place / "spec.yaml").is_file() and (place / PROVENANCE).is_file():
            yield from other_versions(place)
            return


def _major(version: str) -> tuple[str, ...]:
    first, second = [*version.split("."), ""][:2]
    return (first, second) if first == "0" else (first,)


def _read(folder: str) -> list[dict[str, Any]]:
    """The modules of a model's or run's folder; empty where nothing is written, or cannot be read."""
    try:
        modules = read_json(Path(folder) / PROVENANCE)
        keys = {"kind", "name", "distribution", "version", "portable"}
        return [module for module in modules if keys <= module.keys()]
    except (OSError, ValueError, TypeError, AttributeError):
        return []
