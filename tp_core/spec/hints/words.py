"""The meanings of terms of other toolkits in specs: those of the core and of the installed modules. Torch-free."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from tp_core import discovery
from tp_core.errors import TPError
from tp_core.spec.hints.terms.missing import NOTHING
from tp_core.spec.hints.terms.options import WORDS
from tp_core.spec.hints.terms.owners import OWNERS
from tp_core.spec.hints.value_hints import plain, switched


class Meaning(NamedTuple):
    """An option of specs.

    Attributes:
        option: its name.
        place: its section, or the part of the model whose modules have it.
    """

    option: str
    place: str

    @property
    def part(self) -> str:
        """The kind of the layer parts that have the option; empty for other options."""
        return self.place.rpartition(".")[2] if self.place.count(".") > 1 else ""


#: Kind → the place at which specs choose modules of the kind.
_PLACES = {
    "embedding": "model.embedding",
    "encoder": "model.encoder",
    "decoder": "model.encoder",
    "mixer": "model.encoder.mixer",
    "positions": "model.encoder.positions",
    "feed_forward": "model.encoder.feed_forward",
    "norm": "model.encoder.norm",
    "target": "model.target",
    "tokenizer": "data.tokenizer",
    "processor": "data.processor",
    "optimizer": "train.optimizer",
    "schedule": "train.schedule",
    "strategy": "train.strategy",
}


def meanings() -> dict[str, list[Meaning]]:
    """The options that terms of other toolkits mean, of the core and of the installed modules; the first is usual."""
    return _meanings(discovery.index())


@functools.lru_cache(maxsize=1)
def _meanings(index: discovery.Index) -> dict[str, list[Meaning]]:
    found: dict[str, list[Meaning]] = {}
    tables = {place: list(options.items()) for place, options in WORDS.items()}
    for place, own in _of_modules(index):
        tables.setdefault(place, []).extend(own)
    for place, options in tables.items():
        for option, words in options:
            for word in words.split():
                meaning = Meaning(option, place)
                if meaning not in found.setdefault(plain(word), []):
                    found[plain(word)].append(meaning)
    return found


def _of_modules(index: discovery.Index) -> Iterator[tuple[str, Iterable[tuple[str, str]]]]:
    """The terms that config classes of installed modules declare, by place; each class is asked once."""
    seen = set[type]()
    for kind, place in _PLACES.items():
        for name in index.names(kind):
            try:
                cls = discovery.load(index.find(kind, name))
            except TPError:  # a broken package, which other commands report
                continue
            for base in cls.__mro__ if isinstance(cls, type) else ():
                if base not in seen and (own := vars(base).get("terms")):
                    seen.add(base)
                    yield place, own.items()


def declared(config: type, word: str) -> str:
    """The option of a config class whose ``terms`` have the word; empty if there is none."""
    for base in config.__mro__:
        terms: Mapping[str, str] = vars(base).get("terms", {})
        for option, words in terms.items():
            if plain(word) in map(plain, words.split()):
                return option
    return ""


@functools.cache
def nothings() -> dict[str, str]:
    return {plain(word): sentence for sentence, words in NOTHING.items() for word in words.split()}


def meaning(word: str) -> str:
    """The option that a term of other toolkits usually means; empty for an unknown term."""
    return next((each.option for each in meanings().get(plain(word), [])), "")


def nothing(word: str) -> str:
    """The sentence about a term of other toolkits that has no counterpart in specs; empty for other terms."""
    return nothings().get(plain(word), "")


def elsewhere(word: str) -> str:
    """A sentence with the counterpart of a term of other toolkits in specs, or about its absence.

    Empty for an unknown term.
    """
    found = meanings().get(plain(word), [])
    if not found:
        return nothing(word)
    option, place = found[0]
    option = switched(word, option)
    if "." not in place:
        return f"specs call it {place}.{option}" if place else f"specs call it {option}, at the top"
    return f"specs call it '{option}', an option of {OWNERS[place]}"
