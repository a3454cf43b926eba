"""Options of the source that divides data into folds. Torch-free."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field, ValidationInfo, field_validator

from tp_core.options.base import Problem
from tp_core.options.source import Inputs, SourceConfig


class FoldConfig(SourceConfig):
    """Cross-validation: the records of other data that are inside, or outside, one of several folds.

    Records are divided by their numbers. The division depends on the data and on the options only, so the held-out fold
    and the rest have no record in common and together are all records.
    """

    implementation: ClassVar[str] = "tp_core.data.sources.fold:Fold"

    of: Inputs = Field(description="the data, written as in data.train: paths, and choices of sources")
    folds: int = Field(5, ge=2, le=1000, description="number of folds")
    number: int = Field(0, ge=0, description="number of the held-out fold, from 0")
    held_out: bool = Field(False, description="true: read the records of the fold; false: read all other records")
    seed: int = Field(0, ge=0, lt=2**63, description="seed of the division")
    stratify: str | None = Field(
        None, min_length=1, description="column with classes: each class has the same share of all folds"
    )
    group: str | None = Field(
        None, min_length=1, description="column with groups: records with the same value are in the same fold"
    )

    def check_beside(self, train: SourceConfig) -> Iterator[Problem]:
        if not isinstance(train, FoldConfig) or self.of != train.of:
            return
        if self.held_out == train.held_out:
            kind = "its own fold" if self.held_out else "all folds but one"
            yield Problem("held_out", f"is {str(self.held_out).lower()} in data.train, too: both read {kind}")
            return
        for option in ("folds", "number", "seed", "stratify", "group"):
            own, other = getattr(self, option), getattr(train, option)
            if own != other:
                shown = ["null" if each is None else str(each) for each in (own, other)]
                message = f"is {shown[0]}, and {shown[1]} in data.train, so that it has records of the training"
                yield Problem(option, message)
                return

    @field_validator("number")
    @classmethod
    def _is_a_fold(cls, number: int, info: ValidationInfo) -> int:
        folds = info.data.get("folds")
        if folds is not None and number >= folds:
            raise ValueError(f"is {number}; the {folds} folds have the numbers 0 to {folds - 1}")
        return number
