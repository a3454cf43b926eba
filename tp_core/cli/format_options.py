"""The options of a format of models as options of ``tp convert``."""

from __future__ import annotations

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import click
from pydantic.fields import FieldInfo

from tp_core.interop.flags import flag
from tp_core.options.format import FormatConfig


def parameters(cls: type[FormatConfig]) -> list[click.Parameter]:
    """Command-line options for the options of a format. An option that is not given is None."""
    return [_option(name, field) for name, field in cls.model_fields.items()]


def _option(name: str, field: FieldInfo) -> click.Option:
    kind = _kind(field.annotation)
    text = field.description or ""
    usual = field.get_default(call_default_factory=True)
    shown = "" if usual in (None, False, []) else f" Default: {usual}."
    settings: dict[str, Any] = {"help": f"{text[:1].upper()}{text[1:]}.{shown}", "default": None}
    if kind is bool:
        return click.Option([flag(name), name], is_flag=True, flag_value=True, **settings)
    if get_origin(kind) is list:
        return click.Option([flag(name), name], multiple=True, metavar=_metavar(flag(name)), **settings)
    if get_origin(kind) is Literal:
        return click.Option([flag(name), name], type=click.Choice(list(get_args(kind))), **settings)
    types_of = {int: click.INT, float: click.FLOAT}
    return click.Option([flag(name), name], type=types_of.get(kind, click.STRING), metavar=_metavar(name), **settings)


def _metavar(name: str) -> str:
    return name.rpartition("-")[2].rpartition("_")[2].upper()


def _kind(annotation: Any) -> Any:
    """The type of a value, without None and marks."""
    if get_origin(annotation) is Annotated:
        return _kind(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return _kind(next(each for each in get_args(annotation) if each is not type(None)))
    return annotation
