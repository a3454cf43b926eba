"""What all parts of a validated spec are made of. Torch-free."""

from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from pydantic import ConfigDict

from tp_core.config import ModuleConfig

C = TypeVar("C", bound=ModuleConfig)

#: How the plain options of every section are validated.
SECTION = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True, allow_inf_nan=False)


class PathMark:
    """Marks an option as a path: the loader makes it absolute from where it was written."""


#: An option that names a file or folder.
PathStr = Annotated[str, PathMark()]


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

    def dump(self) -> dict[str, Any]:
        """Canonical form, with every option."""
        return {self.name: self.config.model_dump(mode="json")}
