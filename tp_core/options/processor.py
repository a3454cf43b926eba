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
    #: Batches hold one ``Inputs`` per named stream; their fields are then provided to every stream.
    feeds_streams: ClassVar[bool] = False
    #: Options that change only how samples are drawn, not what is prepared and cached.
    sampling_options: ClassVar[frozenset[str]] = frozenset()
    #: Fields of records that may name files, such as pictures: their contents are part of the cache's key.
    media_fields: ClassVar[frozenset[str]] = frozenset()
    #: Fields that records for inference may lack: labels, and what only one of the streams reads. ``data.columns`` may
    #: name columns for them that a file of such records does not have.
    optional_fields: ClassVar[frozenset[str]] = frozenset()
    #: Column of the prepared rows whose lengths are those of the samples, for ``data.bucket``; None if there is none.
    length_column: ClassVar[str | None] = None

    #: The options that bound the lengths of sequences, and those of the decoder's side; empty without.
    length_option: ClassVar[str] = ""
    target_length_option: ClassVar[str] = ""

    def limits_of_model(self, data: DataContext) -> Mapping[str, int]:
        """The options that bound lengths, with the limits of the model that they are where the spec gives none."""
        return {}

    def for_model(self, data: DataContext) -> "ProcessorConfig":
        """The options as the model completes them: lengths that the spec does not give are the model's limits."""
        limits = {option: limit for option, limit in self.limits_of_model(data).items() if self._is_default(option)}
        return self.model_copy(update=limits) if limits else self

    def _is_default(self, option: str) -> bool:
        return option not in self.model_fields_set

    def sequence_length(self) -> int | None:
        """The longest sequence this processor makes; None if it has no such bound."""
        return None

    def target_sequence_length(self) -> int | None:
        """The longest sequence of the decoder's side; None if there is no such bound or no such side."""
        return None

    def extra_ids(self) -> int:
        """The number of ids that it adds after those of the tokenizer; the model has rows for them, too."""
        return 0

    def starting_with(self, token: int, special: Mapping[str, int]) -> Mapping[str, Any]:
        """The options with which a decoder's input begins with a token; empty for a processor that has no choice.

        Args:
            special: role → id, of the decoder's vocabulary.
        """
        return {}

    def check_data(self) -> Iterator[Problem]:
        """Yield what is missing to prepare data, which presets may leave open."""
        yield from ()

    def check_tokenizer(self, tokenizer: "TokenizerFacts") -> Iterator[Problem]:
        """Yield what this processor needs of the tokenizer and does not find, special tokens for example.

        A problem with an option is shown at this processor's option, one without at the tokenizer.
        """
        yield from ()

    def segments(self, tokenizer: "TokenizerFacts") -> int | None:
        """Number of segments (values of ``token_type_ids``) of any sequence; None where only records say."""
        return None

    def check_targets(self, data: DataContext) -> Iterator[Problem]:
        """Yield what does not agree with the options of the model's targets, numbers of classes for example."""
        yield from ()

    def check_target_tokenizer(self, tokenizer: "TokenizerFacts") -> Iterator[Problem]:
        """As :meth:`check_tokenizer`, of the decoder's side: its own tokenizer, or the one that both sides share.

        Called only for processors that provide a decoder's side.
        """
        yield from ()

    def check_separate_tokenizers(self) -> Iterator[Problem]:
        """Yield a problem where the decoder's side may not have a tokenizer of its own."""
        yield from ()

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        """The metrics of :meth:`Processor.score`, with the side on which they are better; empty without."""
        return {}

    def companions(self, paths: list[str]) -> list[str]:
        """Files that are read beside the data's own, such as the other side of a parallel corpus.

        Args:
            paths: the files and folders of ``data.train`` or ``data.eval``.
        """
        return []

    def build(self, data: DataContext, tokenizer: "Tokenizer | None") -> "Processor":
        """The processor: its implementation with these options, and with the tokenizer if it needs one."""
        arguments = (self, data, tokenizer) if self.needs_tokenizer else (self, data)
        made: Processor = self.implemented()(*arguments)
        return made
