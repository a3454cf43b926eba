"""The words of classes as tokens, and mistakes in templates and words that only a vocabulary shows. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from tp_core.interfaces.framing import role_frame
from tp_core.interfaces.tokenizer import Tokenizer
from tp_core.options.base import Problem
from tp_core.suggest import did_you_mean
from tp_text.processors.prompt_template import Template, shared

#: The ways in which a model scores a word: at mask tokens in its place, or by the tokens of the text from it on.
Scoring = Literal["masked", "causal"]

#: The words of each class, by the class's name, in order.
Words = Mapping[str, Sequence[str]]


def word_tokens(tokenizer: Tokenizer, template: Template, words: Sequence[str]) -> list[list[int]]:
    """The ids of words in the place of the mask, with the white space before it.

    They are the ids that a word adds to the literal text before it. If a tokenizer joins the word with this text, they
    are the ids of the word alone.
    """
    lead = template.lead
    context, *rows = tokenizer.encode_batch([lead.rstrip(), *(lead + word for word in words), *words])
    found = []
    for whole, alone in zip(rows[: len(words)], rows[len(words) :]):
        apart = shared(context, whole) == len(context) < len(whole)
        found.append(whole[len(context) :] if apart else alone)
    return found


def special_count(tokenizer: Tokenizer, template: Template, scoring: Scoring) -> int:
    """Number of positions of a sequence besides the tokens of its text.

    A masked prompt has the tokenizer's special tokens, by default ``[CLS]`` and ``[SEP]``. A causal one has those
    before a text, or an end token if nothing else precedes the word. The model does not read its last token.
    """
    own = tokenizer.frame()
    if scoring == "causal":
        return max(len(own.head) if own is not None else 0, int(not template.begins)) - 1
    frame = own or role_frame(tokenizer.special, pair=False)
    return 0 if frame is None else frame.special_count


def problems_with(
    tokenizer: Tokenizer, template: Template, words: Words, scoring: Scoring, max_length: int
) -> Iterator[Problem]:
    """The problems of a prompt's options that depend on the vocabulary."""
    every = [(name, word) for name, own in words.items() for word in own]
    tokens = word_tokens(tokenizer, template, [word for _, word in every])
    before: dict[tuple[int, ...], tuple[str, str]] = {}
    unknown, sound = tokenizer.special.get("unk"), True
    for (name, word), ids in zip(every, tokens):
        first = before.setdefault(tuple(ids), (name, word))
        if not ids:
            yield Problem("verbalizer", f"the word '{word}' of the class '{name}' has no tokens")
        elif unknown in ids:
            yield Problem("verbalizer", _not_known(tokenizer, name, word))
        elif first != (name, word):
            what = f"the words '{first[1]}' of the class '{first[0]}' and '{word}' of the class '{name}'"
            yield Problem("verbalizer", f"{what} have the same tokens")
        else:
            continue
        sound = False
    if not sound:
        return
    longest = max(map(len, tokens))
    filled = template.filled(dict.fromkeys(template.fields, ""), "")
    length = len(tokenizer.encode_batch([filled.text])[0]) + longest + special_count(tokenizer, template, scoring)
    if length >= max_length:
        counts = f"{length} tokens, with the longest word and special tokens and without fields"
        yield Problem("template", f"has {counts}; max_length is {max_length}, which leaves no room for a text")


def _not_known(tokenizer: Tokenizer, name: str, word: str) -> str:
    message = f"the vocabulary does not know the word '{word}' of the class '{name}'"
    near = did_you_mean(word, [token for token in map(tokenizer.token, range(tokenizer.vocab_size)) if token])
    return f"{message}; {near}" if near else message
