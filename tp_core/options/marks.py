"""Markers of options that the spec loader treats specially. Torch-free."""

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel


class PathMark:
    """Marks an option as a path. The loader makes it absolute, relative to the folder where it was written."""


class TrainingMark:
    """Marks an option that only changes training or initial values, and not what a trained model computes."""


class PredictionMark:
    """Marks an option that only changes the choice of predictions from what a model computes."""


class SizeMark:
    """Marks an option that drawings of a model always show."""


T = TypeVar("T")

#: An option that names a file or folder.
PathStr = Annotated[str, PathMark()]

#: An option that only changes training or initial values: ``dropout: TrainingOnly[float]``.
TrainingOnly = Annotated[T, TrainingMark()]

#: An option that only changes the choice of predictions from what a model computes: ``n_best: PredictionOnly[int]``.
PredictionOnly = Annotated[T, PredictionMark()]

#: An option that drawings of a model always show: ``num_layers: ModelSize[int]``.
ModelSize = Annotated[T, SizeMark()]


class NamedFile(str):
    """A path that is identified by its role. Wherever the file lies, it counts under the name of the role.

    Attributes:
        inside: the name of the role, such as ``tokenizer.json``.
    """

    inside: str

    def __new__(cls, path: str, inside: str) -> "NamedFile":
        made = super().__new__(cls, path)
        made.inside = inside
        return made


def is_path(info: Any) -> bool:
    """True if an option's field names a file, a folder or a list of them."""
    return any(isinstance(mark, PathMark) for mark in info.metadata) or "PathMark" in str(info.annotation)


def is_training_only(info: Any) -> bool:
    """True if an option, given by its field, only changes training or initial values."""
    return any(isinstance(mark, TrainingMark) for mark in info.metadata)


def is_prediction_only(info: Any) -> bool:
    """True if an option, given by its field, only changes the choice of predictions."""
    return any(isinstance(mark, PredictionMark) for mark in info.metadata)


def is_size(info: Any) -> bool:
    """True if an option, given by its field, is always shown in drawings."""
    return any(isinstance(mark, SizeMark) for mark in info.metadata)


def paths_in(options: BaseModel) -> dict[str, str]:
    """The paths in options, by option; members of a list have their index appended: ``files.0``."""
    found: dict[str, str] = {}
    for name, info in type(options).model_fields.items():
        if not is_path(info):
            continue
        value = getattr(options, name)
        if isinstance(value, str):
            found[name] = value
        elif isinstance(value, list):
            found |= {f"{name}.{number}": path for number, path in enumerate(value) if isinstance(path, str)}
    return found
