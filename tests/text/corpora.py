"""Small corpora whose words are tokens, and processors over them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.text.vocabularies import BERT, lines
from tp_core.data.cache.rows import ArrowRows, write_rows
from tp_core.data.sampling.order import TRAIN, generator
from tp_core.errors import DataError
from tp_core.interfaces import Processor, Record, Sample, Tokenizer
from tp_core.options.context import DataContext
from tp_core.options.processor import ProcessorConfig
from tp_core.testing.specs import config_class_of
from tp_text.tokenizers.line_vocabulary_options import WordPieceConfig

WORDS = 400
TAILS = ["##a", "##b", "##c"]
PAD, UNK, CLS, SEP, MASK = range(5)
EOS = 5
#: Id of the word ``w0``; ``w1`` comes next, and so on; behind the words the tails.
FIRST = 6
TAIL = FIRST + WORDS
SPECIAL = {PAD, CLS, SEP, MASK, EOS}
SIZE = TAIL + len(TAILS)


def tokenizer(folder: Path, *extra: str) -> Tokenizer:
    """Words ``w0`` ..., which may have tails: ``w3ab`` is ``w3 ##a ##b``; ``extra`` tokens come last."""
    vocabulary = [*BERT, "[EOS]", *(f"w{i}" for i in range(WORDS)), *TAILS, *extra]
    path = lines(folder / "vocab.txt", vocabulary)
    return WordPieceConfig(vocab=path, eos_token="[EOS]").build(DataContext())


def processor(
    folder: Path, name: str, data: DataContext | None = None, *, extra: tuple[str, ...] = (), **options: Any
) -> Processor:
    config = config_class_of("processor", name)(**options)
    assert isinstance(config, ProcessorConfig)
    return config.build(data or DataContext(), tokenizer(folder, *extra))


def records(values: list[Any], file: str = "corpus.txt") -> list[Record]:
    """Records of texts, or of dictionaries."""
    return [Record(v if isinstance(v, dict) else {"text": v}, file, n) for n, v in enumerate(values, 1)]


def refuse(error: DataError) -> None:
    raise error


def rows_of(folder: Path, made: Processor, given: list[Record]) -> ArrowRows:
    path = folder / "rows.arrow"
    assert write_rows(path, made.prepare(iter(given), refuse))
    return ArrowRows(path)


def draw(made: Processor, rows: ArrowRows, index: int, epoch: int = 0, seed: int = 0) -> Sample:
    return made.sample(rows, index, generator(seed, TRAIN, epoch, index))


def documents(count: int, sentences: tuple[int, int] = (1, 9), words: tuple[int, int] = (1, 14)) -> list[list[str]]:
    """Documents as lists of sentences. Numbered words run on through the whole corpus, so that order can be seen."""
    random = np.random.default_rng(0)
    number, made = 0, []
    for _ in range(count):
        document = []
        for _ in range(random.integers(*sentences, endpoint=True)):
            length = int(random.integers(*words, endpoint=True))
            document.append(" ".join(f"w{(number + i) % WORDS}" for i in range(length)))
            number += length
        made.append(document)
    return made


def running_text(given: list[list[str]], last_blank: bool = True) -> list[Record]:
    """One sentence per line, a blank line between documents."""
    texts = [line for document in given for line in [*document, ""]]
    return records(texts if last_blank else texts[:-1])


def numbers(text: str) -> list[int]:
    return [FIRST + int(word[1:]) for word in text.split()]


def original(sample: Sample) -> list[int]:
    """The ids before masking."""
    ids = np.array(sample["input_ids"])
    if "mlm_positions" in sample:
        ids[sample["mlm_positions"]] = sample["mlm_labels"]
    return [int(i) for i in ids]


def segments(sample: Sample) -> tuple[list[int], list[int]]:
    """The two segments without special tokens."""
    ids, types = original(sample), sample["token_type_ids"]
    return tuple([i for i, t in zip(ids, types) if t == kind and i not in SPECIAL] for kind in (0, 1))  # type: ignore[return-value]


CORPUS = documents(40)
#: All of its ids, in order.
ALL = [number for document in CORPUS for line in document for number in numbers(line)]
#: One document per line.
LINES = records([" ".join(document) for document in CORPUS])
