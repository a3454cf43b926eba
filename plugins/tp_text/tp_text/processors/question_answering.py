"""Extractive question answering: questions about texts, which are read in windows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from tp_core.errors import DataError, TPError
from tp_core.interfaces import IGNORE, Inputs, Joined, MetricState, Record, Report, Rows, Sample, Tokenizer
from tp_core.modules.targets.question_answering_options import QuestionAnsweringConfig
from tp_core.options.context import DataContext
from tp_text.processors.best_answers import answer, best_spans
from tp_text.processors.context_windows import token_span, windows
from tp_text.processors.question_answering_options import QuestionAnsweringProcessorConfig
from tp_text.processors.questions import Question, answered_question, problem, question_of
from tp_text.processors.records import in_columns
from tp_text.processors.text import TextProcessor
from tp_text.scoring import cmrc, squad

#: Number of questions per call of the tokenizer. Offsets take much memory.
_CHUNK = 256

#: Number of tokens of an answer up to which targets predict by default.
_USUAL_LENGTH: int = QuestionAnsweringConfig.model_fields["max_answer_length"].default

#: Measures a predicted answer by the right answers.
_Measure = Callable[[str, Sequence[str]], float]

_SCORING: dict[str, tuple[_Measure, _Measure]] = {
    "squad": (squad.f1, squad.exact_match),
    "cmrc": (cmrc.f1, cmrc.exact_match),
}


class Tokenized(NamedTuple):
    """A question and its context.

    Attributes:
        question: the ids of the question, cut to the maximum length.
        cut: True if the question was longer.
        context: the ids of the whole context.
        offsets: (tokens, 2) the first character of each token of the context, and the one after its last.
        windows: the tokens of each window of the context.
    """

    question: list[int]
    cut: bool
    context: list[int]
    offsets: NDArray[np.int32]
    windows: list[range]


class QuestionAnsweringProcessor(TextProcessor):
    """Reads ``question``, ``context`` and ``answers``. A sample is the question with a window of the context.

    Neighbouring windows share tokens (``stride``), so that most answers lie in a window as a whole. A window is
    labelled with the first of the answers that lies in it. A window without an answer has position 0 as both ends: the
    special token in front of the question, as in BERT (Devlin et al., 2019). If there is no such token, the window is
    unlabelled.

    Predictions of all windows of a record make one prediction (:func:`tp_text.processors.best_answers.answer`).
    """

    def __init__(self, config: QuestionAnsweringProcessorConfig, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data, tokenizer)
        for option, message in config.check_frame(self.frame(pair=True)):
            raise TPError(f"data.processor.qa{f'.{option}' if option else ''}: {message}")
        self.config = config
        self.step = config.step
        self.stride, self.question_limit = config.window_stride(), config.question_limit()
        self._remarks: list[str] = []

    @property
    def read_ahead(self) -> int:
        """Fewer records than in other processors, since each may have many windows."""
        return 512

    # -- rows --------------------------------------------------------------------------------------------------

    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        return in_columns(self._rows(records, report))

    def _rows(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, Any]]:
        counts = {"cut": 0, "nowhere": 0, "longest": 0}
        for chunk in _chunks(self._questions(records, report)):
            for (record, question), found in zip(chunk, self._tokenized([question for _, question in chunk])):
                try:
                    spans = _spans(record, question, found)
                except DataError as error:
                    report(error)
                    continue
                rows = list(self._rows_of(question, found, spans))
                counts["cut"] += found.cut
                counts["longest"] = max(counts["longest"], *(last - first + 1 for first, last in spans), 0)
                counts["nowhere"] += bool(spans) and not any(row["start"] > 0 for row in rows)
                yield from rows
        self._remarks = self._told(**counts)

    def _questions(self, records: Iterable[Record], report: Report) -> Iterator[tuple[Record, Question]]:
        """The records that can be used, with their questions."""
        places: dict[str, str] = {}
        for record in records:
            try:
                question = answered_question(record, self.config.unanswerable)
                name = record.value.get("id")
                if name is not None:
                    place = f"{record.file}:{record.line}"
                    if (first := places.setdefault(str(name), place)) is not place:
                        raise problem(record, f"the id '{name}' is used twice; first at {first}")
            except DataError as error:
                report(error)
                continue
            yield record, question

    def _rows_of(self, question: Question, found: Tokenized, spans: list[tuple[int, int]]) -> Iterator[dict[str, Any]]:
        """The row of each window; the first one has the text and the answers, for evaluations."""
        for number, window in enumerate(found.windows):
            sample = self._window(found, window)
            begin, end = sample["context"]
            shift = begin - window.start
            inside = [(first + shift, last + shift) for first, last in spans if first in window and last in window]
            nothing = 0 if self.frame(pair=True).head else IGNORE
            start, last = inside[0] if inside else (nothing, nothing)
            answers = [each.text for each in question.answers]
            yield {
                "ids": sample["input_ids"],
                "context": [begin, end],
                "start": start,
                "end": last,
                "window": number,
                "offsets": sample["offsets"],
                "text": b"" if number else question.context.encode(),
                "answers": b"" if number else json.dumps(answers).encode(),
            }

    def _told(self, cut: int, nowhere: int, longest: int) -> list[str]:
        found = []
        if cut:
            found.append(f"questions cut to {self.question_limit} tokens (question_max_length): {cut:,}")
        if nowhere:
            reason = f"their answers are longer than the {self.stride} tokens that windows share (stride)"
            if self.step is not None:
                reason = f"windows begin {self.step} tokens apart (step)"
            found.append(f"questions whose answer no window has as a whole: {nowhere:,}; {reason}")
        if longest > _USUAL_LENGTH:
            found.append(
                f"longest answer: {longest:,} tokens; predictions have at most max_answer_length of the target"
            )
        return found

    def remarks(self) -> list[str]:
        return self._remarks

    def record_starts(self, rows: Rows) -> NDArray[np.int64]:
        return np.flatnonzero(rows.integers("window") == 0)

    # -- windows -----------------------------------------------------------------------------------------------

    def _tokenized(self, questions: list[Question]) -> list[Tokenized]:
        asked = self.tokenizer.encode_batch([question.text for question in questions])
        contexts = list(dict.fromkeys(question.context for question in questions))
        encoded = dict(zip(contexts, self.tokenizer.encode_with_offsets(contexts)))
        places = {text: np.array(each.offsets, np.int32).reshape(-1, 2) for text, each in encoded.items()}
        found = []
        for question, ids in zip(questions, asked):
            own, whole = ids[: self.question_limit], encoded[question.context].ids
            room = self.max_length - self.special_count(pair=True) - len(own)
            parts = windows(len(whole), room, self.stride if self.step is None else max(0, room - self.step))
            found.append(Tokenized(own, len(ids) > len(own), whole, places[question.context], parts))
        return found

    def _window(self, found: Tokenized, window: range) -> Sample:
        """The sample of a window, without labels and text."""
        sample = self.assemble(found.question, found.context[window.start : window.stop])
        frame = self.frame(pair=True)
        begin = len(frame.head) + len(found.question) + len(frame.special[1])
        offsets = found.offsets[window.start : window.stop]
        return {**sample, "context": (begin, begin + len(window)), "offsets": offsets}

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        begin, end = rows.get("context", index).tolist()
        frame = self.frame(pair=True)
        question = begin - len(frame.head) - len(frame.special[1])
        return {
            "input_ids": rows.get("ids", index),
            "token_type_ids": frame.types(question, end - begin),
            "context": (begin, end),
            "start": rows.get("start", index),
            "end": rows.get("end", index),
        }

    def evaluation_sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        sample = self.sample(rows, index, generator)
        if rows.get("window", index) == 0:
            sample["text"] = bytes(rows.get("text", index)).decode()
            sample["answers"] = json.loads(bytes(rows.get("answers", index)))
        return {**sample, "offsets": rows.get("offsets", index)}

    def search_sides(self) -> None:
        """None, because a question and a text are read together."""

    def carried(self, sample: Sample) -> Sample:
        return {name: sample[name] for name in ("context", "offsets", "text", "answers") if name in sample}

    def labels(self, samples: list[Sample]) -> dict[str, Inputs]:
        ends = {end: torch.tensor([int(sample.get(end, IGNORE)) for sample in samples]) for end in ("start", "end")}
        return {"qa": {**ends, "context": torch.tensor([sample["context"] for sample in samples])}}

    # -- inference ---------------------------------------------------------------------------------------------

    def encode(self, records: list[Record]) -> list[Sample]:
        """The first window of each record."""
        return [samples[0] for samples in self.divide(records)]

    def divide(self, records: list[Record]) -> list[list[Sample]]:
        """The windows of each record, from ``question`` and ``context``."""
        questions = [question_of(record) for record in records]
        divided = []
        for record, question, found in zip(records, questions, self._tokenized(questions)):
            if not found.context:
                raise _no_tokens(record)
            samples = [self._window(found, window) for window in found.windows]
            divided.append([{**samples[0], "text": question.context}, *samples[1:]])
        return divided

    def describe(self, predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return predictions

    def combine(self, samples: list[Sample], predictions: list[dict[str, Any]]) -> dict[str, Any]:
        spans = best_spans(samples, predictions)
        null = min(each["null_score"] for each in predictions) if self.config.unanswerable else None
        return answer(samples[0]["text"], spans, null, self.config.no_answer_threshold, self.config.n_best)

    def score(self, predictions: list[dict[str, Any]], samples: list[list[Sample]]) -> Mapping[str, MetricState]:
        measure, exact = _SCORING[self.config.scoring]
        texts = [each["answer"] for each in predictions]
        wanted: list[list[str]] = [own[0]["answers"] for own in samples]
        f1 = np.array([measure(text, answers) for text, answers in zip(texts, wanted)])
        matches = sum(exact(text, answers) for text, answers in zip(texts, wanted))
        found: dict[str, MetricState] = {"f1": (f1.sum(), len(f1)), "exact_match": (matches, len(f1))}
        if self.config.unanswerable:
            has = np.array([bool(answers) for answers in wanted])
            best = [each["n_best"][0]["answer"] if each["n_best"] else "" for each in predictions]
            always = np.array([measure(text, answers) for text, answers in zip(best, wanted)])
            rows = Joined((np.array([each["no_answer_score"] for each in predictions]), always, has))
            found |= {"f1_answerable": (f1[has].sum(), has.sum()), "f1_unanswerable": (f1[~has].sum(), (~has).sum())}
            found |= {"best_f1": rows, "best_threshold": rows}
        return found


def _chunks(questions: Iterator[tuple[Record, Question]]) -> Iterator[list[tuple[Record, Question]]]:
    while chunk := list(islice(questions, _CHUNK)):
        yield chunk


def _spans(record: Record, question: Question, found: Tokenized) -> list[tuple[int, int]]:
    """The first and the last token of each answer.

    Raises:
        DataError: the tokenizer makes no tokens of the context or of an answer.
    """
    if not found.context:
        raise _no_tokens(record)
    spans = []
    for each in question.answers:
        span = token_span(found.offsets, each.start, each.end)
        if span is None:
            raise problem(record, f"the tokenizer makes no tokens of the answer '{each.text}'")
        spans.append(span)
    return spans


def _no_tokens(record: Record) -> DataError:
    return problem(record, "the tokenizer makes no tokens of the context")
