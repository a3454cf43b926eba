"""The reading of a config.json: the model, its processor and its table of weights. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tp_core.errors import TPError
from tp_core.interop.accounting import Account, account, rules_of, violations
from tp_core.interop.config_json import completed
from tp_core.interop.keys import MISFITS, Keys, plain

if TYPE_CHECKING:
    from tp_core.interop.rules import Entry
    from tp_core.options.converter import ConverterConfig


class Reading(NamedTuple):
    """The result of converting a config.json.

    Attributes:
        model: the ``model:`` part of a spec.
        processor: a processor for using the model, as a spec writes it; or None.
        weights: the table of weights.
        account: the verdicts on all keys, refusals included.
    """

    model: dict[str, Any]
    processor: dict[str, Any] | None
    weights: Sequence[Entry]
    account: Account


def read_model(converter: ConverterConfig, config: Keys, architecture: str) -> Reading:
    """Convert a completed config.json, and account for its keys.

    Raises:
        TPError: specs cannot say what a value asks for.
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
        message = f"a value is of no use to the converter: {type(error).__name__}: {error}"
        raise TPError(f"{config.memory.file}: {message}") from error
    return Reading(model, processor, weights, account(config, rules_of(converter, architecture)))


def _others(converter: ConverterConfig, config: Keys, architecture: str) -> Account:
    """The verdicts on the keys of a config at which the converter failed before it had read all of them."""
    rules = rules_of(converter, architecture)
    usual = completed(converter, {}) | {"architectures": [architecture]}
    try:
        converter.to_spec(usual, architecture)
        converter.processor(usual, architecture)
        converter.weights(usual)
    except (TPError, *MISFITS):  # it needs more of a config than the defaults
        return violations(config, rules)
    config.memory.read |= usual.memory.read
    return account(config, rules)
