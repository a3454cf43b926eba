"""PEGASUS's training samples: documents with their principal sentences removed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tp_core.data.padding import Ids
from tp_core.errors import DataError, TPError
from tp_core.interfaces import Record, Report, Rows, Sample, Tokenizer
from tp_core.options.context import DataContext
from tp_text.processors.gap_sentences_options import GapSentencesProcessorConfig
from tp_text.processors.reading import TokenizedTexts
from tp_text.processors.records import in_columns
from tp_text.processors.seq2seq import EncoderDecoderProcessor

#: PEGASUS's sentence mask token.
_SENTENCE_MASK = "<mask_1>"


class GapSentencesProcessor(EncoderDecoderProcessor):
    """Gap-sentence generation from text with one sentence per line, a blank line between documents.

    The gap sentences are those most similar to the rest of their document. In the source, each is replaced by a mask
    token. The target is the gap sentences in their original order. A document longer than ``max_length`` is split
    (Zhang et al., 2020).
    """

    def __init__(self, config: GapSentencesProcessorConfig, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data, tokenizer)
        self.bare_source(config.source_start)
        self.ratio = config.gap_ratio
        self.sentence_mask = _mask_of(tokenizer, config.mask_token)

    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        return in_columns(self._rows(records, report))

    def _rows(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, Any]]:
        for run in runs(self.tokenized(records, report), self.source_room):
            if len(run.sentences) < 2:
                message = (
                    "this document has one sentence, and a gap needs two; expected one sentence per line and a blank "
                    "line between documents (on_bad_record: skip passes over it)"
                )
                report(DataError(message, file=run.file, line=run.line))
                continue
            gaps = principal(run.sentences, self.ratio)
            yield {
                "tokens": np.concatenate(run.sentences),
                "lengths": np.array([len(s) for s in run.sentences], dtype=np.int32),
                "gaps": gaps,
            }

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        sentences = np.split(rows.get("tokens", index), np.cumsum(rows.get("lengths", index))[:-1])
        gaps = set(rows.get("gaps", index).tolist())
        mask = np.array([self.sentence_mask], dtype=np.int32)
        source = np.concatenate([mask if n in gaps else sentence for n, sentence in enumerate(sentences)])
        target = np.concatenate([sentences[n] for n in sorted(gaps)])
        return {"input_ids": self.framed(source), "target_ids": self.ended(target)}


def _mask_of(tokenizer: Tokenizer, spelling: str | None) -> int:
    wanted = _SENTENCE_MASK if spelling is None else spelling
    found = next((index for index in range(tokenizer.vocab_size) if tokenizer.token(index) == wanted), None)
    if found is None and spelling is None:
        found = tokenizer.special.get("mask")
    if found is None:
        problem = f"no token '{spelling}'" if spelling is not None else f"neither '{wanted}' nor a mask token"
        raise TPError(f"data.processor.gsg.mask_token: the vocabulary has {problem}")
    return found


@dataclass
class Run:
    """Consecutive sentences of one document, with file and line of the last sentence."""

    sentences: list[Ids]
    file: str = ""
    line: int = 0


def runs(batches: Iterable[TokenizedTexts], room: int) -> Iterator[Run]:
    """Group sentences into documents; documents longer than ``room`` tokens are split into several runs.

    Each text is one sentence. A blank text ends a document. If the last run of a split document would have only one
    sentence, the previous sentence is repeated in it. Sentences longer than ``room // 2`` are split.
    """
    half = max(1, room // 2)
    run, before, size = Run([]), None, 0
    for texts in batches:
        start = 0
        for text, line, end in zip(texts.texts, texts.lines, texts.ends):
            if run.sentences and (texts.file != run.file or not text.strip()):
                yield _ending(run, before)
                run, before, size = Run([]), None, 0
            for begin in range(start, end, half):
                sentence = texts.ids[begin : min(begin + half, end)]
                if run.sentences and size + len(sentence) > room:
                    yield run
                    run, before, size = Run([]), run.sentences[-1], 0
                run.sentences.append(sentence)
                run.file, run.line = texts.file, line
                size += len(sentence)
            start = end
    if run.sentences:
        yield _ending(run, before)


def _ending(run: Run, before: Ids | None) -> Run:
    if len(run.sentences) == 1 and before is not None:
        run.sentences.insert(0, before)
    return run


def principal(sentences: list[Ids], ratio: float) -> NDArray[np.int32]:
    """Indices of the sentences with the highest ROUGE-1 F1 against the rest of the document, in ascending order.

    Each sentence is scored independently, and repeated words count (Ind-Orig in the paper). On equal scores, the
    earlier sentence is selected.

    Args:
        ratio: share of sentences to select. At least one is selected, and at least one is left.
    """
    count = min(max(1, round(ratio * len(sentences))), len(sentences) - 1)
    scores = rouge_against_rest(sentences)
    return np.sort(np.argsort(-scores, kind="stable")[:count]).astype(np.int32)


def rouge_against_rest(sentences: list[Ids]) -> NDArray[np.float64]:
    """ROUGE-1 F1 of each sentence's tokens against the tokens of all other sentences: (sentences,)."""
    lengths = np.array([len(s) for s in sentences])
    _, words = np.unique(np.concatenate(sentences), return_inverse=True)
    owner = np.repeat(np.arange(len(sentences)), lengths)
    counts = np.zeros((len(sentences), int(words.max()) + 1), dtype=np.int64)
    np.add.at(counts, (owner, words), 1)
    shared = np.minimum(counts, counts.sum(axis=0) - counts).sum(axis=1)
    # F1 = 2PR / (P + R) with P = shared / own length and R = shared / length of the rest.
    scores: NDArray[np.float64] = 2 * shared / lengths.sum()
    return scores
