"""The nearest tokens of words in the word embedding or the output matrix of a model."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from torch import Tensor

from tp_core.artifacts.load import LoadedModel, loaded_model
from tp_core.data.build import build_target_tokenizer
from tp_core.errors import TPError
from tp_core.inference.ranking import Vectors, nearest
from tp_core.interfaces import Module, Tokenizer
from tp_core.model import Model, Stream
from tp_core.spec.choices.part_names import key_of
from tp_core.suggest import did_you_mean
from tp_text.targets.sgns import SkipGram
from tp_text.targets.vocabulary import VocabularyTarget

Matrix = Literal["input", "output"]


class Neighbours(NamedTuple):
    """The nearest tokens of a word.

    Attributes:
        word: the word, as given.
        tokens: its tokens; the mean of their vectors is compared.
        nearest: ``name`` and ``similarity`` of the nearest tokens, the best first.
    """

    word: str
    tokens: list[str]
    nearest: list[dict[str, Any]]


def neighbours(
    model: LoadedModel | str | os.PathLike[str],
    words: Sequence[str],
    top: int = 10,
    by: Literal["cosine", "dot"] = "cosine",
    matrix: Matrix = "input",
    stream: str | None = None,
) -> list[Neighbours]:
    """The nearest tokens of each word. Special tokens and the tokens of the word itself are left out.

    A word that is a token of the vocabulary, as it is spelled there, is this token. Any other word is tokenized; if it
    has several tokens, the mean of their vectors is compared.

    Args:
        model: a loaded model, or its folder.
        top: number of tokens of each word.
        by: the function that compares two vectors.
        matrix: ``input``, the word embedding; ``output``, the matrix of the target that predicts tokens.
        stream: the stream of the word embedding, for a model with streams; default: the first.

    Raises:
        TPError: the vocabulary lacks a word; or the model has no tokenizer, stream or matrix of this kind.
    """
    loaded = loaded_model(model, "cpu")
    if top < 1:
        raise TPError(f"top must be at least 1, got {top}")
    if matrix == "output" and stream is not None:
        raise TPError("the stream is that of a word embedding; the output matrix belongs to a target")
    table = _output_matrix(loaded.model) if matrix == "output" else _word_embedding(loaded.model, stream)
    tokenizer = loaded.tokenizer
    if matrix == "output":
        tokenizer = build_target_tokenizer(loaded.spec) or tokenizer
    if tokenizer is None:
        raise TPError("words need a model with a tokenizer; this one's spec has none")
    vectors: Vectors = table.detach().float().cpu().numpy()
    known = {token: index for token, index in tokenizer.ids_by_token().items() if token and index < len(vectors)}
    places = [_ids(word, tokenizer, known) for word in words]  # all words are checked before the search
    special = set(tokenizer.special.values())
    return [_nearest(word, ids, known, vectors, special, top, by) for word, ids in zip(words, places)]


def _nearest(
    word: str,
    ids: list[int],
    known: dict[str, int],
    vectors: Vectors,
    special: set[int],
    top: int,
    by: Literal["cosine", "dot"],
) -> Neighbours:
    left_out = special.union(ids)
    others = {token: index for token, index in known.items() if index not in left_out}
    spelled = {index: token for token, index in known.items()}
    query = vectors[ids].mean(axis=0, keepdims=True, dtype=np.float32)
    (found,) = nearest(query, vectors[list(others.values())], list(others), top, by)
    return Neighbours(word, [spelled[index] for index in ids], found)


def _ids(word: str, tokenizer: Tokenizer, known: dict[str, int]) -> list[int]:
    """The ids of a word.

    Raises:
        TPError: the vocabulary lacks the word or a part of it.
    """
    if word in known:
        return [known[word]]
    ids = tokenizer.encode_batch([word])[0]
    unknown = tokenizer.special.get("unk")
    if ids and unknown not in ids:
        return ids
    near = difflib.get_close_matches(word, [token for token in known if abs(len(token) - len(word)) <= 2], n=5)
    hint = f"; similar tokens: {', '.join(near)}" if near else ""
    raise TPError(f"the vocabulary lacks '{word}'{hint}")


def _word_embedding(model: Model, stream: str | None) -> Tensor:
    """The matrix of the word embedding, (vocabulary, size).

    Raises:
        TPError: there is no such stream, or no word embedding.
    """
    names = [name for name in model.spec.model.streams if name]
    if stream is not None and stream not in names:
        near = did_you_mean(stream, names) or f"its streams are {', '.join(names) or 'none'}"
        raise TPError(f"the model has no stream '{stream}'; {near}")
    for name in names if stream is None else [stream]:
        side = model.streams[key_of(name)]
        assert isinstance(side, Stream)
        if (found := _words_in(side)) is not None:
            return found
    if not names and (found := _words_in(model)) is not None:
        return found
    where = f" in the stream {stream}" if stream else ""
    raise TPError(f"the model has no word embedding{where}; only a model of texts has neighbours of words")


def _words_in(side: Stream | Model) -> Tensor | None:
    parts = [part for part in side.embedding.parts.values() if isinstance(part, Module)]
    return next((part.shared_weights()["word"] for part in parts if "word" in part.shared_weights()), None)


def _output_matrix(model: Model) -> Tensor:
    """The matrix of the first target that predicts tokens, (vocabulary, size).

    Raises:
        TPError: there is no such target.
    """
    for target in model.named_targets().values():
        if isinstance(target, (VocabularyTarget, SkipGram)):
            return target.output.weight
    names = ", ".join(model.named_targets()) or "none"
    raise TPError(f"no target of the model has an output matrix (mlm, lm, bilm and sgns do); its targets are {names}")
