"""Options of classification combined with masked language modelling. Torch-free."""

from collections.abc import Iterator
from typing import ClassVar

from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import Port
from tp_text.processors.classification_options import ClassificationProcessorConfig
from tp_text.processors.masking_options import MASKING_OPTIONS, MaskingOptions


class ClassificationMlmProcessorConfig(ClassificationProcessorConfig, MaskingOptions):
    """A text, or a pair of texts, with a class label and masked tokens."""

    implementation: ClassVar[str] = "tp_text.processors.cls_mlm:ClassificationMlmProcessor"
    needs_special: ClassVar[tuple[str, ...]] = ("cls", "sep", "pad", "mask")
    sampling_options: ClassVar[frozenset[str]] = frozenset({"pad"}) | MASKING_OPTIONS

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return super().provides(context) | {Port.labels("mlm"): FieldSpec()}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        yield from self.check_masking()
