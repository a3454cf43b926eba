"""Base of options of sources. Torch-free."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from tp_core.options.base import ModuleConfig, Problem
from tp_core.options.choice import Chosen, Slot, slots_of
from tp_core.options.marks import PathMark

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

    def check_beside(self, train: "SourceConfig") -> Iterator[Problem]:
        """Yield problems of evaluation data from this source, if ``train`` is the source of training data."""
        yield from ()

    def inputs(self) -> "list[str | Chosen[SourceConfig]]":
        """The data inputs that the source reads: those of its options of the type :data:`Inputs`."""
        options = [option for option, slot in slots_of(type(self)).items() if slot.paths]
        return [each for option in options for each in getattr(self, option)]

    def build(self) -> "Source":
        """The source: its implementation with these options.

        Raises:
            TPError: the source cannot be read.
        """
        made: Source = self.implemented()(self)
        return made


if TYPE_CHECKING:
    #: Type of an option that holds data inputs, written as in ``data.train``: paths, and choices of sources.
    Inputs = list[str | Chosen[SourceConfig]]
else:
    Inputs = Annotated[
        list[Annotated[Any, Slot(SourceConfig, paths=True), PathMark()]],
        BeforeValidator(lambda value: value if isinstance(value, list) else [value]),
        Field(min_length=1),
    ]
