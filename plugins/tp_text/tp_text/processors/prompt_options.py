"""Options of classification by prompts. Torch-free."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from tp_core.data.classes.name_options import Names
from tp_core.data.classes.names import as_compared
from tp_core.data.classes.options import ClassLabelOptions
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext, DataContext
from tp_core.options.facts import FieldSpec, Usual
from tp_core.options.ports import ATTENTION_MASK, INPUT_IDS, LENGTHS, TOKEN_TYPE_IDS, Port
from tp_core.suggest import did_you_mean
from tp_text.processors.prompt_template import Template
from tp_text.processors.text_options import TextProcessorConfig
from tp_text.targets.prompt_options import PROMPT, PromptFacts

if TYPE_CHECKING:
    from tp_core.interfaces import Processor
    from tp_core.interfaces.tokenizer import Tokenizer, TokenizerFacts


def _lacking(names: Iterable[str], known: Iterable[str], option: str, where: str) -> Iterator[Problem]:
    """Yield a problem of an option for each of its classes that another option lacks."""
    every = list(known)
    for name in names:
        if name not in every:
            near = did_you_mean(name, every) or f"it has {', '.join(every)}"
            yield Problem(option, f"{where} has no class '{name}'; {near}")


def _named(value: Any) -> Any:
    """A mapping whose classes are named by texts; integers become texts, and null removes a class of a parent spec."""
    if not isinstance(value, Mapping):
        return value
    named = {str(name) if isinstance(name, int) else name: words for name, words in value.items()}
    return {name: words for name, words in named.items() if words is not None}


class PromptProcessorConfig(ClassLabelOptions, TextProcessorConfig):
    """Classification by the words that a language model puts into a template (PET: Schick & Schütze, 2021)."""

    terms: ClassVar[Mapping[str, str]] = {
        "template": "prompt pattern prompt_template",
        "verbalizer": "verbaliser label_words answer_words",
    }

    implementation: ClassVar[str] = "tp_text.processors.prompt_masked:MaskedPromptProcessor"
    causal_implementation: ClassVar[str] = "tp_text.processors.prompt_causal:CausalPromptProcessor"
    needs_special: ClassVar[tuple[str, ...]] = ()
    several_sequences: ClassVar[bool] = True

    template: str | None = Field(
        None,
        description="text with fields of the record in braces, and {mask} in the place of the word; "
        "literal braces are written twice",
    )
    verbalizer: Annotated[dict[str, str | list[str]] | None, BeforeValidator(_named)] = Field(
        None, description="class name → its word or words, in the order of the classes; default: the names of labels"
    )
    scoring: Literal["masked", "causal"] | None = Field(
        None, description="score words at mask tokens, or by the text from the word on; default: as the target does"
    )

    def names(self, target: str = "") -> Names | None:
        own = super().names(target)
        return list(self.verbalizer) if own is None and self.verbalizer is not None else own

    def words(self) -> dict[str, list[str]]:
        """The words of each class, by the class's name, in the order of the classes."""
        given = self.verbalizer or {}
        found = {name: given.get(name, name) for name in self.class_names() or []}
        return {name: [words] if isinstance(words, str) else list(words) for name, words in found.items()}

    # -- the model -------------------------------------------------------------------------------------------------

    def for_model(self, data: DataContext) -> "PromptProcessorConfig":
        made = super().for_model(data)
        assert isinstance(made, PromptProcessorConfig)
        facts = data.fact(PromptFacts)
        if made.scoring is not None or facts is None:
            return made
        return made.model_copy(update={"scoring": facts.scoring})

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        labels = {port: spec for port, spec in super().provides(context).items() if port.kind == "labels"}
        inputs = (INPUT_IDS, LENGTHS) if self.scoring == "causal" else (INPUT_IDS, ATTENTION_MASK, TOKEN_TYPE_IDS)
        fields = {port: FieldSpec(("batch",) if port is LENGTHS else ("batch", "length")) for port in inputs}
        words = FieldSpec(("batch", Usual(len(self.words()) or 2), Usual(1), Usual(1)))
        return fields | labels | {PROMPT: words}

    def build(self, data: DataContext, tokenizer: "Tokenizer | None") -> "Processor":
        cls = self.class_of("causal_implementation") if self.scoring == "causal" else self.implemented()
        made: Processor = cls(self, data, tokenizer)
        return made

    # -- checks ----------------------------------------------------------------------------------------------------

    def check_data(self) -> Iterator[Problem]:
        yield from super().check_data()
        if self.template is None:
            yield Problem("template", "is required: a text such as '{text_a} It was {mask}.'")
        if self.verbalizer is None and self.labels is None:
            yield Problem("verbalizer", "is required: the words of each class, such as {bad: terrible, good: great}")

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if self.template is not None:
            yield from self._check_template(self.template, set(context.labels.values()) or {"label"})
        if self._of_targets() is not None:
            yield Problem("labels", "names the classes of several targets; a prompt is for one target")
        yield from self._check_words()
        yield from super().check(context)

    def _check_template(self, template: str, labels: set[str]) -> Iterator[Problem]:
        try:
            fields = Template(template).fields
        except ValueError as error:
            yield Problem("template", str(error))
            return
        if not fields:
            yield Problem("template", "has no field of the record, such as {text_a}")
        for name in fields:
            if name in labels:
                yield Problem("template", f"has the field '{name}', which is the label to predict")

    def _check_words(self) -> Iterator[Problem]:
        if self.verbalizer is not None and len(self.verbalizer) < 2:
            yield Problem("verbalizer", f"has {len(self.verbalizer)} class; a classification needs two or more")
        before: dict[str, str] = {}
        for name, given in (self.verbalizer or {}).items():
            words = [given] if isinstance(given, str) else given
            if not words or not all(word.strip() for word in words):
                yield Problem("verbalizer", f"the class '{name}' has {'an empty' if words else 'no'} word")
            for word in words:
                first = before.setdefault(as_compared(word.strip()), name)
                if first != name:
                    yield Problem("verbalizer", f"the classes '{first}' and '{name}' have the same word '{word}'")
            twice = next((word for word in words if words.count(word) > 1), None)
            if twice is not None:
                yield Problem("verbalizer", f"'{twice}' is listed twice for the class '{name}'")
        if self.verbalizer is not None:
            names = self.class_names() or []
            yield from _lacking(names, self.verbalizer, "labels", "the verbalizer")
            yield from _lacking(self.verbalizer, names, "verbalizer", "labels")

    def check_targets(self, data: DataContext) -> Iterator[Problem]:
        asking = [name for name, target in data.targets.items() if PROMPT.name in target.labels]
        others = [name for name, target in data.targets.items() if target.labels and name not in asking]
        if data.targets and (len(asking) != 1 or others):
            message = "makes prompts for one target, prompt_mlm or prompt_lm; the model has"
            yield Problem("", f"{message} {', '.join(f'{name}: {t.module}' for name, t in data.targets.items())}")
            return
        facts = data.fact(PromptFacts)
        if facts is not None and self.scoring not in (None, facts.scoring):
            (name,) = asking
            yield Problem("scoring", f"is {self.scoring}; model.target.{name} scores words as {facts.scoring}")
        for problem in super().check_targets(data):
            by_words = problem.option == "labels" and self.labels is None
            yield problem._replace(option="verbalizer") if by_words else problem

    def check_tokenizer(self, tokenizer: "TokenizerFacts") -> Iterator[Problem]:
        roles = ("cls", "sep", "pad", "mask") if self.scoring == "masked" else ()
        missing = list(self.check_special(tokenizer, roles))
        yield from missing
        yield from super().check_tokenizer(tokenizer)
        if missing or tokenizer.tokenizer is None or self.template is None or not self.words():
            return
        from tp_text.processors.prompt_words import problems_with

        yield from problems_with(
            tokenizer.tokenizer(), Template(self.template), self.words(), self.scoring or "masked", self.max_length
        )
