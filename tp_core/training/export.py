"""The export of a trained model: a folder that holds all that using it needs."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from tp_core.interfaces import Tokenizer
from tp_core.spec.schema import Spec

WEIGHTS = "model.safetensors"


def save_weights(tensors: dict[str, Tensor], path: Path) -> None:
    """Write weights as safetensors."""
    save_file({n: t.detach().cpu().contiguous() for n, t in tensors.items()}, str(path), metadata={"format": "pt"})


def portable_spec(spec: Spec, tokenizer: Tokenizer | None, folder: Path) -> dict[str, Any]:
    """The resolved spec with the tokenizer's files copied into ``folder`` and named relative to it."""
    plain = spec.dump()
    plain.pop("init_from", None)
    data = plain.get("data", {})
    for key in ("train", "eval", "cache"):
        data.pop(key, None)
    if tokenizer is not None and spec.data.tokenizer is not None:
        options = tokenizer.save(folder / "tokenizer")
        files = spec.data.tokenizer.config.files()
        own = data["tokenizer"][spec.data.tokenizer.name]
        own.update({k: f"tokenizer/{v}" if k in files else v for k, v in options.items()})
    return plain


def export_model(spec: Spec, tensors: dict[str, Tensor], tokenizer: Tokenizer | None, folder: Path) -> Path:
    """Write a self-contained model folder: weights, spec, tokenizer files, provenance of the modules.

    The folder appears under its name only when it is whole; one that was there before is replaced.
    """
    import yaml

    from tp_core.spec.schema import spec_dumper

    temporary = folder.with_name(f".tmp-{folder.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    (temporary / "tokenizer").mkdir(parents=True)
    plain = portable_spec(spec, tokenizer, temporary)
    if tokenizer is None:
        (temporary / "tokenizer").rmdir()
    text = yaml.dump(plain, Dumper=spec_dumper(), sort_keys=False, allow_unicode=True)
    (temporary / "spec.yaml").write_text(text, encoding="utf-8")
    (temporary / "provenance.json").write_text(json.dumps(spec.provenance(), indent=1) + "\n")
    save_weights(tensors, temporary / WEIGHTS)
    if folder.exists():
        old = folder.with_name(f".old-{folder.name}")
        shutil.rmtree(old, ignore_errors=True)
        os.rename(folder, old)
        os.rename(temporary, folder)
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.rename(temporary, folder)
    return folder
