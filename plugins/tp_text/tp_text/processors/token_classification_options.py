"""Options of sequence labelling. Torch-free."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field

from tp_core.metrics.facts import MetricFacts
from tp_core.metrics.tables import TableFacts
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext, DataContext
from tp_core.options.facts import ClassFacts, FieldSpec
from tp_core.options.ports import Port
from tp_text.processors.text_options import TextProcessorConfig
from tp_text.tagging.metrics import SPAN_METRICS, by_type
from tp_text.tagging.schemes import OUTSIDE, Scheme, scheme_of, tags_of_types, types_of


def _listed(value: object) -> object:
    """Names in the order of their numbers, also from ``{name: number}``, as the files label2id.json have them."""
    if isinstance(value, Mapping) and all(isinstance(number, int) for number in value.values()):
        if sorted(value.values()) != list(range(len(value))):
            raise ValueError(f"the numbers are not 0 to {len(value) - 1}, each once")
        return sorted(value, key=lambda name: value[name])
    return value


class TokenClassificationProcessorConfig(TextProcessorConfig):
    """Texts whose words have tags, such as named entities: CoNLL columns, lists of tokens, spans, or TSV."""

    implementation: ClassVar[str] = "tp_text.processors.token_classification:TokenClassificationProcessor"
    needs_special: ClassVar[tuple[str, ...]] = ("pad",)
    optional_fields: ClassVar[frozenset[str]] = frozenset({"tags", "spans", "label", "tokens", "text_a", "text"})
    length_column: ClassVar[str | None] = "ids"
    terms: ClassVar[Mapping[str, str]] = {
        "labels": "label_list id2label label2id label_names tag_names",
        "types": "entities entity_types",
        "label_pieces": "label_all_tokens",
        "context": "doc_stride stride",
    }

    labels: Annotated[list[str] | None, BeforeValidator(_listed)] = Field(
        None, description="all tags, in the order of their numbers: [O, B-PER, I-PER]; or numbers by tag: {O: 0, ...}"
    )
    types: list[str] | None = Field(
        None, min_length=1, description="types of spans instead of labels; the tags are O and those of the scheme"
    )
    scheme: Scheme | None = Field(
        None, description="bio, bioes or bmes; default: that of labels, or bio for types; none for tags without spans"
    )
    label_pieces: str = Field(
        "first",
        pattern="^(first|all)$",
        description="pieces of a word that are labelled: first; or all, where the others continue the tag",
    )
    context: int | None = Field(
        None,
        ge=0,
        description="pieces on each side of a window of a long text that are only read; default: a quarter of the room",
    )
    split_spaces: bool = Field(
        False, description="the words of a text without tags are those between spaces, not those of the tokenizer"
    )
    special_tokens: bool = Field(True, description="put the tokenizer's special tokens around each window")
    strict: bool = Field(False, description="a sequence of tags that breaks the scheme is a bad record; else counted")

    def tag_names(self) -> list[str]:
        """All tags, in the order of their numbers; empty if they are not known."""
        if self.labels is not None:
            return self.labels
        return [] if self.types is None else tags_of_types(self.types, self.scheme or "bio")

    def class_names(self, target: str = "") -> list[str] | None:
        return self.tag_names() or None

    def tag_scheme(self) -> Scheme | None:
        """The scheme of the tags; None if they mark no spans."""
        return self.scheme or scheme_of(self.tag_names())

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        high = len(self.tag_names()) or None
        return super().provides(context) | {Port.labels("token_cls"): FieldSpec(high=high)}

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return SPAN_METRICS if self.tag_scheme() is not None else {}

    def tables(self, context: BuildContext) -> Mapping[str, TableFacts]:
        if self.tag_scheme() is None:
            return {}
        return {"spans": TableFacts(partial(by_type, types_of(self.tag_names())), metric="f1")}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        if self.labels is None and self.types is None:
            yield Problem("labels", "is required: all tags in the order of their numbers; or types, the types of spans")
        if self.labels is not None and self.types is not None:
            yield Problem("types", "and labels exclude each other: labels has the tags, types makes them")
        names = self.tag_names()
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            yield Problem("labels" if self.labels else "types", f"'{twice}' is listed twice")
        if self.scheme is not None and self.labels is not None:
            known = tags_of_types(types_of(self.labels), self.scheme)
            strange = next((tag for tag in self.labels if tag not in known), None)
            if strange is not None:
                yield Problem("scheme", f"is {self.scheme}, which has no tag '{strange}'")
        if self.tag_scheme() is not None and self.labels is not None and OUTSIDE not in self.labels:
            yield Problem("labels", f"lacks '{OUTSIDE}', the tag of words outside of spans")
        if self.strict and self.tag_scheme() is None:
            yield Problem("strict", "needs tags of a scheme: bio, bioes or bmes")
        if self.context is not None and 2 * self.context >= self.max_length - 2:
            yield Problem(
                "context", f"is {self.context} on each side, which leaves no room of max_length {self.max_length}"
            )

    def check_targets(self, data: DataContext) -> Iterator[Problem]:
        yield from super().check_targets(data)
        count = len(self.tag_names())
        for name, target in data.targets.items():
            known = target.fact(ClassFacts)
            if "token_cls" in target.labels and known is not None and count and known.number != count:
                yield Problem(
                    "labels" if self.labels is not None else "types",
                    f"makes {count} tags, but model.target.{name}.num_labels is {known.number}",
                )
