"""Base of options of formats of models. Torch-free."""

from typing import TYPE_CHECKING, ClassVar

from tp_core.options.base import ModuleConfig

if TYPE_CHECKING:
    from tp_core.interfaces.format import Format


class FormatConfig(ModuleConfig):
    """Base of configs of formats that ``tp convert`` reads or writes. An implementation is made with options and name.

    ``tp convert --from NAME`` and ``--to NAME`` have an option for each option of the config: ``vocab`` is ``--vocab``.
    """

    kind: ClassVar[str] = "format"

    #: Options that only matter for models that are read.
    reading: ClassVar[frozenset[str]] = frozenset()
    #: Options that only matter for models that are written.
    writing: ClassVar[frozenset[str]] = frozenset()

    def build(self, name: str) -> "Format":
        """The format with these options."""
        made: Format = self.implemented()(self, name)
        return made
