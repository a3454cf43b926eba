"""The identity of a module: its code, options and the contents of its files, whatever they are called. Torch-free."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tp_core import discovery
from tp_core.config import ModuleConfig, ProcessorConfig
from tp_core.data.contents import file_contents
from tp_core.data.digest_memo import DigestMemo
from tp_core.marks import paths_in
from tp_core.spec.local_files import local_digest
from tp_core.spec.schema_common import Choice, Chosen


def module_identity(chosen: Chosen[Any], memo: DigestMemo | None = None) -> dict[str, Any]:
    """All that decides what a module makes, ready for JSON; equal for two modules that make the same.

    Raises:
        DataError: one of its files cannot be read.
    """
    config: ModuleConfig = chosen.config
    contents = file_contents(config.contents(), memo, config.unread)
    # A file by itself may be called anything; of several, names say which is which.
    files = [content.digest if len(contents) == 1 else list(content[1:]) for content in contents]
    drawn = config.sampling_options if isinstance(config, ProcessorConfig) else frozenset()
    own = module_facts(chosen)
    options = {name: value for name, value in own["options"].items() if name not in drawn}
    within = {name: module_identity(value.chosen, memo) for name, value in _choices(config).items()}
    return own | {"code": local_digest(chosen), "options": options, "files": files, "within": within}


def module_facts(chosen: Chosen[Any]) -> dict[str, Any]:
    """The part of a module's identity that takes no look at files: where it comes from, and its options."""
    config: ModuleConfig = chosen.config
    paths = {option.partition(".")[0] for option in paths_in(config)}
    return {
        "module": [chosen.kind, chosen.distribution, chosen.version, chosen.name],
        "libraries": {name: discovery.installed_version(name) for name in sorted(config.libraries())},
        "options": config.model_dump(mode="json", exclude={*paths, *_choices(config)}),
    }


def _choices(config: ModuleConfig) -> dict[str, Choice]:
    """The options that choose modules."""
    return {name: value for name in type(config).model_fields if isinstance(value := getattr(config, name), Choice)}


def code_identity(classes: Iterable[type], memo: DigestMemo | None = None) -> dict[str, str]:
    """The installed packages that classes and their bases are of → a hash of the packages' files.

    The version of a package says less: code is edited in place, in an editable installation and elsewhere. Of the
    core, what reads data counts, and the modules of the package itself, on which processors and tokenizers are built.
    """
    names = {base.__module__.partition(".")[0] for each in classes for base in each.__mro__}
    # Of others, the version is enough (ModuleConfig.libraries); local files are known by their own content.
    ours = sorted(name for name in names if name == "tp_core" or _is_plugin(name))
    return {name: _package_digest(name, memo) for name in ours}


def _is_plugin(package: str) -> bool:
    """True if a package belongs to a distribution that offers modules."""
    return any(entry.value.partition(":")[0].partition(".")[0] == package for entry in discovery.index().entries())


def _package_digest(package: str, memo: DigestMemo | None) -> str:
    module = sys.modules[package]
    places = [Path(folder) for folder in getattr(module, "__path__", ())] or [Path(str(module.__file__))]
    if package == "tp_core":
        places = [place for folder in places for place in (folder / "data", *sorted(folder.glob("*.py")))]
    found = [(content.inside, content.digest) for content in file_contents(map(str, places), memo)]
    return hashlib.blake2b(repr(found).encode(), digest_size=16).hexdigest()
