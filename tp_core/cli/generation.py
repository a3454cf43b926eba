"""The options of ``inference.generate`` as options of a command. Torch-free."""

from __future__ import annotations

import json
import types
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import click
from pydantic.fields import FieldInfo

from tp_core.spec.sections.generate import SEARCH, GenerateOptions

if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
    _Choices = click.Choice[str]
else:  # older versions of click do not allow a subscript on these classes
    _ParamType, _Choices = click.ParamType, click.Choice


class _Ids(_ParamType):
    """Token ids: ``2``, ``2,5``, or a list as JSON."""

    name = "ids"

    def __init__(self, one: bool) -> None:
        self.one = one

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        text = value if value.lstrip().startswith("[") else f"[{value}]"
        try:
            found = json.loads(text)
        except ValueError:
            self.fail(f"'{value}' is no list of token ids; write 2,5 or [[2, 5], [7]]", param, ctx)
        return found[0] if self.one and len(found) == 1 else found


class _Choice(_Choices):
    """One of several words; ``true`` and ``false`` become boolean values."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return {"true": True, "false": False}.get(value, super().convert(value, param, ctx))


class _IntegerOr(_ParamType):
    """An integer, or one of several words."""

    name = "integer"

    def __init__(self, words: list[str]) -> None:
        self.words = words

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if value in self.words else click.INT.convert(value, param, ctx)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return f"[INTEGER|{'|'.join(self.words)}]"


def generation_parameters(search_only: bool = False) -> list[click.Parameter]:
    """Command-line options for the options of ``inference.generate``. An option that is not given is None.

    Args:
        search_only: leave out the options for prompts and lengths.
    """
    names = SEARCH if search_only else tuple(GenerateOptions.model_fields)
    return [_option(name, GenerateOptions.model_fields[name]) for name in names]


def _option(name: str, field: FieldInfo) -> click.Option:
    spelled = name.replace("_", "-")
    description = field.description or ""
    usual = field.get_default()
    shown = "" if usual in (None, 0, False) else f" Default: {usual}."
    help_text = f"{description[:1].upper()}{description[1:]}.{shown}"
    branches = _branches(field.annotation)
    if branches == [bool]:
        return click.Option([f"--{spelled}/--no-{spelled}"], default=None, help=help_text)
    return click.Option([f"--{spelled}"], type=_type(branches), help=help_text)


def _branches(annotation: Any) -> list[Any]:
    """The types that a value may have, without None."""
    if get_origin(annotation) is Annotated:
        return _branches(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [found for each in get_args(annotation) if each is not type(None) for found in _branches(each)]
    return [annotation]


def _type(branches: list[Any]) -> _ParamType:
    if any(get_origin(each) is list for each in branches):
        return _Ids(one=int in branches)
    words = [str(word) for each in branches if get_origin(each) is Literal for word in get_args(each)]
    if words and int in branches:
        return _IntegerOr(words)
    if words:
        return _Choice([*(["true", "false"] if bool in branches else []), *words])
    return click.FLOAT if branches == [float] else click.INT
