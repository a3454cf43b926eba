"""Options of cloze tests. Torch-free."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tp_core.metrics.facts import MetricFacts
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.suggest import did_you_mean
from tp_text.processors.choice_options import ChoiceOptions

if TYPE_CHECKING:
    from tp_core.interfaces.tokenizer import TokenizerFacts

#: The blanks of ChID: ``#idiom#``, or ``#idiom000378#`` with a number.
IDIOM = r"#idiom\d*#"


class ClozeProcessorConfig(ChoiceOptions):
    """Cloze tests: texts with blanks, and the choices to fill them (ChID)."""

    implementation: ClassVar[str] = "tp_text.processors.cloze:ClozeProcessor"

    blank_pattern: str = Field(IDIOM, min_length=1, description="regular expression of a blank in a text")
    mark: str | None = Field(
        None, description="token in the place of the blank that is asked about; default: the mask token"
    )
    other_mark: str | None = Field(None, description="token in the place of other blanks; default: the unknown token")
    one_to_one: bool = Field(
        False,
        description="true: the blanks of a record get different choices, those that are most probable together; adds "
        "the metric assigned_accuracy",
    )

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return {"assigned_accuracy": MetricFacts("high")} if self.one_to_one else {}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        try:
            if re.fullmatch(self.blank_pattern, ""):
                yield Problem("blank_pattern", "matches the empty text; expected a pattern of a blank")
        except re.error as error:
            yield Problem("blank_pattern", f"is no regular expression: {error}")
        yield from super().check(context)

    def check_tokenizer(self, tokenizer: "TokenizerFacts") -> Iterator[Problem]:
        for option, role in (("mark", "mask"), ("other_mark", "unk")):
            token = getattr(self, option)
            if token is None and role not in tokenizer.special:
                yield Problem(option, f"the vocabulary lacks the special token '{role}'; name another token for blanks")
            elif token is not None and token not in tokenizer.tokens():
                near = did_you_mean(token, tokenizer.tokens())
                yield Problem(option, f"the vocabulary has no token '{token}'" + (f"; {near}" if near else ""))
        yield from super().check_tokenizer(tokenizer)
