"""An optimizer and its parameter groups, with all their options."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from tp_core.errors import TPError
from tp_core.options.context import BuildContext
from tp_core.options.optimizer import OptimizerConfig
from tp_core.spec.choices.validate import validate
from tp_core.spec.errors import Problems
from tp_core.spec.tree.nodes import Node, Origin
from tp_core.suggest import did_you_mean
from tp_core.training.optimizers.groups import by_name, described

#: Options that are those of the optimizer as a whole.
_WHOLE = ("decay_all",)


def build_optimizer(config: OptimizerConfig, groups: Iterable[dict[str, Any]]) -> torch.optim.Optimizer:
    """The optimizer of these parameter groups.

    Args:
        groups: as :func:`~tp_core.training.optimizers.groups.checked_groups` gives them. What a group does not have it
            takes from the options.

    Returns:
        An optimizer whose groups have ``lr_factor``: the part of the scheduled learning rate that is theirs.

    Raises:
        TPError: a group has options that the optimizer does not take.
    """
    optimizer = config.build([complete(config, group) for group in groups])
    optimizer.register_load_state_dict_pre_hook(by_name)
    return optimizer


def complete(config: OptimizerConfig, group: Mapping[str, Any]) -> dict[str, Any]:
    """A group with all options of its optimizer, and ``lr_factor``: the part of the scheduled rate that is its own.

    Args:
        config: the optimizer's options, for those that the group does not have.
        group: ``params``, ``lr`` and other options of the optimizer.

    Raises:
        TPError: an option that the optimizer does not have, or a value that it does not take.
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
