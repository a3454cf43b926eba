"""The identity of a module: its code, its options and the contents of its files, regardless of paths. Torch-free."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tp_core import discovery
from tp_core.data.cache.contents import file_contents
from tp_core.data.cache.digest_cache import DigestCache
from tp_core.data.cache.nested_models import NestedModel, nested_models, used_part, weights_digest
from tp_core.options.base import ModuleConfig
from tp_core.options.choice import Chosen, choices_in, slots_of, within
from tp_core.options.marks import paths_in
from tp_core.options.processor import ProcessorConfig
from tp_core.packages.installed import installed_version
from tp_core.packages.metadata import normalized
from tp_core.spec.trained.local_files import local_digest


def module_identity(chosen: Chosen[Any], digest_cache: DigestCache | None = None) -> dict[str, Any]:
    """Everything that determines a module's output, ready for JSON. Modules with equal identities behave the same.

    Raises:
        TPError: one of its files or models cannot be read.
    """
    config: ModuleConfig = chosen.config
    contents = file_contents(config.contents(), digest_cache, config.unread)
    # The name of a single file does not matter; several files are distinguished by their names.
    files = [content.digest if len(contents) == 1 else list(content[1:]) for content in contents]
    drawn = config.sampling_options if isinstance(config, ProcessorConfig) else frozenset()
    own = module_facts(chosen)
    options = {name: value for name, value in own["options"].items() if name not in drawn}
    inside = [[name, module_identity(each, digest_cache)] for name, each in choices_in(config) if not each.missing]
    models = {option: _model_identity(model, digest_cache) for option, model in nested_models(config)}
    code = local_digest(chosen)
    return own | {"code": code, "options": options, "files": files, "within": inside, "models": models}


def _model_identity(model: NestedModel, digest_cache: DigestCache | None) -> dict[str, Any]:
    """Everything that determines the output of a nested model: its content, and the identities of its modules."""
    weights = weights_digest(model, digest_cache)
    modules = [module_identity(chosen, digest_cache) for chosen in model.modules()]
    return {"weights": weights, "spec": used_part(model.spec), "modules": modules}


def module_classes(modules: Iterable[Chosen[Any]]) -> list[type]:
    """The config classes of modules, of the modules that they choose, and of the models that they name.

    A nested model is run, so its classes include :class:`tp_core.model.Model`.
    """
    found: list[type] = []
    for chosen in modules:
        for each in (chosen, *within(chosen)):
            found.append(type(each.config))
            for _, model in nested_models(each.config):
                from tp_core.model import Model

                found += [Model, *module_classes(model.modules())]
    return found


def module_facts(chosen: Chosen[Any]) -> dict[str, Any]:
    """The part of a module's identity that does not need files: its origin and its options."""
    config: ModuleConfig = chosen.config
    paths = {option.partition(".")[0] for option in paths_in(config)}
    choices = set(slots_of(type(config)))
    return {
        "module": [chosen.kind, chosen.distribution, chosen.version, chosen.name],
        "libraries": {name: installed_version(name) for name in sorted(config.libraries())},
        "options": config.model_dump(mode="json", exclude=paths | choices),
    }


#: The folders of the core with the code that reads data.
_READING = ("data", "files", "interfaces")


def code_identity(classes: Iterable[type], digest_cache: DigestCache | None = None) -> dict[str, str]:
    """Installed package of the classes and their bases → a hash of the package's files.

    A package's version is not enough, as code may be edited in place. Packages with modules that a package requires
    are included, since its modules use their code. Only some parts of the core are included: the code that reads data,
    and the files directly in the package, on which processors and tokenizers are built. If a model is run, the model's
    modules are included, too.
    """
    every = list(classes)
    names = {base.__module__.partition(".")[0] for each in every for base in each.__mro__}
    # For other libraries, the version is enough (ModuleConfig.libraries). Local files have their own content hashes.
    ours = _with_required({name for name in names if name in discovery.packages()})
    parts: tuple[str, ...] = _READING
    if any(base.__module__ == "tp_core.model" for base in every):
        parts += ("modules",)
    return {name: _package_digest(name, digest_cache, parts) for name in sorted(ours | (names & {"tp_core"}))}


def _with_required(packages: set[str]) -> set[str]:
    """Packages with modules, and the loaded packages that their distributions require."""
    plugins = discovery.packages()
    by_distribution = {normalized(entry.distribution): name for name, entry in plugins.items()}
    found, new = set[str](), {name for name in packages if name != "tp_core"}
    while new:
        found |= new
        required = {by_distribution.get(each) for name in new for each in _required(plugins[name])}
        new = {name for name in required if name is not None and name in sys.modules} - found - {"tp_core"}
    return found


def _required(entry: discovery.PluginEntry) -> frozenset[str]:
    """The names of the distributions that an entry's distribution requires."""
    names = (re.match(r"[A-Za-z0-9._-]+", line) for line in entry.requirements if "extra ==" not in line)
    return frozenset(normalized(name[0]) for name in names if name)


def _package_digest(package: str, digest_cache: DigestCache | None, parts: tuple[str, ...]) -> str:
    """A hash of a package's files.

    Args:
        parts: the folders of the core to include.
    """
    module = sys.modules[package]
    places = [Path(folder) for folder in getattr(module, "__path__", ())] or [Path(str(module.__file__))]
    if package == "tp_core":
        inner = [folder / part for folder in places for part in parts]
        places = [*inner, *(file for folder in places for file in sorted(folder.glob("*.py")))]
    found = [(content.inside, content.digest) for content in file_contents(map(str, places), digest_cache)]
    return hashlib.blake2b(repr(found).encode(), digest_size=16).hexdigest()
