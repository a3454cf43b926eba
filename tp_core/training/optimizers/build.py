"""The optimizer that a spec names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tp_core.errors import TPError
from tp_core.suggest import did_you_mean
from tp_core.training.config import (
    TABLES,
    AdafactorConfig,
    AdamWConfig,
    LionConfig,
    OptimizerConfig,
    SgdConfig,
)
from tp_core.training.optimizers.adafactor import Adafactor
from tp_core.training.optimizers.adamw import AdamW
from tp_core.training.optimizers.base import Optimizer, fusible
from tp_core.training.optimizers.groups import by_name, own_options
from tp_core.training.optimizers.lion import Lion
from tp_core.training.optimizers.sgd import Sgd

#: Options of a config that are not those of its optimizer.
_NOT_OWN = {"lr", "decay_all"}


def build_optimizer(name: str, config: OptimizerConfig, groups: Iterable[dict[str, Any]]) -> Optimizer:
    """The optimizer that a spec names.

    Args:
        name: a key of ``TABLES["optimizer"]``, for messages; the config's class decides.
        config: its options.
        groups: as :func:`~tp_core.training.optimizers.groups.checked_groups` gives them. What a group does not have it
            takes from the config.

    Returns:
        An optimizer whose groups have ``lr_factor``: the part of the scheduled learning rate that is theirs.

    Raises:
        TPError: when the optimizer is not one of the core's, or a group has options that it does not take.
    """
    own = []
    for group in groups:
        options, factor = own_options(config, name, group)
        rates = {"lr": config.lr * factor, "lr_factor": factor}
        own.append({"params": group["params"], **rates, **_arguments(options)})
    optimizer = _made(name, config, own)
    optimizer.register_load_state_dict_pre_hook(by_name)
    return optimizer


def _arguments(config: OptimizerConfig) -> dict[str, Any]:
    """The options of an optimizer's groups, but for the learning rate."""
    options = config.model_dump(exclude=_NOT_OWN)
    return {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}


def _made(name: str, config: OptimizerConfig, groups: list[dict[str, Any]]) -> Optimizer:
    if isinstance(config, AdamWConfig):
        return AdamW(groups, fused=fusible(groups))
    if isinstance(config, SgdConfig):
        return Sgd(groups, fused=fusible(groups))
    if isinstance(config, AdafactorConfig):
        return Adafactor(groups)
    if isinstance(config, LionConfig):
        return Lion(groups)
    near = did_you_mean(name, TABLES["optimizer"])
    raise TPError(f"unknown optimizer '{name}'" + (f"; {near}" if near else ""))
