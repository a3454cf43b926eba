"""The best answers to a question, from the spans that are predicted in the windows of its text."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from tp_core.interfaces import Sample


class Span(NamedTuple):
    """A span of a text with its score: its first character, and the one after its last."""

    score: float
    start: int
    end: int


def best_spans(samples: list[Sample], predictions: list[dict[str, Any]]) -> list[Span]:
    """The spans of all windows, the best first. A span of several windows has its highest score.

    Args:
        samples: the windows, with ``context``, the positions of the window's tokens (first, end), and ``offsets``, the
            characters (tokens, 2) of each.
        predictions: the predictions of the target ``qa`` for each window.
    """
    scores: dict[tuple[int, int], float] = {}
    for sample, prediction in zip(samples, predictions, strict=True):
        first, offsets = sample["context"][0], sample["offsets"]
        for span in prediction["spans"]:
            place = int(offsets[span["start"] - first][0]), int(offsets[span["end"] - first][1])
            if place[0] < place[1]:  # some tokens have no characters
                scores[place] = max(span["score"], scores.get(place, -math.inf))
    return sorted((Span(score, *place) for place, score in scores.items()), key=lambda s: (-s.score, s.start, s.end))


def answer(text: str, spans: list[Span], null: float | None, threshold: float, n_best: int) -> dict[str, Any]:
    """The prediction for a question.

    The probabilities are the softmax over all spans and, if ``null`` is given, "no answer".

    Args:
        text: the text of the spans.
        spans: the result of :func:`best_spans`.
        null: the score of "no answer"; None if every question has an answer.
        threshold: maximum difference of ``null`` and the best score with which the best span is the answer.
        n_best: number of answers to list.

    Returns:
        ``answer``, its ``score``, ``probability``, ``start`` and ``end``, and ``n_best``, the best spans in the same
        form. If ``null`` is given, ``no_answer_score`` is its difference to the best score. Without an answer, the text
        is empty, and the start and the end are None.
    """
    scores = [span.score for span in spans] + ([] if null is None else [null])
    highest = max(scores, default=0.0)
    total = math.fsum(math.exp(score - highest) for score in scores)

    def made(score: float, start: int | None, end: int | None) -> dict[str, Any]:
        shown = "" if start is None else text[start:end]
        probability = math.exp(score - highest) / total
        return {"answer": shown, "score": score, "probability": probability, "start": start, "end": end}

    best = [made(*span) for span in spans[:n_best]]
    found: dict[str, Any] = {"answer": "", "score": None, "probability": None, "start": None, "end": None}
    if null is not None:
        distance = null - spans[0].score if spans else math.inf
        found = best[0] if best and not distance > threshold else made(null, None, None)
        return {**found, "no_answer_score": distance, "n_best": best}
    return {**(best[0] if best else found), "n_best": best}
