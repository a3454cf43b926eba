"""Parameter groups: the defaults, changes by hooks, and matching of parameters in a saved state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tp_core.errors import TPError

if TYPE_CHECKING:
    from tp_core.options.optimizer import OptimizerConfig

_NORMS = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.modules.batchnorm._NormBase)


def parameter_groups(model: nn.Module, config: OptimizerConfig) -> list[dict[str, Any]]:
    """The trainable parameters of a model, split into groups with and without weight decay.

    Unless ``decay_all`` is set, parameters of normalisation layers and parameters with fewer than two dimensions
    (biases, scales) do not decay. A shared parameter appears once. Frozen parameters are left out.

    Raises:
        TPError: the model has no trainable parameter.
    """
    exempt = {id(p) for m in model.modules() if isinstance(m, _NORMS) for p in m.parameters(recurse=False)}
    decayed: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for parameter in model.parameters():
        if not parameter.requires_grad:
            continue
        decays = config.decay_all or (parameter.dim() >= 2 and id(parameter) not in exempt)
        (decayed if decays else others).append(parameter)
    if not decayed and not others:
        raise TPError("the model has no parameters to train: all of them are frozen")
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def checked_groups(model: nn.Module, groups: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Groups after changes by hooks, with each trainable parameter once, as a pair with its name.

    Args:
        groups: groups as returned by :func:`parameter_groups`. ``params`` is one parameter or several.

    Returns:
        The same options, with ``params`` as (name, parameter) pairs, without frozen parameters and empty groups.

    Raises:
        TPError: a parameter is in two groups, in none, or not part of the model.
    """
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    places: dict[str, int] = {}
    found = []
    for number, group in enumerate(groups, 1):
        if not isinstance(group, dict) or "params" not in group:
            raise TPError(f"{_where(number)}: expected a dictionary with the key 'params', got {described(group)}")
        named = []
        for parameter in _listed(group["params"], number):
            if id(parameter) not in names:
                shown = described(parameter)
                raise TPError(f"{_where(number)}: 'params' has {shown}, which is no parameter of the model")
            name = names[id(parameter)]
            if name in places:
                before = (
                    "twice in one group" if places[name] == number else f"in the groups {places[name]} and {number}"
                )
                raise TPError(f"tp_parameter_groups: the parameter '{name}' is {before}; a parameter has one group")
            places[name] = number
            if parameter.requires_grad:
                named.append((name, parameter))
        if named:
            found.append({**group, "params": named})
    missing = [name for name, p in model.named_parameters() if p.requires_grad and name not in places]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise TPError(
            f"tp_parameter_groups: the parameter '{missing[0]}'{more} is in no group; what is not to be trained has "
            "requires_grad False"
        )
    if not found:
        raise TPError("the model has no parameters to train: all of them are frozen")
    return found


def _listed(params: Any, number: int) -> list[Any]:
    if isinstance(params, torch.Tensor):
        return [params]
    try:
        return list(params)
    except TypeError:
        raise TPError(f"{_where(number)}: 'params' is {described(params)}; expected parameters") from None


def _where(number: int) -> str:
    return f"tp_parameter_groups: group {number}"


def described(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    return f"{value!r:.60}"


def by_name(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> dict[str, Any] | None:
    """Match a saved state by parameter names with an optimizer whose groups may have changed.

    The optimizer keeps its own options, so that the current hooks decide them. It is registered with
    ``Optimizer.register_load_state_dict_pre_hook``.

    Raises:
        ValueError: the parameters differ.
    """
    groups, numbers = [], dict[str, int]()
    for group in optimizer.param_groups:
        if "param_names" not in group:
            return None
        own = range(len(numbers), len(numbers) + len(group["params"]))
        numbers.update(zip(group["param_names"], own))
        groups.append({**{key: value for key, value in group.items() if key != "params"}, "params": list(own)})
    before = {
        name: number for group in saved["param_groups"] for name, number in zip(group["param_names"], group["params"])
    }
    for names, others, message in (
        (numbers, before, "is trained now, and was not before"),
        (before, numbers, "was trained before, and is not now"),
    ):
        for name in names:
            if name not in others:
                raise ValueError(f"the parameter '{name}' {message}")
    state = {numbers[name]: saved["state"][number] for name, number in before.items() if number in saved["state"]}
    return {**saved, "state": state, "param_groups": groups}
