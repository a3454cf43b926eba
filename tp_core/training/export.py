"""The export of a trained model: a folder that holds all that using it needs."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from tp_core.interfaces import Tokenizer
from tp_core.spec.local_files import local_files
from tp_core.spec.portable import dump_for_use, for_use, replaced
from tp_core.spec.provenance import write_provenance
from tp_core.spec.schema import Spec
from tp_core.spec.schema_common import Chosen

WEIGHTS = "model.safetensors"

#: The whole spec of the training, for people to read.
TRAINING = "training.yaml"


def save_weights(tensors: dict[str, Tensor], path: Path) -> None:
    """Write weights as safetensors."""
    save_file({n: t.detach().cpu().contiguous() for n, t in tensors.items()}, str(path), metadata={"format": "pt"})


def portable_spec(spec: Spec, tokenizers: Mapping[str, Tokenizer], folder: Path) -> Spec:
    """The spec of a trained model, with the files that using it needs copied into ``folder`` and named relative to it.

    Args:
        spec: as :func:`tp_core.spec.portable.for_use` gives it.
    """

    def saved(chosen: Chosen[Any]) -> Chosen[Any]:
        for key, tokenizer in tokenizers.items():
            if chosen is getattr(spec.data, key):
                (folder / key).mkdir()
                options, files = tokenizer.save(folder / key), chosen.config.files()
                relative = {name: f"{key}/{value}" if name in files else value for name, value in options.items()}
                return replace(chosen, config=chosen.config.model_copy(update=relative))
        # Each module has a folder of its own, which only those with files get.
        inside = re.sub(r"[^A-Za-z0-9_-]+", "_", chosen.path.removeprefix("data."))
        options = chosen.config.save(folder, inside)
        return replace(chosen, config=chosen.config.model_copy(update=options)) if options else chosen

    return replaced(spec, saved)


def copy_local_modules(spec: Spec, folder: Path) -> None:
    """Write the files of the spec's local modules to where a spec in ``folder`` finds them, as they were run."""
    for file in local_files(spec):
        target = folder / file.inside
        if target.resolve() != Path(file.path).resolve():  # a file that was edited in the meantime stays as it is
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.content)


def changed_local_files(spec: Spec, folder: Path) -> list[str]:
    """The files of local modules, by their paths inside a run's folder, that are not as the run has them."""
    kept = [(folder / file.inside, file) for file in local_files(spec)]
    return [file.inside for path, file in kept if path.is_file() and path.read_bytes() != file.content]


def export_model(spec: Spec, tensors: dict[str, Tensor], tokenizers: Mapping[str, Tokenizer], folder: Path) -> Path:
    """Write a self-contained model folder: weights, spec, tokenizer files, provenance of the modules.

    What only training needed, its hooks and teacher for example, is no part of it; :data:`TRAINING` tells of it.
    The folder appears under its name only when it is whole; one that was there before is replaced.

    Args:
        tokenizers: by their key of ``data``, as :func:`tp_core.inference.load.tokenizers_of` gives them.
    """
    import yaml

    from tp_core.spec.schema import spec_dumper

    temporary, old = folder.with_name(f".tmp-{folder.name}"), folder.with_name(f".old-{folder.name}")
    for leftover in (temporary, old):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary.mkdir(parents=True)
    used = for_use(spec)
    plain = dump_for_use(portable_spec(used, tokenizers, temporary))
    text = yaml.dump(plain, Dumper=spec_dumper(), sort_keys=False, allow_unicode=True)
    (temporary / "spec.yaml").write_text(text, encoding="utf-8")
    (temporary / TRAINING).write_text(spec.to_yaml(), encoding="utf-8")
    write_provenance(used, temporary)
    copy_local_modules(used, temporary)
    save_weights(tensors, temporary / WEIGHTS)
    if folder.exists():
        os.rename(folder, old)
        os.rename(temporary, folder)
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.rename(temporary, folder)
    return folder
