"""Base of options of processors. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from tp_core.metrics.facts import MetricFacts
from tp_core.options.base import ModuleConfig, Problem
from tp_core.options.context import BuildContext, DataContext

if TYPE_CHECKING:
    from tp_core.interfaces import Processor
    from tp_core.interfaces.tokenizer import Tokenizer, TokenizerFacts


class ProcessorConfig(ModuleConfig):
    """Base of processor configs."""

    kind: ClassVar[str] = "processor"

    needs_tokenizer: ClassVar[bool] = True
    #: True if batches hold one ``Inputs`` per named stream; the fields are then provided to every stream.
    feeds_streams: ClassVar[bool] = False
    #: True if a sample may have several sequences, such as the choices of a question (``Batch.sequences``).
    several_sequences: ClassVar[bool] = False
    #: Options that only change how samples are drawn, not the prepared and cached rows.
    sampling_options: ClassVar[frozenset[str]] = frozenset()
    #: Record fields that may name files, such as images. The contents of these files are part of the cache key.
    media_fields: ClassVar[frozenset[str]] = frozenset()
    #: Fields that records for inference may lack: labels, and fields that only one stream reads. ``data.columns`` may
    #: name columns for them that a file for inference does not have.
    optional_fields: ClassVar[frozenset[str]] = frozenset()
    #: Column of the prepared rows whose lengths equal the lengths of the samples, for ``data.bucket``; None if none.
    length_column: ClassVar[str | None] = None

    #: The options that bound the lengths of sequences, and those of the decoder's side; empty without.
    length_option: ClassVar[str] = ""
    target_length_option: ClassVar[str] = ""

    def limits_of_model(self, data: DataContext) -> Mapping[str, int]:
        """The options that bound lengths, with the model's limits that are their defaults."""
        return {}

    def for_model(self, data: DataContext) -> "ProcessorConfig":
        """The options with lengths filled in: lengths that the spec omits become the model's limits."""
        limits = {option: limit for option, limit in self.limits_of_model(data).items() if self._is_default(option)}
        return self.model_copy(update=limits) if limits else self

    def _is_default(self, option: str) -> bool:
        return option not in self.model_fields_set

    def sequence_length(self) -> int | None:
        """The longest sequence that this processor makes; None if it has no bound."""
        return None

    def target_sequence_length(self) -> int | None:
        """The longest sequence of the decoder's side; None without a bound or without a decoder's side."""
        return None

    def extra_ids(self) -> int:
        """The number of ids that it adds after those of the tokenizer; the model has rows for them, too."""
        return 0

    def starting_with(self, token: int, special: Mapping[str, int]) -> Mapping[str, Any]:
        """The options that make a decoder's input start with a token; empty if the processor has no such option.

        Args:
            token: id of the token.
            special: role → id, in the decoder's vocabulary.
        """
        return {}

    def check_data(self) -> Iterator[Problem]:
        """Yield problems that prevent preparing data, such as options that presets leave open."""
        yield from ()

    def check_tokenizer(self, tokenizer: "TokenizerFacts") -> Iterator[Problem]:
        """Yield requirements that the tokenizer does not meet, such as missing special tokens.

        A problem with an option is reported at this processor's option; otherwise it is reported at the tokenizer.
        """
        yield from ()

    def segments(self, tokenizer: "TokenizerFacts") -> int | None:
        """Number of segments (values of ``token_type_ids``) in any sequence; None if it depends on the records."""
        return None

    def check_targets(self, data: DataContext) -> Iterator[Problem]:
        """Yield conflicts with the options of the model's targets, such as the number of classes."""
        yield from ()

    def check_target_tokenizer(self, tokenizer: "TokenizerFacts") -> Iterator[Problem]:
        """Like :meth:`check_tokenizer`, for the decoder's side: its own tokenizer or the shared one.

        It is only called for processors that provide a decoder's side.
        """
        yield from ()

    def check_separate_tokenizers(self) -> Iterator[Problem]:
        """Yield a problem if the decoder's side must not have its own tokenizer."""
        yield from ()

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        """The metrics of :meth:`Processor.score`, with their better direction; empty if there are none."""
        return {}

    def companions(self, paths: list[str]) -> list[str]:
        """Files that are read in addition to the data files, such as the other side of a parallel corpus.

        Args:
            paths: the files and folders of ``data.train`` or ``data.eval``.
        """
        return []

    def build(self, data: DataContext, tokenizer: "Tokenizer | None") -> "Processor":
        """The processor: its implementation with these options, and with the tokenizer if it needs one."""
        arguments = (self, data, tokenizer) if self.needs_tokenizer else (self, data)
        made: Processor = self.implemented()(*arguments)
        return made
