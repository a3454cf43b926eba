"""Options of extractive question answering. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from tp_core.interfaces.framing import BARE, Frame, role_frame
from tp_core.metrics.facts import MetricFacts
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext, DataContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import Port
from tp_text.processors.text_options import TextProcessorConfig
from tp_text.scoring.thresholds import best_f1, best_threshold

if TYPE_CHECKING:
    from tp_core.interfaces.tokenizer import TokenizerFacts


class QuestionAnsweringProcessorConfig(TextProcessorConfig):
    """A question and windows of a text that has its answer: SQuAD, CMRC 2018."""

    implementation: ClassVar[str] = "tp_text.processors.question_answering:QuestionAnsweringProcessor"
    needs_special: ClassVar[tuple[str, ...]] = ("pad",)
    optional_fields: ClassVar[frozenset[str]] = frozenset({"answers", "is_impossible", "id"})
    length_column: ClassVar[str | None] = "ids"
    sampling_options: ClassVar[frozenset[str]] = TextProcessorConfig.sampling_options | {
        "no_answer_threshold",
        "n_best",
        "scoring",
    }
    terms: ClassVar[Mapping[str, str]] = {
        **TextProcessorConfig.terms,
        "stride": "doc_stride document_stride",
        "question_max_length": "max_query_length max_question_length max_question_len",
        "unanswerable": "version_2_with_negative squad_v2 handle_impossible_answer",
        "no_answer_threshold": "null_score_diff_threshold",
        "n_best": "n_best_size top_k",
    }

    stride: int | None = Field(
        None,
        ge=0,
        description="number of tokens that neighbouring windows of a text share; default: a quarter of max_length, at "
        "most 128",
    )
    step: int | None = Field(
        None,
        gt=0,
        description="number of tokens between the begins of neighbouring windows, at most those of a window, instead "
        "of stride (BERT's doc_stride)",
    )
    question_max_length: int | None = Field(
        None,
        gt=0,
        description="maximum number of tokens of a question; default: a quarter of max_length, at most 64",
    )
    unanswerable: bool = Field(False, description="questions may have no answer, as in SQuAD 2")
    no_answer_threshold: float = Field(
        0.0,
        description="a question gets no answer if the score of 'no answer' is higher than that of the best answer by "
        "more than this",
    )
    n_best: int = Field(5, gt=0, description="number of answers in n_best of a prediction")
    scoring: Literal["squad", "cmrc"] = Field(
        "squad",
        description="exact_match and f1 of words as in SQuAD's evaluation, or of Chinese characters as in CMRC 2018's",
    )

    def window_stride(self) -> int:
        """The option ``stride``, or its default; 0 if the option ``step`` gives the distance of windows."""
        if self.step is not None:
            return self.stride or 0
        return min(128, self.max_length // 4) if self.stride is None else self.stride

    def question_limit(self) -> int:
        """The option ``question_max_length``, or its default."""
        return min(64, self.max_length // 4) if self.question_max_length is None else self.question_max_length

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return super().provides(context) | {Port.labels("qa"): FieldSpec(("batch",))}

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        found = {"f1": MetricFacts("high"), "exact_match": MetricFacts("high")}
        if self.unanswerable:
            found |= {"f1_answerable": MetricFacts("high"), "f1_unanswerable": MetricFacts("high")}
            found |= {"best_f1": MetricFacts("high", best_f1), "best_threshold": MetricFacts(None, best_threshold)}
        return found

    def segments(self, tokenizer: "TokenizerFacts") -> int | None:
        return _frame(tokenizer).segment_count

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        if not self.unanswerable and self.no_answer_threshold:
            yield Problem("no_answer_threshold", "is for questions without an answer; set unanswerable: true")

        if self.step is not None and self.stride is not None:
            yield Problem("step", "and stride exclude each other: both give the distance of windows")

    def check_targets(self, data: DataContext) -> Iterator[Problem]:
        yield from super().check_targets(data)
        asking = [name for name, target in data.targets.items() if "qa" in target.labels]
        if len(asking) > 1:
            yield Problem("", f"makes one answer of the predictions of one target, not of {', '.join(asking)}")

    def check_tokenizer(self, tokenizer: "TokenizerFacts") -> Iterator[Problem]:
        yield from super().check_tokenizer(tokenizer)
        yield from self.check_frame(_frame(tokenizer))

    def check_frame(self, frame: Frame) -> Iterator[Problem]:
        """Yield the problems of the special tokens around a question and a context."""
        if not frame.special[1]:
            yield Problem("", "puts no special token between a question and its context; set sep_token")
        if self.unanswerable and not frame.head:
            yield Problem("unanswerable", "needs a special token before the question, which stands for 'no answer'")
        asked, shared, special = self.question_limit(), self.window_stride(), frame.special_count
        room = self.max_length - special - asked
        if room <= shared:
            sizes = f"{self.max_length} tokens, {special} of them special and up to {asked} of the question"
            option = "stride" if self.stride is not None else "question_max_length"
            message = (
                f"windows of the context have {max(0, room)} of {sizes}; they must have more than the {shared} shared"
            )
            yield Problem(option, message)


def _frame(tokenizer: "TokenizerFacts") -> Frame:
    return tokenizer.frames[True] or role_frame(tokenizer.special, True) or BARE[True]
