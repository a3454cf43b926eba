"""Options of the processor of filter banks with texts, for the target ctc. Torch-free."""

from collections.abc import Mapping
from typing import ClassVar

from tp_audio.processors.options import ERROR_RATES
from tp_audio.processors.speech_options import SpeechProcessorConfig
from tp_core.metrics.facts import MetricFacts
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import Port


class SpeechCtcProcessorConfig(SpeechProcessorConfig):
    """Filter banks of speech with its text, for the target ctc."""

    implementation: ClassVar[str] = "tp_audio.processors.speech_ctc:SpeechCtcProcessor"
    optional_fields: ClassVar[frozenset[str]] = frozenset({"text"})

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return super().provides(context) | {Port.labels("ctc"): FieldSpec()}

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return ERROR_RATES
