"""Options of a module that is not available. Torch-free."""

from typing import Any

from pydantic import ConfigDict, PrivateAttr

from tp_core.errors import TPError
from tp_core.options.base import ModuleConfig


class MissingConfig(ModuleConfig):
    """Options of a missing module, as written in the spec of a trained model that can be used without it.

    They have no files and no checks. Accessing facts that only the module knows, such as the number of tokens, raises a
    :class:`~tp_core.errors.TPError` with the reason why the module is missing.
    """

    model_config = ConfigDict(extra="allow")

    _reason: str = PrivateAttr("")

    @classmethod
    def of(cls, options: dict[str, Any], reason: str) -> "MissingConfig":
        """The options of a missing module, with the reason."""
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
