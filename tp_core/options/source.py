"""Base of options of sources. Torch-free."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from tp_core.options.base import ModuleConfig, Problem

if TYPE_CHECKING:
    from tp_core.data.sources.base import Source


class SourceConfig(ModuleConfig):
    """Base of source configs. An implementation is made with the options, and reads records.

    The files that options name (:meth:`contents`) count by their content, the other options by their values: what was
    prepared of a source is used until one of these, or :meth:`tp_core.data.sources.base.Source.identity`, is another.
    """

    kind: ClassVar[str] = "source"

    #: Endings of files that are read so although no spec says it. Only our own formats have some: a package of others
    #: changes no run that does not name it.
    endings: ClassVar[tuple[str, ...]] = ()

    def check_data(self) -> Iterator[Problem]:
        """Yield what is missing to read records; it is called where the files of :meth:`files` are there."""
        yield from ()

    def build(self) -> "Source":
        """The source: its implementation with these options.

        Raises:
            TPError: it cannot be read at all.
        """
        made: Source = self.implemented()(self)
        return made
