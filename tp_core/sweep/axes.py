"""The settings that differ between the runs of a sweep: lists of values, and ranges to draw from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from tp_core.options.section import Section
from tp_core.spec.choices.validate import validate
from tp_core.spec.errors import Problems, SpecError, SpecProblem
from tp_core.spec.schema import spec_dumper
from tp_core.spec.tree.nodes import Node, Origin, describe
from tp_core.spec.tree.yaml_loader import parse

#: The key whose values are repetitions of a combination, and not combinations of their own.
SEED = "train.seed"


class Range(Section):
    """An interval of numbers; of integers, if both ends are integers."""

    low: int | float
    high: int | float
    log: bool = Field(False, description="draw the logarithm evenly")

    @property
    def integers(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)


@dataclass(frozen=True)
class Axis:
    """A key of the spec with the values that it takes.

    Attributes:
        values: the values as texts, in the form in which settings have them; empty for a range.
    """

    key: str
    values: tuple[str, ...]
    range: Range | None = None

    def dump(self) -> Any:
        return list(self.values) if self.range is None else self.range.model_dump()

    def probes(self) -> tuple[str, ...]:
        """Values to check: all of them, or the ends of the range."""
        return self.values if self.range is None else (flow(self.range.low), flow(self.range.high))


def flow(value: Any) -> str:
    """A plain value as YAML in one line, as it stands after ``KEY=``."""
    import yaml

    text = yaml.dump(value, Dumper=spec_dumper(), default_flow_style=True, width=2**31 - 1, allow_unicode=True)
    return str(text).removesuffix("\n...\n").strip()


def grid_setting(text: str) -> tuple[str, Node]:
    """The key and the value of ``--grid KEY=VALUE,VALUE``; the value is a list, or the mapping of a range.

    Raises:
        SpecError: the text has another form.
    """
    key, equals, values = text.partition("=")
    key, origin = key.strip(), Origin("command line", None, 1, f"--grid {text}")
    if not equals or not all(key.split(".")) or not values.strip():
        raise SpecError([SpecProblem("", "expected KEY=VALUE,VALUE, for example train.seed=1,2,3", origin)])
    try:
        node = parse(f"[{values}]", origin.source)
    except SpecError as error:
        raise SpecError(SpecProblem(key, problem.message, origin) for problem in error.problems) from None
    node = _placed(node, origin)
    (first, *others) = node.items or [node]
    return key, first if first.mapping and not others else node


def _placed(node: Node, origin: Origin) -> Node:
    """A copy of a value whose parts all have one origin."""
    if isinstance(node.value, dict):
        return Node({key: _placed(each, origin) for key, each in node.mapping.items()}, origin, origin)
    if isinstance(node.value, list):
        return Node([_placed(each, origin) for each in node.items], origin, origin)
    return Node(node.value, origin, origin)


def axes(grid: Mapping[str, Node]) -> list[Axis]:
    """The axes of a grid: key → list of values, or mapping of a range.

    Raises:
        SpecError: values have another form; the error lists all problems.
    """
    problems = Problems()
    found = [_axis(key, node, problems) for key, node in grid.items()]
    if problems:
        raise SpecError(problems)
    return [each for each in found if each is not None]


def _axis(key: str, node: Node, problems: Problems) -> Axis | None:
    if isinstance(node.value, list) and node.items:
        values = tuple(flow(each.plain()) for each in node.items)
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            problems.add(key, f"lists {twice} twice", node)
        return Axis(key, values)
    if not isinstance(node.value, dict):
        got = "an empty list" if node.value == [] else describe(node.value)
        problems.add(key, f"expected a list of values, or a range such as {{low: 1e-5, high: 1e-3}}, got {got}", node)
        return None
    found = validate(Range, key, node.mapping, node, problems)
    if found is None:
        return None
    if key == SEED:
        problems.add(key, "seeds are repetitions of each combination; give a list", node)
    elif found.low >= found.high:
        problems.add(key, f"low is {found.low} and high is {found.high}; expected a lower and a higher number", node)
    elif found.log and found.low <= 0:
        problems.add(key, f"low is {found.low}; with log, it must be greater than 0", node)
    return Axis(key, (), found)
