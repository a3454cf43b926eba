"""The plan of a sweep: its file and the options of the command line, which override the file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from tp_core.errors import TPError
from tp_core.options.section import Section
from tp_core.spec.choices.validate import absolute, validate
from tp_core.spec.errors import Problems, SpecError
from tp_core.spec.tree.nodes import Node, describe
from tp_core.spec.tree.yaml_loader import parse_file
from tp_core.sweep.axes import SEED, Axis, axes, grid_setting

#: Keys of which a sweep's file has at least one, and a spec none.
_MARKS = ("spec", "grid")


class SweepOptions(Section):
    """The keys of a sweep's file."""

    spec: str = Field(description="the spec of all runs: a file, relative to this one, or the name of a preset")
    settings: list[str] = Field(default_factory=list, description="settings KEY=VALUE of all runs")
    grid: dict[str, Any] = Field(default_factory=dict, description="key of the spec → list of values, or a range")
    folds: int | None = Field(None, ge=2, le=1000, description="number of folds of a cross-validation on data.train")
    stratify: bool | None = Field(
        None, description="give each class the same share of all folds; default: true if records have class labels"
    )
    group: str | None = Field(None, description="column; records with the same value are in the same fold")
    search: Literal["grid", "random", "optuna"] = Field("grid", description="choice of the combinations")
    trials: int | None = Field(None, ge=1, description="number of combinations of a random search or of optuna")
    seed: int = Field(0, ge=0, lt=2**63, description="seed of the folds and of the search")
    metric: str | None = Field(None, description="metric of the evaluation that tells the best combination")
    parallel: int = Field(1, ge=1, description="number of runs at the same time")
    run: str | None = Field(None, description="folder of the sweep, relative to this file")


@dataclass(frozen=True)
class Plan:
    """A sweep as the user asks for it.

    Attributes:
        spec: the spec as the user names it, or the absolute path if a sweep's file names it.
        settings: settings of all runs.
        axes: the keys that make combinations.
        seeds: the values of ``train.seed``, as texts; empty if the spec's own is used.
        run: the folder of the sweep; None for the default.
    """

    spec: str
    settings: tuple[str, ...]
    axes: tuple[Axis, ...]
    seeds: tuple[str, ...]
    options: SweepOptions
    run: Path | None


def read_plan(
    path: str, settings: Sequence[str] = (), grid: Sequence[str] = (), given: Mapping[str, Any] | None = None
) -> Plan:
    """The plan for a spec, or for a sweep's file, with the options of the command line.

    Args:
        path: a spec file, the name of a preset, or a sweep's file.
        settings: further settings of all runs, after those of the file.
        grid: values of ``--grid``, which replace the values of the same keys in the file.
        given: other options of the command line by the keys of the file; None means that an option is not given.

    Raises:
        SpecError: the file or a value of ``--grid`` has problems.
        TPError: options contradict each other, or nothing differs between runs.
    """
    root = _sweep_file(path)
    file, nodes = (None, {}) if root is None else _options(root, path)
    chosen = {key: value for key, value in (given or {}).items() if value is not None}
    options = SweepOptions(spec=path) if file is None else file
    options = options.model_copy(update=chosen)
    asked = [*map(grid_setting, grid)]
    keys = [key for key, _ in asked]
    if twice := next((key for key in keys if keys.count(key) > 1), None):
        raise TPError(f"--grid {twice} is given twice; give all values at once: --grid {twice}=VALUE,VALUE")
    nodes = {**nodes, **dict(asked)}
    found = axes(nodes)
    if file is not None and root is not None:
        options = options.model_copy(update={"spec": _spec_of(options.spec, root)})
        settings = [*file.settings, *settings]
    run = None if options.run is None else Path(options.run)
    if run is not None and root is not None and "run" not in chosen:
        run = Path(absolute(str(run), root.origin.base))
    seeds = next((each.values for each in found if each.key == SEED), ())
    plan = Plan(options.spec, tuple(settings), tuple(each for each in found if each.key != SEED), seeds, options, run)
    _check(plan, {text.partition("=")[0].strip() for text in settings})
    return plan


def _sweep_file(path: str) -> Node | None:
    """The tree of a sweep's file; None for a spec."""
    if os.path.splitext(path)[1] not in (".yaml", ".yml", ".json") or not os.path.isfile(path):
        return None
    root = parse_file(Path(path), path)
    return root if any(key in root.mapping for key in _MARKS) else None


def _options(root: Node, path: str) -> tuple[SweepOptions, dict[str, Node]]:
    problems = Problems()
    options = validate(SweepOptions, "", root.mapping, root, problems)
    grid = root.mapping.get("grid")
    if grid is not None and not isinstance(grid.value, dict):
        message = f"expected keys with lists of values, got {describe(grid.value)}"
        problems = Problems(each for each in problems if each.path.lstrip(".") != "grid")
        problems.add("grid", message, grid)
    if problems or options is None:
        raise SpecError(each._replace(path=each.path.lstrip(".")) for each in problems)
    return options, {} if grid is None else grid.mapping


def _spec_of(spec: str, root: Node) -> str:
    """A spec that a file names: a path relative to the file, or the name of a preset."""
    file = absolute(spec, root.origin.base)
    return file if os.path.exists(file) or Path(spec).suffix in (".yaml", ".yml", ".json") else spec


def _check(plan: Plan, set_for_all: set[str]) -> None:
    """Check options that depend on each other.

    Raises:
        TPError: they contradict each other, or nothing differs between runs.
    """
    options, keys = plan.options, [each.key for each in plan.axes] + [SEED] * bool(plan.seeds)
    if both := next((key for key in keys if key in set_for_all), None):
        raise TPError(f"{both} is in the grid, and is set for all runs, too; leave one of them out")
    if options.folds is None:
        for name, value in (("stratify", options.stratify), ("group", options.group)):
            if value is not None:
                raise TPError(f"--{name} is about folds; give --folds, too")
    elif own := next((key for key in keys if f"{key}.".startswith(("data.train.", "data.eval."))), None):
        raise TPError(f"{own} is in the grid, and --folds sets data.train and data.eval; leave one of them out")
    if options.search == "grid":
        if options.trials is not None:
            raise TPError("--trials is about --search random and --search optuna; a grid has all combinations")
        if ranged := next((each.key for each in plan.axes if each.range is not None), None):
            raise TPError(f"{ranged} has a range; give --search random or optuna with --trials, or list its values")
        if not keys and options.folds is None:
            raise TPError("nothing differs between runs; give --grid KEY=VALUE,VALUE, or --folds, or both")
        return
    if options.trials is None:
        raise TPError(f"--search {options.search} needs --trials, the number of combinations to try")
    if not plan.axes:
        raise TPError(f"--search {options.search} needs a key with values or with a range: --grid KEY=VALUE,VALUE")
