"""Error counts of words, characters and tokens (jiwer). Counts of several batches can be added up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def word_errors(references: Sequence[str], hypotheses: Sequence[str]) -> tuple[int, int]:
    """(substituted, deleted and inserted words; words of the references), over all texts.

    Raises:
        ValueError: the numbers of hypotheses and references differ.
    """
    import jiwer

    pairs = [(" ".join(r.split()), " ".join(h.split())) for r, h in zip(references, hypotheses, strict=True)]
    # jiwer does not accept empty references. Each word found there is an insertion.
    errors = sum(len(found.split()) for wanted, found in pairs if not wanted)
    pairs = [pair for pair in pairs if pair[0]]
    if not pairs:
        return errors, 0
    found = jiwer.process_words([wanted for wanted, _ in pairs], [found for _, found in pairs])
    wrong = found.substitutions + found.deletions
    return errors + wrong + found.insertions, found.hits + wrong


def character_errors(references: Sequence[str], hypotheses: Sequence[str]) -> tuple[int, int]:
    """As :func:`word_errors`, for characters including spaces."""
    return word_errors(*([_spelled(text) for text in texts] for texts in (references, hypotheses)))


def token_errors(references: Iterable[Sequence[int]], hypotheses: Iterable[Sequence[int]]) -> tuple[int, int]:
    """As :func:`word_errors`, for token ids."""
    return word_errors(*([" ".join(map(str, ids)) for ids in rows] for rows in (references, hypotheses)))


def _spelled(text: str) -> str:
    """The text with spaces between its characters, so that each character counts as a word."""
    return " ".join("_" if character == " " else character for character in " ".join(text.split()))
