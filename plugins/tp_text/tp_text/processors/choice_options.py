"""Options of multiple choice. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import Port
from tp_text.processors.text_options import TextProcessorConfig


class ChoiceOptions(TextProcessorConfig):
    """Shared options of the processors of multiple choice."""

    terms: ClassVar[Mapping[str, str]] = {
        "label_form": "label_type answer_format",
        "first_index": "label_offset index_base",
    }

    several_sequences: ClassVar[bool] = True
    optional_fields: ClassVar[frozenset[str]] = frozenset({"label"})

    layout: Literal["context_choice", "choice_context"] = Field(
        "context_choice", description="order of the pair: the context first (SWAG, RACE), or the choice first (C3)"
    )
    label_form: Literal["auto", "index", "letter", "text"] = Field(
        "auto",
        description="form of labels: a number, a letter (A is the first choice), or the text of the choice; auto: any "
        "of these, if only one reading is possible",
    )
    first_index: int = Field(0, ge=0, le=1, description="number of the first choice in labels that are numbers")

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return super().provides(context) | {Port.labels("choice"): FieldSpec(("batch",))}


class ChoiceProcessorConfig(ChoiceOptions):
    """Multiple choice: a question with its choices, and optionally a context (SWAG, RACE, C3)."""

    terms: ClassVar[Mapping[str, str]] = {
        **ChoiceOptions.terms,
        "choice_fields": "choice_columns ending_columns endings options_columns",
    }

    implementation: ClassVar[str] = "tp_text.processors.choice:ChoiceProcessor"

    choice_fields: list[str] | None = Field(
        None,
        min_length=2,
        description="fields with one choice each, in order, such as [ending0, ending1]; default: the field choices has "
        "a list",
    )
    template: str = Field(
        "{question} {choice}", description="text of a choice with its question; both names must occur in it"
    )
    blank: str | None = Field(
        None, min_length=1, description="text that the choice replaces in a question that has it, such as _ (RACE)"
    )

    def check(self, context: BuildContext) -> Iterator[Problem]:
        for name in ("{question}", "{choice}"):
            if self.template.count(name) != 1:
                yield Problem("template", f"must have {name} once, as in '{{question}} {{choice}}'")
        for name in dict.fromkeys(self.choice_fields or ()):
            if (self.choice_fields or []).count(name) > 1:
                yield Problem("choice_fields", f"'{name}' is listed twice")
        yield from super().check(context)
