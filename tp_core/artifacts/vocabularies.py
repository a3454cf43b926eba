"""Comparison of two models: do rows with the same index stand for the same thing, and have targets equal options?"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from tp_core.data.classes.name_options import ClassNameOptions
from tp_core.data.classes.names import as_compared
from tp_core.interfaces import Tokenizer
from tp_core.options.marks import is_prediction_only, is_training_only
from tp_core.spec.context import context_of
from tp_core.spec.schema import Spec


def unlike_tokens(own: Tokenizer, other: Tokenizer, added: tuple[int, int] = (0, 0)) -> str:
    """The ids that stand for other tokens in another vocabulary, in words; empty if there is none.

    Ids that one of the two lacks or skips are not compared.

    Args:
        added: number of ids that the processor adds after those of the tokenizer, in each of the two.
    """
    size = min(own.vocab_size + added[0], other.vocab_size + added[1])
    pairs = ((index, _token(own, index), _token(other, index)) for index in range(size))
    found = [(index, here, there) for index, here, there in pairs if here and there and here != there]
    if not found:
        return ""
    index, here, there = found[0]
    return f"{len(found):,} of {size:,} ids stand for other tokens, id {index} for {there} there and {here} here"


def _token(tokenizer: Tokenizer, index: int) -> str:
    if index >= tokenizer.vocab_size:
        return f"the added token {index - tokenizer.vocab_size}"
    token = tokenizer.token(index)
    return f"'{token}'" if token else ""


def unlike_classes(own: Spec, other: Spec, targets: Mapping[str, str]) -> str:
    """Describe the classes that have different names in another model; empty if there are none.

    Args:
        targets: names of the targets to compare → their names in the other model.
    """
    here, there = dict(_classes(own)), dict(_classes(other))
    for target, theirs in targets.items():
        for number, (one, two) in enumerate(zip(here.get(target, ()), there.get(theirs, ()))):
            if as_compared(one) != as_compared(two):
                return f"class {number} of '{target}' is '{two}' there and '{one}' here"
    return ""


def unlike_options(own: Spec, other: Spec, targets: Collection[str]) -> Iterator[str]:
    """Describe the options of targets that another model has with other values, so that equal weights differ in effect.

    Args:
        targets: names of the targets whose weights are those of the other model.
    """
    theirs = {each.instance_name: each.config for each in other.model.targets}
    for each in own.model.targets:
        name = each.instance_name
        if name not in targets or name not in theirs:
            continue
        here = each.config.effective(context_of(own, each.config.stream or "", "target"))
        there = theirs[name].effective(context_of(other, theirs[name].stream or "", "target"))
        fields = type(each.config).model_fields
        for option in [option for option in here if option in there and here[option] != there[option]]:
            unlike = not (is_training_only(fields[option]) or is_prediction_only(fields[option]))
            if option not in ("name", "stream") and unlike:
                values = f"{there[option]} in the model of init_from, and {here[option]} here"
                yield f"model.target.{name}: the weights were trained with {option} {values}"


def unlike_sets(own: Spec, other: Spec) -> str:
    """Describe the first data set with a different index in another model; empty if there is none."""
    for number, (here, there) in enumerate(zip(own.data.sets, other.data.sets)):
        if here != there:
            return f"data set {number} is '{there}' there and '{here}' here"
    return ""


def _classes(spec: Spec) -> Iterator[tuple[str, list[str]]]:
    """The class names of each target, if a processor has them."""
    for own in spec.sets().values():
        config: Any = None if own.data.processor is None else own.data.processor.config
        for target in own.model.targets if isinstance(config, ClassNameOptions) else ():
            column = target.instance_name if target.instance_name in own.data.options.labels else ""
            names = config.class_names(column)
            if names is not None and getattr(target.config, "num_labels", None) == len(names):
                yield target.instance_name, names


def unlike_vocabularies(
    own: Mapping[str, Tokenizer],
    other: Mapping[str, Tokenizer],
    sides: Collection[str],
    added: tuple[int, int] = (0, 0),
) -> str:
    """Like :func:`unlike_tokens`, for the vocabularies of several sides.

    Args:
        own: tokenizers by key of ``data``; the target side uses the source side's if it has none of its own.
        sides: keys.
        added: number of ids that the processor adds after those of the source side's tokenizer, in each of the two.

    Returns:
        A description for people; empty if all are equal or nothing is known.
    """
    for side in sides:
        one, two = (each.get(side) or each.get("tokenizer") for each in (own, other))
        if one is None or two is None:
            continue
        behind = added if one is own.get("tokenizer") and two is other.get("tokenizer") else (0, 0)
        if difference := unlike_tokens(one, two, behind):
            return difference
    return ""
