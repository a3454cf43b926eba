"""Questions about a text of numbered words, and the processor that reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.text.corpora import tokenizer
from tp_core.data.cache.rows import ArrowRows
from tp_core.data.sampling.order import EVALUATION, generator
from tp_core.interfaces import Sample, Tokenizer
from tp_core.options.context import DataContext
from tp_text.processors.question_answering import QuestionAnsweringProcessor
from tp_text.processors.question_answering_options import QuestionAnsweringProcessorConfig

CONTEXT = "w10 w11ab w12, w13 w14 w15 w16c w17 w18 w19 w20 w21 w22 w23ba w24 w25"
COMMA = ","


def made(folder: Path, with_tokenizer: Tokenizer | None = None, **options: Any) -> QuestionAnsweringProcessor:
    config = QuestionAnsweringProcessorConfig(**{"max_length": 20, **options})
    found = config.build(DataContext(), with_tokenizer or tokenizer(folder, COMMA))
    assert isinstance(found, QuestionAnsweringProcessor)
    return found


def asked(*answers: str, question: str = "w1 w2", context: str = CONTEXT, **more: Any) -> dict[str, Any]:
    """A record whose answers are where the context first has them."""
    starts = [context.index(answer) for answer in answers]
    given = {"text": list(answers), "answer_start": starts}
    return {"question": question, "context": context, "answers": given, **more}


def evaluated(processor: QuestionAnsweringProcessor, rows: ArrowRows) -> list[Sample]:
    return [processor.evaluation_sample(rows, n, generator(0, EVALUATION, 0, n)) for n in range(len(rows))]


def text_of(processor: QuestionAnsweringProcessor, sample: Sample, text: str) -> str:
    """The text that the labels of a sample name."""
    first, _ = sample["context"]
    begin, end = sample["offsets"][sample["start"] - first][0], sample["offsets"][sample["end"] - first][1]
    return text[begin:end]
