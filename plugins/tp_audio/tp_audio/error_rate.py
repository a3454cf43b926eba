"""Error rates of words, characters and tokens, as sums that add up over batches (jiwer)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def word_errors(references: Sequence[str], hypotheses: Sequence[str]) -> tuple[int, int]:
    """(substituted, deleted and inserted words; words of the references), over all texts.

    Raises:
        ValueError: not as many hypotheses as references.
    """
    import jiwer

    pairs = [(" ".join(r.split()), " ".join(h.split())) for r, h in zip(references, hypotheses, strict=True)]
    # Of an empty reference jiwer has no rate; every word that was found is one too many.
    errors = sum(len(found.split()) for wanted, found in pairs if not wanted)
    pairs = [pair for pair in pairs if pair[0]]
    if not pairs:
        return errors, 0
    found = jiwer.process_words([wanted for wanted, _ in pairs], [found for _, found in pairs])
    wrong = found.substitutions + found.deletions
    return errors + wrong + found.insertions, found.hits + wrong


def character_errors(references: Sequence[str], hypotheses: Sequence[str]) -> tuple[int, int]:
    """As :func:`word_errors`, of characters, spaces included."""
    return word_errors(*([_spelled(text) for text in texts] for texts in (references, hypotheses)))


def token_errors(references: Iterable[Sequence[int]], hypotheses: Iterable[Sequence[int]]) -> tuple[int, int]:
    """As :func:`word_errors`, of ids."""
    return word_errors(*([" ".join(map(str, ids)) for ids in rows] for rows in (references, hypotheses)))


def _spelled(text: str) -> str:
    """Characters as words."""
    return " ".join("_" if character == " " else character for character in " ".join(text.split()))
