"""Data: what processors and sources are made of.

A name is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tp_core.lazy import lazy_import

if TYPE_CHECKING:
    from tp_core.data.classes.labels import ClassLabels as ClassLabels
    from tp_core.data.classes.labels import RecordClasses as RecordClasses
    from tp_core.data.classes.options import ClassLabelOptions as ClassLabelOptions
    from tp_core.data.classes.set_options import ClassSetOptions as ClassSetOptions
    from tp_core.data.classes.sets import ClassSets as ClassSets
    from tp_core.data.classes.sets import RecordClassSets as RecordClassSets
    from tp_core.data.fields import missing_field as missing_field
    from tp_core.data.fields import required_text as required_text
    from tp_core.data.fields import text_field as text_field
    from tp_core.data.label_options import LabelOptions as LabelOptions
    from tp_core.data.labels import LabelReader as LabelReader
    from tp_core.data.labels import RecordLabels as RecordLabels
    from tp_core.data.numbers.options import NumberLabelOptions as NumberLabelOptions
    from tp_core.data.numbers.reader import Numbers as Numbers
    from tp_core.data.numbers.reader import RecordNumbers as RecordNumbers
    from tp_core.data.padding import joined as joined
    from tp_core.data.padding import padded as padded
    from tp_core.data.padding import token_inputs as token_inputs
    from tp_core.data.sources.base import Source as Source
    from tp_core.data.spelling import spelled as spelled

_PUBLIC = {
    "ClassLabels": "tp_core.data.classes.labels",
    "RecordClasses": "tp_core.data.classes.labels",
    "ClassLabelOptions": "tp_core.data.classes.options",
    "ClassSetOptions": "tp_core.data.classes.set_options",
    "ClassSets": "tp_core.data.classes.sets",
    "RecordClassSets": "tp_core.data.classes.sets",
    "missing_field": "tp_core.data.fields",
    "required_text": "tp_core.data.fields",
    "text_field": "tp_core.data.fields",
    "LabelOptions": "tp_core.data.label_options",
    "LabelReader": "tp_core.data.labels",
    "RecordLabels": "tp_core.data.labels",
    "NumberLabelOptions": "tp_core.data.numbers.options",
    "Numbers": "tp_core.data.numbers.reader",
    "RecordNumbers": "tp_core.data.numbers.reader",
    "joined": "tp_core.data.padding",
    "padded": "tp_core.data.padding",
    "token_inputs": "tp_core.data.padding",
    "Source": "tp_core.data.sources.base",
    "spelled": "tp_core.data.spelling",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    return lazy_import(__name__, _PUBLIC, name)


def __dir__() -> list[str]:
    return __all__
