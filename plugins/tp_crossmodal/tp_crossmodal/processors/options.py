"""Options that all processors of captions with pictures share. Torch-free."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.context import BuildContext, DataContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import Port
from tp_text.processors.classification_options import ClassificationProcessorConfig
from tp_text.processors.masking_options import MASKING_OPTIONS, MaskingOptions
from tp_text.processors.text_options import TextProcessorConfig

if TYPE_CHECKING:
    from tp_core.interfaces.tokenizer import TokenizerFacts


_TASKS = frozenset({"mlm", "itm"})


class CaptionOptions(ClassificationProcessorConfig, MaskingOptions):
    """Options of processors of captions with pictures: options of the text and of the labels for targets."""

    #: The class that reads the pictures or regions of records, as ``package.file:Class``.
    visual: ClassVar[str] = ""
    needs_special: ClassVar[tuple[str, ...]] = ("pad",)
    sampling_options: ClassVar[frozenset[str]] = frozenset({"pad"}) | MASKING_OPTIONS | _TASKS

    max_length: int = Field(
        40,
        gt=3,
        description="maximum length of a text, including special tokens; default: the model's limit, if it has one",
    )
    mlm: bool | None = Field(
        None, description="hide tokens to be predicted; default: true if the model has the target mlm"
    )
    itm: bool | None = Field(
        None,
        description="give half of the texts another record's picture; default: true if the model has the target itm",
    )
    labelled: bool | None = Field(
        None, description="read a class from the field label; default: true if the model has the target cls"
    )

    def task(self, name: str, data: DataContext) -> bool:
        """True if samples have labels of a kind: by the option if it is set, or else if a target needs them."""
        option = self.labelled if name == "cls" else getattr(self, name)
        return data.asked(name) if option is None else bool(option)

    def class_column(self, data: DataContext, target: str | None = None) -> str | None:
        return super().class_column(data, target) if self.task("cls", data) else None

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        labels = {
            Port.labels("mlm"): (self.mlm, FieldSpec()),
            Port.labels("itm"): (self.itm, FieldSpec(("batch",))),
            Port.labels("cls"): (self.labelled, FieldSpec(("batch",))),
        }
        words = TextProcessorConfig.provides(self, context)
        return words | {name: spec for name, (option, spec) in labels.items() if option is not False}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from ClassificationProcessorConfig.check(self, context)
        yield from self.check_masking()
        for option in ("labels", "probabilities", "logits"):
            if getattr(self, option) is not None and self.labelled is False:
                yield Problem(option, "is for the classes of labelled records, but labelled is false")

    def check_tokenizer(self, tokenizer: "TokenizerFacts") -> Iterator[Problem]:
        yield from super().check_tokenizer(tokenizer)
        for roles in (("cls", "bos"), ("sep", "eos")):
            if not any(role in tokenizer.special for role in roles):
                message = f"the vocabulary has neither {roles[0]} nor {roles[1]}; the processor needs one of them"
                yield Problem("", message)
        if self.mlm and "mask" not in tokenizer.special:
            yield Problem("mlm", "the vocabulary lacks the special token mask")


class StreamOptions(CaptionOptions):
    """Options of processors that feed a text to one stream and a picture to the other."""

    feeds_streams: ClassVar[bool] = True
    optional_fields: ClassVar[frozenset[str]] = frozenset({"label", "text", "image", "regions", "boxes"})

    text_stream: str | None = Field(
        None,
        description="the stream that reads the text; default: the stream text, else the stream that is not called "
        "image, else the first",
    )

    def sides(self, streams: Iterable[str]) -> tuple[str, str]:
        """Names of the text stream and of the picture stream, in a model with two streams."""
        first, second = streams
        text = self.text_stream or (second if second == "text" or first == "image" else first)
        return (text, second if text == first else first)

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        found = super().provides(context) | {Port.labels("clr"): FieldSpec(("batch",))}
        if len(context.streams) != 2:
            return found
        text, picture = self.sides(context.streams)
        words = TextProcessorConfig.provides(self, context)
        sides = {port: port._replace(of=text if port in words else picture) for port in found if port.kind == "input"}
        return {sides.get(port, port): spec for port, spec in found.items()}

    def check_targets(self, data: DataContext) -> Iterator[Problem]:
        yield from super().check_targets(data)
        if len(data.streams) != 2:
            have = ", ".join(data.streams) or "none"
            yield Problem(
                "", f"feeds a text and a picture to exactly two streams (model.streams); the model has {have}"
            )
        elif self.text_stream is not None and self.text_stream not in data.streams:
            yield Problem("text_stream", f"the streams are {' and '.join(data.streams)}")
