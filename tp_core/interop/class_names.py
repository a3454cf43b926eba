"""The names of a classifier's classes: ``id2label`` of a config.json, and names in the spec's processor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tp_core.data.label_options import LabelOptions

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec


def label_names(spec: Spec, count: int) -> dict[str, Any]:
    """``id2label`` and ``label2id`` of a config.json, with the names in the spec's processor if it has them.

    Args:
        spec: the spec.
        count: number of classes, or of the outputs of a regression.
    """
    processor = spec.data.processor
    config = processor.config if processor is not None else None
    if isinstance(config, LabelOptions):
        known = config.label_names()
    else:
        known = None if config is None else config.class_names()
    names = known if known and len(known) == count else [f"LABEL_{n}" for n in range(count)]
    return {
        "id2label": {str(n): name for n, name in enumerate(names)},
        "label2id": {name: n for n, name in enumerate(names)},
    }


def class_names(config: Mapping[str, Any]) -> list[str] | None:
    """The class names in ``id2label``; None if there are none or only numbered ones (``LABEL_0``).

    The second of two equal names gets its number as a suffix.
    """
    names = config.get("id2label")
    if not isinstance(names, dict) or all(str(name).startswith("LABEL_") for name in names.values()):
        return None
    numbered = {str(number): str(name) for number, name in names.items()}
    if numbered.keys() != {str(n) for n in range(len(numbered))}:
        return None
    found: list[str] = []
    for n in range(len(numbered)):
        name = numbered[str(n)]
        found.append(name if name not in found else f"{name} ({n})")
    return found
