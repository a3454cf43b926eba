"""Base of the options of processors that read labels of records. Torch-free."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from tp_core.options.context import DataContext
from tp_core.options.processor import ProcessorConfig

if TYPE_CHECKING:
    from tp_core.data.labels import RecordLabels


class LabelOptions(ProcessorConfig):
    """Mixin for the config of a processor whose records have labels. It must be before the other base classes."""

    #: Kind of the labels, as in ``Port.labels``.
    label_kind: ClassVar[str] = ""
    optional_fields: ClassVar[frozenset[str]] = frozenset({"label"})

    @abstractmethod
    def record_labels(self, data: DataContext) -> "RecordLabels[Any]":
        """The reader of the records' labels."""

    def label_names(self) -> list[str] | None:
        """The names of the classes, or of the outputs, that all targets share, in order; None without names."""
        return None
