"""What all parts of a validated spec are made of. Torch-free."""

from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from pydantic import ConfigDict

from tp_core.config import ModuleConfig, TargetConfig

C = TypeVar("C", bound=ModuleConfig)

#: How the plain options of every section are validated.
SECTION = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True, allow_inf_nan=False)


class PathMark:
    """Marks an option as a path: the loader makes it absolute from where it was written."""


class ModuleMark:
    """Marks an option as the choice of a module of a kind: its name, or ``{name: {options}}``.

    The loader checks the choice and completes it. Where it is built: :func:`tp_core.spec.choose.nested`.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind


#: An option that names a file or folder.
PathStr = Annotated[str, PathMark()]


def key_of(name: str) -> str:
    """A module's name as a part of the names of its weights and metrics, where dots separate parts."""
    return name.replace(".", "_").replace(":", "_").replace("@", "_")


@dataclass(frozen=True)
class Chosen(Generic[C]):
    """A module that the spec names, with its validated options and where it came from."""

    kind: str
    name: str
    path: str
    config: C
    distribution: str = "tp-core"
    version: str = ""
    portable: bool = True

    @property
    def called(self) -> str:
        """What the model calls it: a target's own name, else the module's."""
        own: str | None = self.config.name if isinstance(self.config, TargetConfig) else None
        return own or self.name

    @property
    def title(self) -> str:
        """The module's name, behind the target's own where it has one."""
        return self.name if self.called == self.name else f"{self.called}: {self.name}"

    def dump(self) -> dict[str, Any]:
        """Canonical form, with every option."""
        return {self.name: self.config.model_dump(mode="json")}
