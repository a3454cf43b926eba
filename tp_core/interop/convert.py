"""The function :func:`convert`, which converts models from one format to another."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from tp_core import discovery
from tp_core.data.cache.manifest import write_manifest
from tp_core.errors import TPError
from tp_core.files.sizes import parse_size
from tp_core.files.whole_files import draft, sync, sync_all
from tp_core.local.trust import trusting

FORMATS = ("huggingface", "tp")

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def convert(
    from_format: str,
    source: str | os.PathLike[str],
    to_format: str,
    target: str | os.PathLike[str],
    *,
    architecture: str | None = None,
    model_type: str | None = None,
    max_shard_size: str = "5GB",
    resize_vocabulary: bool = False,
    ignore_keys: Sequence[str] = (),
    say: Callable[[str], None] = lambda _: None,
    trust_code: bool = False,
) -> Path:
    """Convert a model, one tensor at a time.

    Args:
        from_format: ``huggingface`` or ``tp``.
        source: a folder with config.json and weights, or a model, run or checkpoint of tp.
        to_format: the other format.
        target: the folder to write. It must be empty or not exist. It only appears when the conversion is complete.
        architecture: class in transformers, such as ``BertForMaskedLM``; default: the architecture in config.json, or
            the one with a head for each of the model's targets.
        model_type: name of the converter; default: the ``model_type`` in config.json, or the converter that fits.
        max_shard_size: maximum size of a file of Hugging Face weights, such as ``5GB``.
        resize_vocabulary: allow a vocabulary size that differs from config.json. Extra rows are cut off; missing rows
            are drawn from N(mean, std) of the existing rows.
        ignore_keys: keys of config.json and the other JSON files to ignore, such as ``rope_scaling`` or
            ``text_config.hidden_act``. Any other key that cannot be converted is an error.
        say: receives notes for the user.
        trust_code: run Python files in the model's folder if its modules are defined there.

    Returns:
        The target folder.

    Raises:
        TPError: the formats are unknown, or the model cannot be converted.
    """
    discovery.refresh()
    if {from_format, to_format} != set(FORMATS):
        raise TPError(f"cannot convert from {from_format} to {to_format}; from huggingface to tp, or back")
    if resize_vocabulary and to_format == "huggingface":
        raise TPError("--resize-vocabulary is for models from huggingface; those of tp have the size that they say")
    if ignore_keys and to_format == "huggingface":
        raise TPError("--ignore-key is for models from huggingface, whose config.json may have keys of any kind")
    if isinstance(ignore_keys, str):
        raise TPError(f"ignore_keys must be a list of keys, such as ['{ignore_keys}'], not a string")
    limit = parse_size(max_shard_size)
    if not limit:
        raise TPError(f"'{max_shard_size}' is no size that a file of weights can have")
    read, folder = Path(source), Path(target)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise TPError(f"{folder} exists already; give a folder that does not exist, or an empty one")
    # Imported here because these import torch.
    from tp_core.interop.from_huggingface import from_huggingface
    from tp_core.interop.to_huggingface import to_huggingface

    place = Path(os.path.abspath(folder))
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with draft(place) as temporary:
            temporary.mkdir()
            if from_format == "huggingface":
                from_huggingface(read, temporary, architecture, model_type, resize_vocabulary, ignore_keys, say)
                write_manifest(temporary)
            else:
                with trusting(trust_code):
                    to_huggingface(read, temporary, architecture, model_type, limit, say)
                sync_all(temporary)
            os.replace(temporary, place)
            sync(place.parent)
    except OSError as error:
        raise TPError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return folder
