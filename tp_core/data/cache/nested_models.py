"""Trained models that modules name, such as visual tokenizers and teachers, identified by content. Torch-free.

A model's identity includes only the part of its spec that determines its use, not the bytes of the spec file. A run and
its export are therefore the same model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from tp_core.data.cache.contents import Content, file_contents
from tp_core.data.cache.digest_cache import DigestCache
from tp_core.options.base import ModuleConfig
from tp_core.options.choice import Chosen
from tp_core.options.marks import paths_in
from tp_core.spec.choices.module_nodes import all_modules
from tp_core.spec.schema import Spec
from tp_core.spec.trained.load_for_use import load_for_use
from tp_core.spec.trained.portable import for_use, replaced
from tp_core.spec.trained.use import using

#: Parts of ``data:`` that are modules.
_OF_DATA = ("tokenizer", "target_tokenizer", "processor")


class NestedModel(NamedTuple):
    """A model that a module names.

    Attributes:
        spec: the model's spec, for inference.
        file: the file of the spec that it was trained with.
        weights: the weights, in one of the forms of :mod:`tp_core.files.tensor_paths`.
    """

    spec: Spec
    file: Path
    weights: Path

    def modules(self) -> list[Chosen[Any]]:
        """The modules that inference needs, without those that other modules choose."""
        return [*self.spec.model.chosen(), *self.spec.data.chosen()]


def nested_model(path: str) -> NestedModel:
    """The model in a folder: an export, a run or a checkpoint.

    Raises:
        TPError: the folder has no model, or its spec cannot be loaded.
    """
    from tp_core.artifacts.find import find_model

    file, weights = find_model(path)
    spec = load_for_use(file)
    with using():
        return NestedModel(for_use(spec), file, weights)


def nested_models(config: ModuleConfig) -> Iterator[tuple[str, NestedModel]]:
    """The models that a module names, by option.

    Raises:
        TPError: a model does not exist.
    """
    for option, path in config.models().items():
        yield option, nested_model(path)


def module_files(chosen: Chosen[Any], digest_cache: DigestCache | None = None) -> list[Content]:
    """The files that determine a module's behaviour: its own files, and those of the models that it names.

    Raises:
        TPError: a file or a model does not exist or cannot be read.
    """
    found = file_contents(chosen.config.contents(), digest_cache, chosen.config.unread)
    for option, model in nested_models(chosen.config):
        found += [each._replace(inside=f"{option}/{each.inside}") for each in model_files(model, digest_cache)]
    return found


def model_files(model: NestedModel, digest_cache: DigestCache | None = None) -> list[Content]:
    """The content of a model: weights, the used part of the spec, and the files of its modules."""
    weights = Content(str(model.weights), "weights", weights_digest(model, digest_cache))
    digest = hashlib.blake2b(json.dumps(used_part(model.spec), sort_keys=True).encode(), digest_size=16).hexdigest()
    found = [weights, Content(str(model.file), "spec", digest)]
    for chosen in all_modules(model.spec):
        found += [each._replace(inside=f"{chosen.place}/{each.inside}") for each in module_files(chosen, digest_cache)]
    return found


def weights_digest(model: NestedModel, digest_cache: DigestCache | None = None) -> str:
    """The digest of a model's weights: that of their file, or one of the digests of several files."""
    from tp_core.files.tensor_paths import files_of

    digests = [each.digest for each in file_contents(map(str, files_of(model.weights)), digest_cache)]
    return digests[0] if len(digests) == 1 else hashlib.blake2b("".join(digests).encode(), digest_size=16).hexdigest()


def used_part(spec: Spec) -> dict[str, Any]:
    """The modules and sizes that inference uses, as plain values without paths. Streams and data sets keep order."""
    plain = replaced(spec, bare).dump()
    model, data = plain["model"], plain.get("data", {})
    streams = [[name, each] for name, each in model.pop("streams", {}).items()]
    sets = [[name, own.get("processor")] for name, own in data.get("sets", {}).items()]
    return {"model": model, "streams": streams, "data": {key: data.get(key) for key in _OF_DATA}, "sets": sets}


def bare(chosen: Chosen[Any]) -> Chosen[Any]:
    """A module without its paths and its distribution, for comparisons only."""
    config = chosen.config
    values = {name: getattr(config, name) for name in {option.partition(".")[0] for option in paths_in(config)}}
    changed = {name: "a file" if isinstance(path, str) else ["a file"] * len(path) for name, path in values.items()}
    return replace(chosen, written=chosen.name, config=config.model_copy(update=changed))
