"""Export of a trained model as a folder with everything needed to use it."""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from torch import Tensor

from tp_core.artifacts.contents import Contents, keep_contents
from tp_core.artifacts.layout import TRAINING
from tp_core.artifacts.weights import copy_weights, export_weights
from tp_core.data.cache.manifest import write_manifest
from tp_core.data.cache.nested_models import nested_model
from tp_core.files.whole_files import draft, replace_folder
from tp_core.interfaces import Tokenizer
from tp_core.options.choice import Chosen, within
from tp_core.spec.choices.module_nodes import all_modules
from tp_core.spec.schema import Spec
from tp_core.spec.trained.local_files import local_files
from tp_core.spec.trained.portable import dump_for_use, for_use, replaced
from tp_core.spec.trained.provenance import write_provenance


def portable_spec(spec: Spec, tokenizers: Mapping[str, Tokenizer], folder: Path) -> Spec:
    """The spec of a trained model; the files needed to use it are copied into ``folder`` and named relative to it.

    Args:
        spec: the spec, as returned by :func:`tp_core.spec.trained.portable.for_use`.
    """

    def saved(chosen: Chosen[Any]) -> Chosen[Any]:
        for key, tokenizer in tokenizers.items():
            if chosen.path == getattr(spec.data, key).path:
                (folder / key).mkdir()
                options, files = tokenizer.save(folder / key), chosen.config.files()
                relative = {name: f"{key}/{value}" if name in files else value for name, value in options.items()}
                return replace(chosen, config=chosen.config.model_copy(update=relative))
        # Each module has its own folder, which is only created if the module has files.
        inside = re.sub(r"[^A-Za-z0-9_-]+", "_", chosen.path.removeprefix("data."))
        options = chosen.config.save(folder, inside)
        return replace(chosen, config=chosen.config.model_copy(update=options)) if options else chosen

    return replaced(spec, saved, labels=False)  # what makes labels lies where it lay in training


def copy_local_modules(spec: Spec, folder: Path) -> None:
    """Write the files of the spec's local modules, as they were run, to where a spec in ``folder`` finds them."""
    for file in local_files(spec):
        target = folder / file.inside
        if target.resolve() != Path(file.path).resolve():  # keep a file that was edited in the meantime
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.content)


def changed_local_files(spec: Spec, folder: Path) -> list[str]:
    """The files of local modules that differ from those in a run's folder, by their paths inside the folder."""
    kept = [(folder / file.inside, file) for file in local_files(spec)]
    return [file.inside for path, file in kept if path.is_file() and path.read_bytes() != file.content]


def export_model(
    spec: Spec,
    tensors: Mapping[str, Tensor],
    tokenizers: Mapping[str, Tokenizer],
    folder: Path,
    complete: Callable[[Path], None] = lambda _: None,
    contents: Contents = MappingProxyType({}),
    whole: Callable[[Tensor], Tensor] = lambda tensor: tensor,
) -> Path:
    """Write a self-contained model folder: weights, spec, tokenizer files, provenance of the modules.

    Parts that only training needs, such as hooks and the teacher, are left out; :data:`TRAINING` describes them. The
    folder appears under its name only when it is complete and on the disk, with a manifest of its files' digests. It
    replaces an existing folder.

    Args:
        tensors: the weights, by name; they may be parts of those.
        tokenizers: tokenizers by key of ``data``, as returned by :func:`tp_core.data.build.tokenizers_of`.
        complete: writes additional files into the folder that it is given.
        contents: contents that the model was trained with (:func:`tp_core.training.contents.run_contents`). Those of
            files that evaluations read and the export does not include are stored.
        whole: gives the whole tensor of a part (:meth:`tp_core.Strategy.whole`); called for one weight after the other.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with draft(folder) as temporary:
        temporary.mkdir()
        used = for_use(spec)
        _write_spec(used, tokenizers, temporary)
        (temporary / TRAINING).write_text(spec.to_yaml(), encoding="utf-8")
        write_provenance(all_modules(used, training=False), temporary)
        export_weights(tensors, temporary, whole)
        _keep_labels(used, contents, temporary)
        complete(temporary)
        write_manifest(temporary)
        replace_folder(temporary, folder)
    return folder


def copy_model(source: str, export: Path, inside: str) -> str:
    """Write a model that a module names, such as a visual tokenizer, into the export of the outer model.

    The result is an export as written by :func:`export_model`, whatever ``source`` is. It keeps the package versions
    recorded in the source folder.

    Args:
        source: an export, a run or a checkpoint.
        export: folder of the outer model, whose manifest lists the files.
        inside: name of a subfolder.

    Returns:
        The name of the folder; a different one if ``inside`` already exists.

    Raises:
        TPError: there is no such model.
    """
    from tp_core.data.build import tokenizers_of

    model = nested_model(source)
    names = (inside if not number else f"{inside}-{number}" for number in itertools.count())
    name = next(name for name in names if not (export / name).exists())
    folder = export / name
    folder.mkdir(parents=True)
    _write_spec(model.spec, tokenizers_of(model.spec), folder)
    told = model.file.parent / TRAINING
    shutil.copyfile(told if told.is_file() else model.file, folder / TRAINING)
    write_provenance(all_modules(model.spec, training=False), folder, model.file.parent)
    copy_weights(model.weights, folder)
    return name


def _write_spec(used: Spec, tokenizers: Mapping[str, Tokenizer], folder: Path) -> None:
    """Write the spec of an export with its files and local modules."""
    import yaml

    from tp_core.spec.schema import spec_dumper

    plain = dump_for_use(portable_spec(used, tokenizers, folder))
    text = yaml.dump(plain, Dumper=spec_dumper(), sort_keys=False, allow_unicode=True)
    (folder / "spec.yaml").write_text(text, encoding="utf-8")
    copy_local_modules(used, folder)


def _keep_labels(used: Spec, contents: Contents, folder: Path) -> None:
    """Store the contents of the files that make labels of targets. These files are not copied into the export."""
    makers = [each.place for chosen in used.model.targets for each in (chosen, *within(chosen))]
    if kept := {place: contents[place] for place in makers if place in contents}:
        keep_contents(kept, folder)
