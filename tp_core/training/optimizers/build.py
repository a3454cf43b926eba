"""Building of optimizers and complete parameter groups."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from tp_core.errors import TPError
from tp_core.options.context import BuildContext
from tp_core.options.optimizer import OptimizerConfig
from tp_core.packages.plugin_errors import built_by
from tp_core.spec.choices.validate import validate
from tp_core.spec.errors import Problems
from tp_core.spec.tree.nodes import Node, Origin
from tp_core.suggest import did_you_mean
from tp_core.training.optimizers.groups import by_name, described

#: Options of the whole optimizer, which groups cannot override.
_WHOLE = ("decay_all",)


def build_optimizer(config: OptimizerConfig, groups: Iterable[dict[str, Any]]) -> torch.optim.Optimizer:
    """The optimizer of these parameter groups.

    Args:
        groups: groups as returned by :func:`~tp_core.training.optimizers.groups.checked_groups`. Missing options are
            taken from ``config``.

    Returns:
        An optimizer whose groups have ``lr_factor``, their share of the scheduled learning rate.

    Raises:
        TPError: a group has options that the optimizer does not accept.
    """
    optimizer = built_by(config, torch.optim.Optimizer, [complete(config, group) for group in groups])
    optimizer.register_load_state_dict_pre_hook(by_name)
    return optimizer


def complete(config: OptimizerConfig, group: Mapping[str, Any]) -> dict[str, Any]:
    """Complete a group with all options of its optimizer and ``lr_factor``, its share of the scheduled learning rate.

    Args:
        config: options of the optimizer, used for options that the group lacks.
        group: ``params``, ``lr`` and other options of the optimizer.

    Raises:
        TPError: an unknown option, or an invalid value.
    """
    own = {key: list(v) if isinstance(v, tuple) else v for key, v in group.items() if key not in ("params", "lr")}
    lr = group.get("lr", config.lr)
    first = group["params"][0]
    of = f"tp_parameter_groups: the group of '{first[0]}', " if isinstance(first, tuple) else ""
    where = f"{of}train.optimizer"
    known = [option for option in type(config).model_fields if option not in _WHOLE]
    for key in own:
        if key not in known:
            near = did_you_mean(key, known) or f"the options of a group are {', '.join(known)}"
            raise TPError(f"{where}: unknown option '{key}'; {near}")
    if isinstance(lr, bool) or not isinstance(lr, (int, float)) or not 0 <= lr < math.inf:
        raise TPError(f"{where}: lr: expected a number of at least 0, got {described(lr)}")
    problems = Problems()
    nodes = {key: _node(value) for key, value in {**config.model_dump(), **own}.items()}
    found = validate(type(config), "", nodes, _node({}), problems)
    for problem in found.check(BuildContext()) if found is not None else ():
        problems.add(problem.option, problem.message, nodes[problem.option])
    if problems or found is None:
        raise TPError("; ".join(f"{where}: {each.path.lstrip('.')}: {each.message}" for each in problems))
    options = found.model_dump(exclude={"lr", *_WHOLE})
    tuples = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
    factor = lr / config.lr
    return {"params": group["params"], "lr": config.lr * factor, "lr_factor": factor, **tuples}


def _node(value: Any) -> Node:
    return Node([_node(each) for each in value] if isinstance(value, list) else value, Origin(""))
