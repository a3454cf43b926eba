"""Base of options of sources. Torch-free."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from tp_core.options.base import ModuleConfig, Problem

if TYPE_CHECKING:
    from tp_core.data.sources.base import Source


class SourceConfig(ModuleConfig):
    """Base of source configs. An implementation is made with the options, and reads records.

    Files named by options (:meth:`contents`) are identified by their content, other options by their values. Prepared
    data of a source is reused until one of these or :meth:`tp_core.data.sources.base.Source.identity` changes.
    """

    kind: ClassVar[str] = "source"

    #: File endings that select this source automatically, without a spec naming it. Only first-party formats have them:
    #: installing a third-party package must not change existing runs.
    endings: ClassVar[tuple[str, ...]] = ()

    def check_data(self) -> Iterator[Problem]:
        """Yield problems that prevent reading records; only called if the files of :meth:`files` exist."""
        yield from ()

    def build(self) -> "Source":
        """The source: its implementation with these options.

        Raises:
            TPError: the source cannot be read.
        """
        made: Source = self.implemented()(self)
        return made
