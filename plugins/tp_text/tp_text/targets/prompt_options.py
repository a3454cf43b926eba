"""Options of targets that classify by the words of a prompt. Torch-free."""

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, NamedTuple

from pydantic import Field

from tp_core.modules.targets.options import ClassTargetConfig
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec, Usual
from tp_core.options.ports import Port
from tp_text.targets.lm_options import LanguageModelConfig
from tp_text.targets.mlm_options import MaskedLanguageModelConfig

#: The tensors of the labels ``prompt``; see :class:`tp_text.targets.prompt.PromptTarget`.
PROMPT = Port.labels("prompt")


class PromptFacts(NamedTuple):
    """The way in which a target scores the words of a prompt.

    Attributes:
        scoring: ``masked``, at the mask tokens that stand in the place of a word, or ``causal``, by the tokens of the
            text from the word on.
    """

    scoring: str


class PromptTargetConfig(ClassTargetConfig):
    """Shared options of targets that classify by the words of a prompt. It must be the first base class."""

    scoring: ClassVar[str] = ""

    normalize_length: bool = Field(
        False, description="divide the log-probability of a word by the number of its scored tokens; default: the sum"
    )

    def published_facts(self) -> Iterable[Any]:
        yield from super().published_facts()
        yield PromptFacts(self.scoring)

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        head = {port: spec for port, spec in super().requires(context).items() if port.kind != "labels"}
        words = FieldSpec(("batch", Usual(self.num_labels), Usual(1), Usual(1)), high=context.vocab_size)
        return head | {Port.labels("cls"): FieldSpec(("batch",), "int64", self.num_labels), PROMPT: words}

    def label_fields(self, context: BuildContext) -> dict[str, FieldSpec]:
        words = ("batch", self.num_labels, 2, 1)
        return {
            "labels": FieldSpec(("batch",), high=self.num_labels),
            "rows": FieldSpec(("batch", 2), high=1),
            "positions": FieldSpec(("batch", 2), high=2),
            "ids": FieldSpec(words, high=context.vocab_size),
            "slots": FieldSpec(words, high=2),
        }

    def effective(self, context: BuildContext) -> dict[str, Any]:
        """The options of the head alone: without the classes, it is that of a language model."""
        found = super().effective(context)
        left = {name: value for name, value in found.items() if name not in ("num_labels", "normalize_length")}
        return left | ({"name": None} if self.name == type(self).model_fields["name"].default else {})


class PromptMaskedLanguageModelConfig(PromptTargetConfig, MaskedLanguageModelConfig):
    """Classification by words at the masks of a prompt, with a masked language model (PET: Schick & Schütze, 2021).

    It has the weights and the options of the target ``mlm``, and its name, so that ``init_from`` finds them.
    """

    implementation: ClassVar[str] = "tp_text.targets.prompt:PromptMaskedLanguageModel"
    scoring: ClassVar[str] = "masked"

    name: str | None = Field("mlm", description="name of the target in the model, and of its weights")


class PromptLanguageModelConfig(PromptTargetConfig, LanguageModelConfig):
    """Classification by words in a prompt, with a causal language model (Brown et al., 2020).

    It has the weights and the options of the target ``lm``, and its name, so that ``init_from`` finds them.
    """

    implementation: ClassVar[str] = "tp_text.targets.prompt:PromptLanguageModel"
    scoring: ClassVar[str] = "causal"

    name: str | None = Field("lm", description="name of the target in the model, and of its weights")

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        if self.z_loss:
            yield Problem("z_loss", "is for a loss over the vocabulary; the loss of a prompt is over its classes")
