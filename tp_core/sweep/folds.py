"""The folds of a sweep: the data of a spec, divided by the source ``fold``."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tp_core.data.classes.options import ClassLabelOptions
from tp_core.data.sources.fold import Fold
from tp_core.data.sources.fold_options import FoldConfig
from tp_core.data.sources.folder_rules import folder_rules
from tp_core.data.sources.passed_over import PassedOver
from tp_core.errors import TPError
from tp_core.options.choice import Chosen
from tp_core.spec.schema import Spec
from tp_core.spec.sections.data import Given
from tp_core.sweep.axes import flow
from tp_core.sweep.plan import Plan


@dataclass(frozen=True)
class Folds:
    """The folds of a spec's training data.

    Attributes:
        of: the data, as in ``data.train``.
        division: the fold of each record.
    """

    count: int
    of: list[Given]
    seed: int
    stratify: str | None
    group: str | None
    division: Sequence[int] = field(default=(), repr=False)

    def config(self, number: int, held_out: bool) -> FoldConfig:
        """The options of the source for one fold, or for the other records."""
        return FoldConfig(
            of=self.of,
            folds=self.count,
            number=number,
            held_out=held_out,
            seed=self.seed,
            stratify=self.stratify,
            group=self.group,
        )

    def settings(self, number: int) -> list[str]:
        """The settings of a run that trains on all folds but one, and is evaluated on that one."""
        each = (("data.train", False), ("data.eval", True))
        return [
            f"{key}={flow({'fold': self.config(number, held_out).model_dump(mode='json')})}" for key, held_out in each
        ]

    def dump(self) -> dict[str, Any]:
        """The options as plain values, with a digest of the division."""
        division = ",".join(map(str, self.division)).encode()
        return {
            "folds": self.count,
            "seed": self.seed,
            "stratify": self.stratify,
            "group": self.group,
            "division": hashlib.blake2b(division, digest_size=16).hexdigest(),
        }


def folds_of(plan: Plan, spec: Spec) -> Folds | None:
    """The folds of a sweep; None if it has none. All records are read once.

    Raises:
        TPError: the spec has several data sets, or no class labels to stratify by.
        DataError: the data cannot be divided.
    """
    options = plan.options
    if options.folds is None:
        return None
    if spec.data.sets:
        raise TPError("--folds divides data.train, and this spec has data.sets; its sets may name the source 'fold'")
    given = spec.data.options.given("train")
    if not given:
        raise TPError("--folds divides data.train, which this spec lacks")
    for each in given:
        if isinstance(each, Chosen) and not each.portable and Path.cwd() != spec.base.resolve():
            message = f"--folds: the source '{each.written}' is in a file beside the spec"
            raise TPError(f"{message}; call tp sweep in that folder: {spec.base}")
    found = Folds(options.folds, given, options.seed, _stratify(plan, spec), options.group)
    source = found.config(0, held_out=True).build()
    assert isinstance(source, Fold)
    division = source.by_rules(folder_rules(spec.data), PassedOver()).division.tolist()
    return replace(found, division=division)


def _stratify(plan: Plan, spec: Spec) -> str | None:
    """The column with the classes; None to divide without regard to classes."""
    asked, data = plan.options.stratify, spec.data
    config = None if data.processor is None else data.processor.config
    if asked is False or not (asked or isinstance(config, ClassLabelOptions)):
        return None
    if not isinstance(config, ClassLabelOptions):
        name = "no processor" if data.processor is None else f"the processor '{data.processor.name}'"
        raise TPError(f"--stratify needs records with class labels, and this spec has {name}, which reads none")
    label = next(iter(data.options.labels.values()), "label")
    return data.options.columns.get(label, label)
