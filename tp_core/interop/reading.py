"""The conversion of a config.json to a model, a processor and a table of weights. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tp_core.errors import TPError
from tp_core.interop.accounting import Account, account, rules_of, violations
from tp_core.interop.config_json import completed
from tp_core.interop.keys import MISFITS, Keys, plain

if TYPE_CHECKING:
    from tp_core.interop.rules import WeightRule
    from tp_core.options.converter import ConverterConfig


class Reading(NamedTuple):
    """The result of converting a config.json.

    Attributes:
        model: the ``model:`` part of a spec.
        processor: a processor for using the model, in the form of a spec; or None.
        weights: the table of weights.
        account: the verdicts on all keys, including refused keys.
    """

    model: dict[str, Any]
    processor: dict[str, Any] | None
    weights: Sequence[WeightRule]
    account: Account


def read_model(converter: ConverterConfig, config: Keys, architecture: str) -> Reading:
    """Convert a completed config.json and check that all its keys are handled.

    Raises:
        TPError: a value cannot be expressed in a spec.
    """
    try:
        model = plain(converter.to_spec(config, architecture))
        processor = plain(converter.processor(config, architecture))
        weights = converter.weights(config)
    except TPError as error:
        _others(converter, config, architecture).check(str(error).removeprefix(f"{config.memory.file}: "))
        raise
    except MISFITS as error:
        _others(converter, config, architecture).check()
        message = f"the converter cannot use a value: {type(error).__name__}: {error}"
        raise TPError(f"{config.memory.file}: {message}") from error
    return Reading(model, processor, weights, account(config, rules_of(converter, architecture)))


def _others(converter: ConverterConfig, config: Keys, architecture: str) -> Account:
    """The verdicts on the keys of a config if the converter failed before it had read all of them."""
    rules = rules_of(converter, architecture)
    usual = completed(converter, {}) | {"architectures": [architecture]}
    try:
        converter.to_spec(usual, architecture)
        converter.processor(usual, architecture)
        converter.weights(usual)
    except (TPError, *MISFITS):  # the converter needs keys without a default
        return violations(config, rules)
    config.memory.read |= usual.memory.read
    return account(config, rules)
