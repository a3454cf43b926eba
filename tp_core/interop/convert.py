"""The function :func:`convert`, which converts models from one format to another."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tp_core import discovery
from tp_core.data.cache.manifest import write_manifest
from tp_core.errors import TPError
from tp_core.files.whole_files import draft, sync, sync_all
from tp_core.interop.flags import flag
from tp_core.local.trust import trusting
from tp_core.options.format import FormatConfig
from tp_core.spec.choices.find import config_class
from tp_core.suggest import did_you_mean

#: The name of our own format, to which or from which all models are converted.
OWN = "tp"


def convert(
    from_format: str,
    source: str | os.PathLike[str],
    to_format: str,
    target: str | os.PathLike[str],
    *,
    say: Callable[[str], None] = lambda _: None,
    trust_code: bool = False,
    **options: Any,
) -> Path:
    """Convert a model, one tensor at a time.

    Args:
        from_format: ``tp``, or a format that an installed package offers, such as ``huggingface``.
        source: the model; for ``tp``, a model, run or checkpoint.
        to_format: the other format. One of both is ``tp``.
        target: the folder to write. It must be empty or not exist. It only appears when the conversion is complete.
        say: receives notes for the user.
        trust_code: run Python files in the model's folder if its modules are defined there.
        options: options of the other format. Those of ``huggingface`` are ``architecture``, ``model_type``,
            ``max_shard_size``, ``resize_vocabulary`` and ``ignore_keys``; ``tp convert --help`` describes them.

    Returns:
        The target folder.

    Raises:
        TPError: a format or an option is unknown, or the model cannot be converted.
    """
    discovery.refresh()
    if (from_format == OWN) == (to_format == OWN):
        raise TPError(f"cannot convert from {from_format} to {to_format}; one of both must be {OWN}")
    name, reading = (from_format, True) if to_format == OWN else (to_format, False)
    made = _options(name, options, reading).build(name)
    read, folder = Path(source), Path(target)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise TPError(f"{folder} exists already; give a folder that does not exist, or an empty one")
    place = Path(os.path.abspath(folder))
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with draft(place) as temporary:
            temporary.mkdir()
            if reading:
                made.read(read, temporary, say)
                write_manifest(temporary)
            else:
                with trusting(trust_code):
                    made.write(read, temporary, say)
                sync_all(temporary)
            os.replace(temporary, place)
            sync(place.parent)
    except OSError as error:
        raise TPError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return folder


def format_options(name: str) -> type[FormatConfig]:
    """The class of the options of a format.

    Raises:
        TPError: no installed package offers the format.
    """
    cls, _ = config_class("format", name, ".")
    assert issubclass(cls, FormatConfig)
    return cls


def _options(name: str, given: dict[str, Any], reading: bool) -> FormatConfig:
    cls = format_options(name)
    for option, value in given.items():
        if option not in cls.model_fields:
            near = did_you_mean(option, cls.model_fields) or f"its options are {', '.join(cls.model_fields) or 'none'}"
            raise TPError(f"the format '{name}' has no option '{option}'; {near}")
        other = cls.writing if reading else cls.reading
        if option in other and value != cls.model_fields[option].get_default(call_default_factory=True):
            way = "to" if reading else "from"
            raise TPError(f"{flag(option)} is for models {way} {name}, not for this conversion")
    try:
        return cls.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        option = ".".join(str(part) for part in first["loc"])
        if first["type"] == "list_type" and isinstance(first["input"], str):
            raise TPError(f"'{option}' must be a list, such as ['{first['input']}'], not a text") from None
        raise TPError(f"the option '{option}' of the format '{name}': {first['msg']}, got {first['input']!r}") from None
