"""A fine-tuning of the original, as a part of a spec."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import Any

from tp_core.errors import TPError
from tp_tencentpretrain.spec_import.corpora import table
from tp_tencentpretrain.spec_import.given import Given

#: The original's default of --seq_length.
LENGTH = 128


@dataclass
class Task:
    """A fine-tuning.

    Attributes:
        targets: the ``target:`` part of a spec; empty for the targets of the config.
        data: the ``data:`` part of a spec, without its tokenizers.
        metric: the metric whose best evaluation the script keeps; empty if it keeps the last weights.
        rows: the number of training samples; None if they were not counted.
        name: the task of :mod:`tp_tencentpretrain.mapping.head`; None for another one.
        copies: True for two streams that are copies of the model.
        notes: sentences for the user.
    """

    targets: list[Any]
    data: dict[str, Any]
    metric: str = ""
    rows: int | None = None
    name: str | None = None
    copies: bool = False
    notes: list[str] = field(default_factory=list)

    def evaluations(self, batch: int, epochs: int) -> dict[str, Any]:
        """The options of ``train:`` that keep the best weights: an evaluation after each epoch."""
        if not self.metric or not self._evaluated() or not epochs:
            return {}
        stopping = {"early_stopping": {"metric": self.metric, "patience": epochs}}
        if self.rows is None:
            self.notes.append(
                "the original evaluates after each epoch: set train.eval_every to the number of steps of an epoch"
            )
            return stopping
        return {"eval_every": ceil(self.rows / batch), **stopping}

    def _evaluated(self) -> bool:
        return "eval" in self.data or any("eval" in each for each in self.data.get("sets", {}).values())


def length(given: Given) -> dict[str, Any]:
    """The option ``max_length`` of a processor."""
    return {"max_length": given.get("seq_length", LENGTH)}


def train_path(given: Given) -> str:
    """The training data.

    Raises:
        TPError: the command line does not name them.
    """
    if "train_path" not in given:
        raise TPError("the command line has no --train_path, the training data")
    return str(given["train_path"])


def files(given: Given, source: str | None = None) -> dict[str, Any]:
    """``train`` and ``eval``, read by a source if their format needs one."""
    found = {"train": train_path(given), **({"eval": given["dev_path"]} if "dev_path" in given else {})}
    if source is None:
        return {side: table(path) for side, path in found.items()}
    return {side: [{source: {"path": path}}] for side, path in found.items()}
