"""Metrics of generated texts: BLEU and chrF (sacrebleu), ROUGE (rouge-score), exact match.

The libraries are imported when they are needed. BLEU and chrF are in percent, as sacrebleu gives them; ROUGE and exact
match are shares.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tp_core.metrics.facts import MetricFacts

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The characters of a word, and Chinese and Japanese characters, which are words of their own.
_WORDS = re.compile(
    "[\u2e80-\u2fdf\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
    "|[^\\W_\u2e80-\u2fdf\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
)


def bleu(statistics: NDArray[Any]) -> float:
    """BLEU in percent from summed statistics of sentences (Papineni et al., 2002; Post, 2018)."""
    return _from_statistics(_bleu("none"), statistics)


def chrf(statistics: NDArray[Any]) -> float:
    """chrF2 in percent from summed statistics of sentences (Popović, 2015)."""
    return _from_statistics(_chrf(), statistics)


def _chrf() -> Any:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()


def _bleu(tokenize: str) -> Any:
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(tokenize=tokenize, force=True)  # force: no warning about texts that end in a separate period


def _from_statistics(metric: Any, statistics: NDArray[Any]) -> float:
    return float(metric._aggregate_and_compute([[int(value) for value in statistics]]).score)


TEXT_METRICS = {
    "bleu": MetricFacts("high", bleu),
    "chrf": MetricFacts("high", chrf),
    **{name: MetricFacts("high") for name in ("rouge1", "rouge2", "rougeL", "exact_match")},
}


class TextScores:
    """The states of the metrics of some texts.

    Args:
        metrics: names of metrics, from :data:`TEXT_METRICS`.
        tokenize: words of BLEU, as in sacrebleu; with zh and char, ROUGE also counts Chinese characters as words.
    """

    def __init__(self, metrics: Sequence[str], tokenize: str = "13a") -> None:
        self.metrics, self.tokenize = metrics, tokenize
        self._rouge: Any = None

    def __call__(self, found: Sequence[str], wanted: Sequence[str]) -> dict[str, tuple[Any, ...]]:
        """Name → state.

        Args:
            found: generated texts.
            wanted: the reference of each.
        """
        states: dict[str, tuple[Any, ...]] = {}
        if "bleu" in self.metrics:
            states["bleu"] = (_summed(_bleu(self.tokenize), found, wanted),)
        if "chrf" in self.metrics:
            states["chrf"] = (_summed(_chrf(), found, wanted),)
        if rouge := [name for name in self.metrics if name.startswith("rouge")]:
            for name, scores in self._rouge_scores(rouge, found, wanted).items():
                states[name] = (sum(scores), len(scores))
        if "exact_match" in self.metrics:
            same = sum(
                " ".join(one.split()) == " ".join(other.split()) for one, other in zip(found, wanted, strict=True)
            )
            states["exact_match"] = (same, len(wanted))
        return states

    def _rouge_scores(
        self, names: Sequence[str], found: Sequence[str], wanted: Sequence[str]
    ) -> dict[str, list[float]]:
        """The F1 of each pair of texts (Lin, 2004)."""
        from rouge_score.rouge_scorer import RougeScorer

        if self._rouge is None:
            words = _Characters() if self.tokenize in ("zh", "char") else None
            self._rouge = RougeScorer(names, tokenizer=words)
        each = [self._rouge.score(other, one) for one, other in zip(found, wanted, strict=True)]
        return {name: [float(scores[name].fmeasure) for scores in each] for name in names}


class _Characters:
    """Words for ROUGE: Chinese and Japanese characters, and words of other scripts, in lower case."""

    def tokenize(self, text: str) -> list[str]:
        return _WORDS.findall(text.lower())


def _summed(metric: Any, found: Sequence[str], wanted: Sequence[str]) -> NDArray[Any]:
    """The statistics of all pairs of texts, added up, which give the score of the whole corpus."""
    import numpy as np

    # The public corpus_score() keeps the statistics to itself; evaluations add them up over batches and processes.
    each = metric._extract_corpus_statistics(list(found), [list(wanted)])
    total: NDArray[Any] = np.array(each, dtype=np.float64).sum(axis=0)
    return total
