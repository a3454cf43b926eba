"""The contracts of a tokenizer, checked on texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tp_core.interfaces.tokenizer import Tokenizer
from tp_core.options.context import DataContext
from tp_core.options.tokenizer import TokenizerConfig
from tp_core.testing.subject import Subject

#: Texts with words, punctuation, several spaces, other scripts and an emoji of several code points, and an empty text.
_TEXTS = (
    "The quick brown fox jumps over the lazy dog.",
    "it's 3.14, (really)  so",
    "Straße naïve Ωmega 日本語 пример",
    "👩‍💻 ok",
    "",
)


def check(subject: Subject, *, texts: Sequence[str] = _TEXTS, data: DataContext | None = None) -> None:
    """Check a tokenizer on texts.

    Checked are: ids lie in the vocabulary and are a function of the text alone, one by one or many at once; offsets, if
    the tokenizer gives them, lie in the text and in order; the text of
    ids has these ids; special tokens, frames and words fit the vocabulary; ``facts`` of the config are those of the
    tokenizer; what it saves loads as the same tokenizer, from another folder too.

    Args:
        subject: the tokenizer.
        texts: example texts, for vocabularies that are not for words.
        data: facts about the model and the spec for the tokenizer.
    """
    config, given = subject.config(), data or DataContext()
    assert isinstance(config, TokenizerConfig)
    tokenizer = config.build(given)
    assert isinstance(tokenizer, Tokenizer), f"build() gives a {type(tokenizer).__name__}; expected a tp_core.Tokenizer"
    ids = tokenizer.encode_batch(list(texts))
    _check_ids(tokenizer, list(texts), ids)
    _check_offsets(tokenizer, list(texts), ids)
    _check_round_trip(tokenizer, list(texts), ids)
    _check_vocabulary(tokenizer)
    declared, found = config.facts(given), tokenizer.facts()
    assert declared == found, f"facts() of the config is {declared}; expected the tokenizer's facts, {found}"
    _check_saved(subject, tokenizer, list(texts), ids, given)


def _check_ids(tokenizer: Tokenizer, texts: list[str], ids: list[list[int]]) -> None:
    assert len(ids) == len(texts), f"encode_batch() gives {len(ids)} lists for {len(texts)} texts"
    for text, found in zip(texts, ids):
        outside = [each for each in found if not 0 <= each < tokenizer.vocab_size]
        assert not outside, f"{text!r} has the id {outside[0]}; vocab_size is {tokenizer.vocab_size}"
        alone = tokenizer.encode_batch([text])[0]
        assert alone == found, f"{text!r} has the ids {found} among other texts, but {alone} alone"
    flat, ends = tokenizer.encode_flat(texts)
    parts = [part.tolist() for part in np.split(flat, ends[:-1])]
    assert parts == ids, "encode_flat() gives other ids than encode_batch()"


def _check_offsets(tokenizer: Tokenizer, texts: list[str], ids: list[list[int]]) -> None:
    if type(tokenizer).encode_with_offsets is Tokenizer.encode_with_offsets:
        return
    found = tokenizer.encode_with_offsets(texts)
    assert [each.ids for each in found] == ids, "encode_with_offsets() gives other ids than encode_batch()"
    for text, each in zip(texts, found):
        assert len(each.offsets) == len(each.words) == len(each.ids), (
            f"encode_with_offsets(): {len(each.offsets)} offsets and {len(each.words)} words of {len(each.ids)} ids"
        )
        last = 0
        for start, end in each.offsets:
            part = f"the offsets ({start}, {end}) of a token of {text!r}"
            assert 0 <= start <= end <= len(text), f"{part} are outside of the text"
            assert end >= last, f"{part} are before those of the token before"
            assert text[start:end] == text[start:end].strip(), f"{part} begin or end with white space"
            last = end
        words = [word for word in each.words if word is not None]
        assert words == sorted(words), f"the words of the tokens of {text!r} are not in order: {each.words}"


def _check_round_trip(tokenizer: Tokenizer, texts: list[str], ids: list[list[int]]) -> None:
    unknown = tokenizer.special.get("unk")
    for text, found in zip(texts, ids):
        if unknown in found:  # the text of unknown tokens is lost
            continue
        again = tokenizer.encode_batch([tokenizer.decode(found)])[0]
        assert again == found, f"the ids {found} of {text!r} become {again} when they are decoded and encoded again"


def _check_vocabulary(tokenizer: Tokenizer) -> None:
    size = tokenizer.vocab_size
    frames = [tokenizer.frame(pair) for pair in (False, True)]
    framing = {each for frame in frames if frame is not None for part in frame.special for each in part}
    for role, number in [*tokenizer.special.items(), *(("in a frame", each) for each in framing)]:
        assert 0 <= number < size, f"the special token '{role}' is {number}; vocab_size is {size}"
        assert isinstance(tokenizer.token(number), str), f"token({number}) is not a string"
    starts = tokenizer.word_starts()
    assert starts is None or (starts.dtype == np.bool_ and starts.shape == (size,)), (
        f"word_starts() has the shape {getattr(starts, 'shape', None)}; expected ({size},) of bool, or None"
    )


def _check_saved(
    subject: Subject, tokenizer: Tokenizer, texts: list[str], ids: list[list[int]], data: DataContext
) -> None:
    with TemporaryDirectory() as place:
        folder = Path(place, "first")
        folder.mkdir()
        options = tokenizer.save(folder)
        folder = folder.rename(folder.with_name("second"))
        moved = {name: _inside(value, folder) for name, value in options.items()}
        again = subject.cls(**{**subject.options, **moved})
        assert isinstance(again, TokenizerConfig)
        found = again.build(data)
        assert found.encode_batch(texts) == ids, "the tokenizer loaded from the files of save() gives other ids"
        assert found.facts() == tokenizer.facts(), "the tokenizer loaded from the files of save() has other facts"


def _inside(value: object, folder: Path) -> object:
    """The value of an option. If it names a file in the folder, it becomes the file's path."""
    if isinstance(value, list):
        return [_inside(each, folder) for each in value]
    return str(folder / value) if isinstance(value, str) and (folder / value).exists() else value
