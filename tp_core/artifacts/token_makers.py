"""Comparison of the modules that make token ids or labels in two models: whether equal ids mean the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tp_core.artifacts.contents import Contents, difference_of
from tp_core.data.cache.contents import Content
from tp_core.data.cache.nested_models import bare, module_files
from tp_core.errors import TPError
from tp_core.options.choice import Chosen, choices_in, with_choices
from tp_core.options.marks import paths_in
from tp_core.spec.schema import Spec
from tp_core.spec.trained.local_files import local_digest


class _Maker(NamedTuple):
    """A module that makes ids or labels, such as a visual tokenizer.

    Attributes:
        kind: in words.
        place: in the spec.
        options: without paths.
        chosen: the module; None where it is not there.
    """

    kind: str
    place: str
    name: str
    options: dict[str, Any]
    chosen: Chosen[Any] | None


def unlike_ids(own: Spec, other: Spec, trained: Contents, required: bool = False) -> str:
    """The difference between the ids that two models' processors add to the vocabulary; empty if there is none.

    Args:
        trained: contents that the other model was trained with, where they are known.
        required: ids of which nothing is known count as different.

    Raises:
        TPError: files cannot be read.
    """
    if not (own.data.extra_ids() and other.data.extra_ids()):
        return ""
    return _unlike(_makers(own.data.chosen()), _makers(other.data.chosen()), trained, required)


def unlike_labels(own: Spec, other: Spec, targets: Iterable[str], trained: Contents, required: bool = False) -> str:
    """As :func:`unlike_ids`, of the labels that are made for targets of these names."""
    for name in targets:
        here, there = ([each for each in spec.model.targets if each.instance_name == name] for spec in (own, other))
        if difference := _unlike(_makers(here), _makers(there), trained, required):
            return f"'{name}' predicts other tokens: {difference}"
    return ""


def _makers(modules: Iterable[Chosen[Any]]) -> list[_Maker]:
    return [each for chosen in modules for each in _makers_of(chosen)]


def _makers_of(chosen: Chosen[Any]) -> Iterator[_Maker]:
    made_by = chosen.config.makes_labels | chosen.config.makes_ids
    for option, each in choices_in(chosen.config):
        if option in made_by:
            options = bare(with_choices(each, bare)).config.model_dump(mode="json", exclude={*_paths(each)})
            yield _Maker(each.kind.replace("_", " "), each.place, each.name, options, None if each.missing else each)
        yield from _makers_of(each)


def _paths(chosen: Chosen[Any]) -> set[str]:
    return {option.partition(".")[0] for option in paths_in(chosen.config)}


def _unlike(own: list[_Maker], other: list[_Maker], trained: Contents, required: bool) -> str:
    if own and not other:
        return "what made the tokens there is not known" if required else ""
    for here, there in zip(own, other):
        if difference := _difference(here, there, trained):
            return difference
    return ""


def _difference(here: _Maker, there: _Maker, trained: Contents) -> str:
    if here.name != there.name:
        return f"those of the {there.kind} '{there.name}' there and of '{here.name}' here"
    for option in here.options.keys() & there.options.keys():
        one, two = here.options[option], there.options[option]
        if one != two:
            return f"the option '{option}' of the {here.kind} '{here.name}' is {two} there and {one} here"
    if here.chosen and there.chosen and local_digest(here.chosen) != local_digest(there.chosen):
        return f"the code of the {here.kind} '{here.name}' is another there"
    now = _files(here, {})
    try:
        then = _files(there, trained)
    except TPError as error:
        return f"the {here.kind} '{here.name}' cannot be compared with that one: {error}"
    said = "" if then is None or now is None else difference_of(then, now)
    return f"the {here.kind} '{here.name}' is another one: {said}" if said else ""


def _files(maker: _Maker, trained: Contents) -> list[Content] | None:
    """The content of a tokenizer, as in training if known; None if unknown."""
    if maker.place in trained or maker.chosen is None:
        return trained.get(maker.place)
    return module_files(maker.chosen)
