"""The options of a module that is not there. Torch-free."""

from typing import Any

from pydantic import ConfigDict, PrivateAttr

from tp_core.errors import TPError
from tp_core.options.base import ModuleConfig


class MissingConfig(ModuleConfig):
    """Stands for the options of a module which a trained model is used without, as its spec has them.

    It has no files, and nothing to check. What only the module knows, the number of its tokens for example, is a
    :class:`~tp_core.errors.TPError` with the reason for which it is not there.
    """

    model_config = ConfigDict(extra="allow")

    _reason: str = PrivateAttr("")

    @classmethod
    def of(cls, options: dict[str, Any], reason: str) -> "MissingConfig":
        """The options of a module that is not there, with the reason."""
        made = cls(**options)
        made._reason = reason
        return made

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)  # type: ignore[misc]
        except AttributeError:
            if name.startswith("_"):
                raise
            raise TPError(self._reason) from None
