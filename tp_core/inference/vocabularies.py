"""Two models' vocabularies and classes: rows of the same number stand for the same thing, or they do not."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from tp_core.data.class_options import ClassLabelOptions
from tp_core.interfaces import Tokenizer
from tp_core.spec.schema import Spec


def unlike_tokens(own: Tokenizer, other: Tokenizer) -> str:
    """The ids that stand for other tokens in another vocabulary, in words; empty if there is none.

    Ids that one of the two does not have, or skips, say nothing.
    """
    size = min(own.vocab_size, other.vocab_size)
    pairs = ((index, own.token(index), other.token(index)) for index in range(size))
    found = [(index, here, there) for index, here, there in pairs if here and there and here != there]
    if not found:
        return ""
    index, here, there = found[0]
    return f"{len(found):,} of {size:,} ids stand for other tokens, id {index} for '{there}' there and '{here}' here"


def unlike_classes(own: Spec, other: Spec, targets: Collection[str]) -> str:
    """The classes that have other names in another model, in words; empty if there is none.

    Args:
        targets: the names of those to compare.
    """
    here, there = dict(_classes(own)), dict(_classes(other))
    for target in targets:
        for number, (one, two) in enumerate(zip(here.get(target, ()), there.get(target, ()))):
            if one != two:
                return f"class {number} of '{target}' is '{two}' there and '{one}' here"
    return ""


def unlike_sets(own: Spec, other: Spec) -> str:
    """The first data set that has another number in another model, in words; empty if there is none."""
    for number, (here, there) in enumerate(zip(own.data.sets, other.data.sets)):
        if here != there:
            return f"data set {number} is '{there}' there and '{here}' here"
    return ""


def _classes(spec: Spec) -> Iterator[tuple[str, list[str]]]:
    """The names of the classes of each target, where a processor has them."""
    for own in spec.sets().values():
        config = None if own.data.processor is None else own.data.processor.config
        if isinstance(config, ClassLabelOptions) and config.labels is not None:
            for target in own.model.targets:
                if getattr(target.config, "num_labels", None) == len(config.labels):
                    yield target.called, config.labels


def unlike_vocabularies(own: Mapping[str, Tokenizer], other: Mapping[str, Tokenizer], sides: Collection[str]) -> str:
    """As :func:`unlike_tokens`, of the vocabularies of several sides.

    Args:
        own: tokenizers by their key of ``data``; the target side has the source side's where it has none of its own.
        sides: keys.

    Returns:
        A text for people; empty where all are alike, or nothing is known.
    """
    for side in sides:
        one, two = (each.get(side) or each.get("tokenizer") for each in (own, other))
        if one is not None and two is not None and (difference := unlike_tokens(one, two)):
            return difference
    return ""
