"""The export of a trained model: a folder that holds all that using it needs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from tp_core.interfaces import Tokenizer
from tp_core.spec.local_files import local_files
from tp_core.spec.schema import Spec

WEIGHTS = "model.safetensors"


def save_weights(tensors: dict[str, Tensor], path: Path) -> None:
    """Write weights as safetensors."""
    save_file({n: t.detach().cpu().contiguous() for n, t in tensors.items()}, str(path), metadata={"format": "pt"})


def portable_spec(spec: Spec, tokenizers: Mapping[str, Tokenizer], folder: Path) -> dict[str, Any]:
    """The resolved spec with the files that using the model needs copied into ``folder`` and named relative to it."""
    plain = spec.dump()
    plain.pop("init_from", None)
    data = plain.get("data", {})
    for key in ("train", "eval", "cache"):
        data.pop(key, None)
    for key, tokenizer in tokenizers.items():
        (folder / key).mkdir()
        options = tokenizer.save(folder / key)
        chosen: Any = getattr(spec.data, key)
        files, own = chosen.config.files(), data[key][chosen.name]
        own.update({k: f"{key}/{v}" if k in files else v for k, v in options.items()})
    for name, part in {"": spec.data, **spec.data.sets}.items():
        own = data.get("sets", {}).get(name, {}) if name else data
        if part.processor is not None and "processor" in own:
            inside = f"processor_{name}" if name else "processor"
            own["processor"][part.processor.name].update(part.processor.config.save(folder, inside))
    return plain


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
    plain = portable_spec(spec, tokenizers, temporary)
    text = yaml.dump(plain, Dumper=spec_dumper(), sort_keys=False, allow_unicode=True)
    (temporary / "spec.yaml").write_text(text, encoding="utf-8")
    (temporary / "provenance.json").write_text(json.dumps(spec.provenance(), indent=1) + "\n")
    copy_local_modules(spec, temporary)
    save_weights(tensors, temporary / WEIGHTS)
    if folder.exists():
        os.rename(folder, old)
        os.rename(temporary, folder)
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.rename(temporary, folder)
    return folder
