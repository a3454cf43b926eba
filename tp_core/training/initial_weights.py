"""The report of ``init_from``: which weights were loaded, which start at random, and which were not used."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tp_core.files.bounded_reads import read_json
from tp_core.files.whole_files import write_whole
from tp_core.terminal import WARNING

#: The report in a run's folder.
REPORT = "initial_weights.json"

#: Maximum number of modules in a line.
_SHOWN = 12

#: The share of the parameters above which a random start is never expected.
_MOST = 0.5


@dataclass(frozen=True)
class Group:
    """Some weights of one module.

    Attributes:
        module: the beginning of the weights' names.
        tensors: number of weights.
        parameters: number of their values.
        reason: the reason why they were not loaded; empty for weights of the other model.
    """

    module: str
    tensors: int
    parameters: int
    reason: str = ""

    def counts(self) -> str:
        return f"{self.tensors} tensor{'s' * (self.tensors != 1)}, {self.parameters:,} parameters"


@dataclass
class InitialWeights:
    """The result of ``init_from``.

    Attributes:
        parameters: number of values of all weights of the model.
        random: weights that start at random, by module.
        unused: path of another model → its weights that were not used, by module.
        loads_body: True if a weight was loaded that is not a target's.
    """

    parameters: int
    random: list[Group] = field(default_factory=list)
    unused: dict[str, list[Group]] = field(default_factory=dict)
    loads_body: bool = True

    @property
    def drawn(self) -> int:
        """Number of parameters that start at random."""
        return sum(group.parameters for group in self.random)

    def alarms(self) -> list[str]:
        """The reasons why the random start may be a mistake; empty if only targets are new, and the body is not."""
        found = []
        if body := [group.module for group in self.random if not _is_target(group.module)]:
            found.append(f"not only targets, but also {_listed(body)}")
        if not self.loads_body and self.random:
            found.append("nothing of embedding, encoder and decoder was loaded")
        if self.drawn > _MOST * self.parameters:
            found.append("more than half of the model")
        return found

    def lines(self) -> Iterator[str]:
        """Messages for the user: a warning of several lines, or a calm line; and what was not used."""
        share = f"{self.drawn:,} of {self.parameters:,} parameters ({_percent(self.drawn, self.parameters)})"
        if alarms := self.alarms():
            width = max(len(group.module) for group in self.random)
            rows = [f"  {group.module:<{width}}  {group.counts()}: {group.reason}" for group in self.random]
            advice = "if these weights should be loaded, correct init_from; require_init: [weights] makes this an error"
            yield "\n".join([f"{WARNING}{share} start at random: {'; '.join(alarms)}", *rows, f"  {advice}"])
        elif self.random:
            yield f"{share} start at random: {', '.join(_described(self.random))}"
        for path, groups in self.unused.items():
            yield f"not used of {path}: {', '.join(_described(groups))}"

    def reminder(self) -> str:
        """The warning in one line, for the end of the run; empty without a reason for it."""
        if not (alarms := self.alarms()):
            return ""
        share = _percent(self.drawn, self.parameters)
        return f"{WARNING}{share} of this model's parameters started at random: {'; '.join(alarms)} (see {REPORT})"

    def write(self, run: Path) -> None:
        """Write the report into a run's folder."""
        values = {"random_parameters": self.drawn, "alarms": self.alarms(), **asdict(self)}
        write_whole(run / REPORT, json.dumps(values, indent=1) + "\n")


def read_report(run: Path) -> InitialWeights | None:
    """The report in a run's folder; None if there is none, or if it cannot be read."""
    try:
        found = read_json(run / REPORT)
        return InitialWeights(
            found["parameters"],
            [Group(**each) for each in found["random"]],
            {path: [Group(**each) for each in groups] for path, groups in found["unused"].items()},
            found["loads_body"],
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None


def grouped(sizes: Mapping[str, int], reasons: Mapping[str, str]) -> list[Group]:
    """Some weights of a model by module, in order, with the reason of each module's first weight.

    Args:
        sizes: name of each weight of the model → number of its values.
        reasons: names of the weights to group → reason.
    """
    whole = {_component(name) for name in sizes} - {_component(name) for name in sizes if name not in reasons}
    found: dict[str, list[str]] = {}
    for name in reasons:
        found.setdefault(_component(name) if _component(name) in whole else _module(name), []).append(name)
    return [
        Group(module, len(names), sum(sizes[name] for name in names), reasons[names[0]])
        for module, names in found.items()
    ]


def _is_target(name: str) -> bool:
    return name.startswith("targets.")


def _component(name: str) -> str:
    """The part of a model that a weight belongs to: an embedding module, an encoder, a decoder, a target."""
    parts = name.split(".")
    begin = 2 if parts[0] == "streams" else 0
    inside = parts[begin : begin + 1]
    if inside in (["embedding"], ["target_embedding"]):
        length = 3 if parts[begin + 1 : begin + 2] == ["parts"] else 2
    else:
        length = 2 if inside == ["targets"] else 1
    return ".".join(parts[: begin + length])


def _module(name: str) -> str:
    """The layer that a weight belongs to, or the next smaller part of its component: ``encoder.layers.6``."""
    component = _component(name)
    found = re.match(r"(\.\w+\.\d+|\.[^.]+)(?=\.)", name[len(component) :])
    return component + (found[0] if found else "")


def _percent(some: int, whole: int) -> str:
    share = 100 * some / max(whole, 1)
    return "less than 0.1 %" if 0 < share < 0.1 else f"{share:.1f} %"


def _described(groups: list[Group]) -> list[str]:
    several = [f"{group.module} ({group.counts()})" for group in groups[:_SHOWN]]
    return several + ([f"{len(groups) - _SHOWN} more"] if len(groups) > _SHOWN else [])


def _listed(modules: list[str]) -> str:
    shown = list(dict.fromkeys(modules))
    more = [f"{len(shown) - _SHOWN} more"] if len(shown) > _SHOWN else []
    return ", ".join(shown[:_SHOWN] + more)
