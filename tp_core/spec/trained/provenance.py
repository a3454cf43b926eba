"""The packages of a model's modules, which are written beside the model and read for inference. Torch-free."""

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

#: Names of the files in the model's folder.
PROVENANCE, REQUIREMENTS = "provenance.json", "requirements.txt"


class Package(NamedTuple):
    """A distribution, and its version when the model was made."""

    name: str
    version: str

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version}" if self.version else self.name


def facts_of(modules: Iterable[Chosen[Any]]) -> list[dict[str, Any]]:
    """For each module: kind, name, place in the spec, distribution, version, and portability."""
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
    """Write the packages of modules, for programs and for ``pip install -r requirements.txt``.

    The modules of nested models that are already in the folder, with their own provenance, are included.

    Args:
        made: the folder from which the model is copied, whose recorded versions are used; None for the installed
            versions.
    """
    was = {} if made is None else {m["distribution"]: m["version"] for m in _read(str(made)) if m["portable"]}
    own = [module | {"version": was.get(module["distribution"], module["version"])} for module in facts_of(modules)]
    every = [*own, *_inside(folder)]
    lines = [package.requirement for package in _packages(every)]
    write_whole(folder / PROVENANCE, json.dumps(every, indent=1) + "\n")
    write_whole(folder / REQUIREMENTS, "".join(f"{line}\n" for line in lines))


def _inside(folder: Path) -> Iterator[dict[str, Any]]:
    """The modules of nested models inside a folder. The records of these include their own nested models."""
    models: list[Path] = []
    for file in sorted(folder.rglob(PROVENANCE), key=lambda path: len(path.parts)):
        model = file.parent
        if model != folder and not any(model.is_relative_to(outer) for outer in models):
            models.append(model)
            place = model.relative_to(folder).as_posix()
            yield from ({**module, "path": f"{place}:{module.get('path', '')}"} for module in _read(str(model)))


def _packages(modules: Iterable[dict[str, Any]]) -> list[Package]:
    """The distributions of modules, each once and the core first, with the version of their first module."""
    found = {"tp-core": discovery.own_version()}
    for module in modules:
        if module.get("portable") and module.get("version"):
            found.setdefault(str(module["distribution"]), str(module["version"]))
    return [Package(name, version) for name, version in found.items()]


def package_of(folder: str, kind: str, name: str) -> Package | None:
    """The package of a module when the model in a folder was made; None if unknown."""
    for module in _read(folder):
        if module["kind"] == kind and module["name"] == name.partition("@")[0] and module["portable"]:
            return Package(module["distribution"], module["version"])
    return None


def other_versions(folder: Path) -> Iterator[str]:
    """One sentence for each package whose installed major version differs from that of the model.

    For versions 0.x, the second number is compared, as in semantic versioning.
    """
    for package in dict.fromkeys(Package(m["distribution"], m["version"]) for m in _read(str(folder)) if m["portable"]):
        installed = installed_version(package.name)
        if installed and package.version and _major(installed) != _major(package.version):
            yield (
                f"{folder} was made with {package.name} {package.version}, and {installed} is installed; if results "
                f"differ: pip install '{package.name}=={package.version}'"
            )


def versions_of_model(path: str) -> Iterator[str]:
    """The sentences of :func:`other_versions` for a model that a module names: an export, a run, or a checkpoint."""
    folder = Path(path)
    for place in (folder / "model", folder, folder.parent.parent):
        if (place / "spec.yaml").is_file() and (place / PROVENANCE).is_file():
            yield from other_versions(place)
            return


def _major(version: str) -> tuple[str, ...]:
    first, second = [*version.split("."), ""][:2]
    return (first, second) if first == "0" else (first,)


def _read(folder: str) -> list[dict[str, Any]]:
    """The recorded modules of a model's or run's folder; empty if there is no record, or it cannot be read."""
    try:
        modules = read_json(Path(folder) / PROVENANCE)
        keys = {"kind", "name", "distribution", "version", "portable"}
        return [module for module in modules if keys <= module.keys()]
    except (OSError, ValueError, TypeError, AttributeError):
        return []
