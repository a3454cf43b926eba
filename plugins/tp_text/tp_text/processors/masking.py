"""Selection and masking of tokens for a masked language model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import from_numpy

from tp_core.errors import TPError
from tp_core.interfaces import IGNORE, Inputs, Sample, Tokenizer
from tp_text.processors.masking_options import MaskingOptions


class Masking:
    """Dynamic masking: the tokens are chosen anew each time a sample is read, with the generator of that read."""

    def __init__(self, options: MaskingOptions, tokenizer: Tokenizer, max_length: int) -> None:
        self.options = options
        self.mask = tokenizer.special["mask"]
        self.budget = max(1, round(options.mask_rate * max_length))
        self.special = np.zeros(tokenizer.vocab_size, dtype=bool)
        self.special[list(tokenizer.special.values())] = True
        # The unknown token may be masked and predicted like an ordinary token.
        if "unk" in tokenizer.special:
            self.special[tokenizer.special["unk"]] = False
        self.ordinary = np.flatnonzero(~self.special)
        self.starts: NDArray[np.bool_] | None = None
        if options.whole_word:
            self.starts = tokenizer.word_starts()
            if self.starts is None:
                raise TPError("whole_word: this tokenizer's vocabulary does not say where words begin")

    def __call__(self, sample: Sample, generator: np.random.Generator) -> None:
        """Mask tokens of ``input_ids`` and add ``mlm_positions`` and ``mlm_labels``; changes the sample in place."""
        ids = sample["input_ids"]
        candidates = np.flatnonzero(~self.special[ids])
        wanted = min(self.budget, max(1, round(self.options.mask_rate * len(candidates))))
        if self.options.span:
            chosen = self._spans(candidates, wanted, generator)
        elif self.starts is not None:
            chosen = self._words(ids, candidates, wanted, generator)
        else:
            chosen = generator.permutation(candidates)[:wanted]
        chosen = np.sort(chosen)
        sample["mlm_positions"], sample["mlm_labels"] = chosen, ids[chosen].astype(np.int64)
        draw = generator.random(len(chosen))
        hidden = draw < self.options.mask_replace
        random = ~hidden & (draw < self.options.mask_replace + self.options.random_replace)
        hide = ids.copy()
        hide[chosen[hidden]] = self.mask
        hide[chosen[random]] = generator.choice(self.ordinary, size=int(random.sum()))
        sample["input_ids"] = hide

    def _words(
        self, ids: NDArray[np.int32], candidates: NDArray[np.int64], wanted: int, generator: np.random.Generator
    ) -> NDArray[np.int64]:
        """Choose whole words in random order as long as they fit; if none fits, cut one word to the budget."""
        assert self.starts is not None
        begins = self.starts[ids[candidates]]
        # A word ends where the next one begins. A special token between two pieces also ends a word.
        begins[1:] |= np.diff(candidates) > 1
        begins[:1] = True
        words = np.split(candidates, np.flatnonzero(begins)[1:])
        chosen: list[NDArray[np.int64]] = []
        room = wanted
        order = generator.permutation(len(words)) if len(candidates) else np.empty(0, dtype=np.int64)
        for number in order:
            word = words[number]
            if len(word) <= room:
                chosen.append(word)
                room -= len(word)
            if room == 0:
                break
        if not chosen:
            return words[order[0]][: self.budget] if len(order) else candidates
        return np.concatenate(chosen)

    def _spans(self, candidates: NDArray[np.int64], wanted: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Choose spans at random places until enough tokens are chosen.

        The span lengths are geometrically distributed (Joshi et al., 2020).
        """
        taken = np.zeros(len(candidates), dtype=bool)
        if not len(candidates):
            return candidates
        # A special token between two candidates ends a span.
        ends = np.append(np.flatnonzero(np.diff(candidates) > 1) + 1, len(candidates))
        for _ in range(8 * wanted):
            room = wanted - int(taken.sum())
            if room <= 0:
                break
            length = min(int(generator.geometric(self.options.span_p)), self.options.span_max_length, room)
            start = int(generator.integers(len(candidates)))
            taken[start : min(start + length, ends[np.searchsorted(ends, start, side="right")])] = True
        return candidates[taken]

    def labels(self, samples: list[Sample]) -> Inputs:
        """``positions`` and ``labels``, both (batch, budget); the shape does not depend on the choice."""
        positions = np.zeros((len(samples), self.budget), dtype=np.int64)
        labels = np.full((len(samples), self.budget), IGNORE, dtype=np.int64)
        for row, sample in enumerate(samples):
            count = len(sample["mlm_positions"])
            positions[row, :count] = sample["mlm_positions"]
            labels[row, :count] = sample["mlm_labels"]
        return {"positions": from_numpy(positions), "labels": from_numpy(labels)}
