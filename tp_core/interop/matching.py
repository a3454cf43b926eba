"""The matching of a model's weights with a checkpoint's tensors, by the rules of a converter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tp_core.errors import CheckpointError
from tp_core.interop.rules import Computed, Copy, Ignored, Own, Rule, Shape, WeightRule, match
from tp_core.interop.tensors import Tensors

if TYPE_CHECKING:
    from torch import Tensor

_SHOWN = 12


@dataclass(frozen=True)
class Link:
    """One weight of the model, with the checkpoint tensors from which it is made.

    A tensor that contains several weights of the model is in the links of all of them.

    Attributes:
        rule: the rule that converts between the two.
        ours: name of the model's weight.
        theirs: name → shape of the checkpoint's tensors, in the order of the rule.
    """

    rule: Rule
    ours: str
    theirs: Mapping[str, Shape]


@dataclass
class Fit:
    """The result of comparing a checkpoint with the weights that the model needs.

    Attributes:
        sources: name of each tensor → name in the checkpoint from which it is read, which may be that of a copy.
        left_out: tensors of heads that the model does not have.
        resized: tensors whose number of rows changes → the new number of rows.
    """

    sources: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    resized: dict[str, int] = field(default_factory=dict)


class WeightMap:
    """A table of rules for one model.

    Args:
        table: the converter's rules.
        ours: names and shapes of the model's weights.
        converter: name of the converter, for messages.

    Attributes:
        ours: names and shapes of the model's weights.
        rules: the rules of the table.
        copies: tensors that repeat others.
        computed: tensors that the model computes.
        ignored: tensors that are ignored.
        links: one link per weight of the model that checkpoints have, in the order of the model.

    Raises:
        CheckpointError: the table has no rule for a weight of the model.
    """

    def __init__(self, table: Sequence[WeightRule], ours: Mapping[str, Shape], converter: str) -> None:
        self.ours = dict(ours)
        self.rules = [entry for entry in table if isinstance(entry, Rule)]
        self.copies = [entry for entry in table if isinstance(entry, Copy)]
        self.computed = [entry for entry in table if isinstance(entry, Computed)]
        self.ignored = [entry for entry in table if isinstance(entry, Ignored)]
        self.links: list[Link] = []
        unknown: list[str] = []
        unwritten = {entry.ours for entry in table if isinstance(entry, Own)}
        for name, shape in ours.items():
            if name in unwritten:
                continue
            for rule in self.rules:
                names = rule.names_for(name)
                if names is not None:
                    self.links.append(Link(rule, name, dict(zip(names, rule.shapes(shape)))))
                    break
            else:
                unknown.append(name)
        if unknown:
            raise CheckpointError(
                listed(f"the converter '{converter}' does not know these weights of the model:", unknown)
            )

    def theirs(self) -> dict[str, Shape]:
        """All tensors of the model's checkpoint with their shapes; copies and computed tensors are last."""
        found = {name: shape for link in self.links for name, shape in link.theirs.items()}
        found |= {copy.theirs: found[copy.of] for copy in self.copies if copy.written and copy.of in found}
        return found | {entry.theirs: entry.shape for entry in self.computed}

    def known(self, name: str) -> bool:
        """True if an entry of the table applies to this tensor of a checkpoint."""
        return (
            any(rule.knows(name) for rule in self.rules)
            or any(copy.theirs == name for copy in self.copies)
            or any(made.theirs == name for made in self.computed)
            or any(entry.knows(name) for entry in self.ignored)
        )

    def _is_head(self, name: str) -> bool:
        about = [rule for rule in self.rules if rule.knows(name)]
        return bool(about) and all(rule.ours.startswith("targets.") for rule in about)

    def fit(self, tensors: Tensors, resize: bool, heads: Iterable[str] = ()) -> Fit:
        """Compare a checkpoint with the weights that the model needs.

        Args:
            tensors: the checkpoint.
            resize: True if the number of rows of vocabularies may change.
            heads: tensors that may be left out, in addition to those of heads in the table.

        Raises:
            CheckpointError: tensors are missing, unexpected or have another shape; one message lists all of them.
        """
        found, missing, wrong, rows = Fit(), [], [], False
        seen: set[str] = set()
        for link in self.links:
            for name, expected in link.theirs.items():
                if name in seen:  # the tensor contains several weights
                    continue
                seen.add(name)
                source = self._source(name, tensors)
                if source is None:
                    missing.append(name)
                    continue
                found.sources[name] = source
                shape = tensors.shapes[source]
                if shape == expected:
                    continue
                if link.rule.vocabulary and shape[1:] == expected[1:] and len(shape) == len(expected):
                    found.resized[name] = expected[0]
                    rows = True
                    if resize:
                        continue
                wrong.append(f"'{source}' has shape {shape}; expected {expected}")
        extra, allowed = [], set(heads)
        used = set(found.sources.values())
        for name in tensors.shapes:
            if name in used or self._explained(name, tensors, used, wrong):
                continue
            if name in allowed or self._is_head(name):
                found.left_out.append(name)
            else:
                extra.append(f"'{name}' {tensors.shapes[name]}")
        if missing or extra or wrong:
            raise CheckpointError(self._report(missing, extra, wrong, rows, len(self.theirs())))
        return found

    def _source(self, name: str, tensors: Tensors) -> str | None:
        if name in tensors.shapes:
            return name
        stand_ins = [copy.theirs for copy in self.copies if copy.of == name and copy.theirs in tensors.shapes]
        return stand_ins[0] if stand_ins else None

    def _explained(self, name: str, tensors: Tensors, used: set[str], wrong: list[str]) -> bool:
        """True for an unused tensor that may exist: a copy, a buffer or an ignored tensor.

        A message is added to ``wrong`` if the tensor does not have the expected values.
        """
        for copy in self.copies:
            if copy.theirs == name and copy.of in used:
                same = not copy.checked or _same(tensors, name, copy.of)
                if not same:
                    wrong.append(f"'{name}' differs from '{copy.of}', but config.json declares them as shared")
                return True
        for made in self.computed:
            if made.theirs == name:
                if not made.checked:
                    return True
                if tensors.shapes[name] != made.shape:
                    wrong.append(f"'{name}' has shape {tensors.shapes[name]}; expected {made.shape}")
                elif not _close(tensors.read(name), made.values()):
                    wrong.append(f"'{name}' differs from the values that the model computes")
                return True
        for entry in self.ignored:
            if match(entry.theirs, name) is not None:
                if entry.zero and bool(tensors.read(name).any()):
                    wrong.append(f"'{name}' is not zero, but the model has no such weight")
                return True
        return False

    @staticmethod
    def _report(missing: list[str], extra: list[str], wrong: list[str], rows: bool, count: int) -> str:
        parts = []
        if missing:
            parts.append(listed(f"missing ({len(missing)} of {count}):", [f"'{name}'" for name in missing]))
        if extra:
            parts.append(listed(f"unexpected ({len(extra)}):", extra))
        if wrong:
            parts.append(listed(f"different ({len(wrong)}):", wrong))
        if rows and wrong:
            parts.append("the vocabulary has another size; --resize-vocabulary cuts rows off or draws new ones")
        return "the tensors do not fit the config:\n" + "\n".join(parts)


def _same(tensors: Tensors, name: str, other: str) -> bool:
    import torch

    if tensors.shapes[name] != tensors.shapes[other]:
        return False
    return bool(torch.equal(tensors.read(name), tensors.read(other)))


def _close(stored: Tensor, computed: Tensor) -> bool:
    import torch

    # Half precision has about three decimal digits.
    return bool(torch.allclose(stored.float(), computed, atol=1e-3 if stored.dtype.itemsize < 4 else 1e-5))


def listed(head: str, lines: list[str]) -> str:
    """A heading with its lines, of which at most 12 are shown."""
    shown = [f"  {line}" for line in lines[:_SHOWN]]
    if len(lines) > _SHOWN:
        shown.append(f"  ... and {len(lines) - _SHOWN} more")
    return "\n".join([head, *shown])
