"""What all parts of a validated spec are made of. Torch-free."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema
from pydantic_core.core_schema import ValidatorFunctionWrapHandler

from tp_core.options.base import ModuleConfig
from tp_core.options.target import TargetConfig
from tp_core.spec.part_names import TAKEN

if TYPE_CHECKING:
    from tp_core.local import Namespace

C = TypeVar("C", bound=ModuleConfig)

#: How the plain options of every section are validated.
SECTION = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True, allow_inf_nan=False)


class ModuleMark:
    """Marks an option as the choice of a module of a kind: its name, or ``{name: {options}}``.

    The loader checks the choice and completes it. Where it is built: :func:`tp_core.spec.choose.nested`.

    Args:
        labels: the module makes labels and nothing else. A trained model is used without it: where it cannot be had,
            that is said when labels are asked for (:class:`Deferred`).
    """

    def __init__(self, kind: str, labels: bool = False) -> None:
        self.kind, self.labels = kind, labels

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(_same_choice, handler(source))


def key_of(name: str) -> str:
    """A part's name as it stands in the names of its weights, where dots separate parts: another for each name.

    A dot becomes a colon, and a colon two: ``acme.mixer`` and ``acme_mixer`` have weights of their own.
    """
    key = name.replace(":", "::").replace(".", ":")
    return f"{key}:" if key in TAKEN else key


@dataclass(frozen=True)
class Chosen(Generic[C]):
    """A module that the spec names, with its validated options and where it came from.

    Attributes:
        name: the module's, which the names of its weights are made of; the distribution is no part of it.
        written: the name as the spec writes it, with the distribution where several offer it: ``word@tp-text``.
        local: the files that it came from; None for a module that can be imported by its name.
    """

    kind: str
    name: str
    path: str
    config: C
    distribution: str = "tp-core"
    version: str = ""
    portable: bool = True
    local: "Namespace | None" = field(default=None, compare=False, repr=False)
    written: str = ""

    def __post_init__(self) -> None:
        if not self.written:
            object.__setattr__(self, "written", self.name)

    @property
    def called(self) -> str:
        """What the model calls it: a target's own name, else the module's."""
        own: str | None = self.config.name if isinstance(self.config, TargetConfig) else None
        return own or self.name

    @property
    def title(self) -> str:
        """The module's name, behind the target's own where it has one."""
        return self.name if self.called == self.name else f"{self.called}: {self.name}"

    @property
    def place(self) -> str:
        """Its path in the spec, by its name, however the spec writes that."""
        return self.path.replace(self.written, self.name)

    def dump(self) -> dict[str, Any]:
        """Canonical form, with every option."""
        return {self.written: self.config.model_dump(mode="json")}


class Choice(dict[str, dict[str, Any]]):
    """The value of an option that chooses a module, with the module: its class may be of a file that has changed."""

    def __init__(self, chosen: Chosen[Any]) -> None:
        super().__init__(chosen.dump())
        self.chosen = chosen

    def __reduce__(self) -> tuple[type["Choice"], tuple[Chosen[Any]]]:
        return Choice, (self.chosen,)


class Deferred(dict[str, dict[str, Any]]):
    """The value of an option that chooses a module which is not there, as the spec has it.

    Attributes:
        reason: why it is not there.
    """

    def __init__(self, plain: dict[str, dict[str, Any]], reason: str) -> None:
        super().__init__(plain)
        self.reason = reason

    def __reduce__(self) -> tuple[type["Deferred"], tuple[dict[str, dict[str, Any]], str]]:
        return Deferred, (dict(self), self.reason)


def _same_choice(value: Any, validated: ValidatorFunctionWrapHandler) -> Any:
    """Validation of an option that is marked so, which would make a plain dictionary of a choice."""
    plain = validated(value)
    return value if isinstance(value, (Choice, Deferred)) else plain


def options_of(config: ModuleConfig) -> dict[str, Any]:
    """A module's options by name; those that choose modules know these."""
    values = {name: getattr(config, name) for name in type(config).model_fields}
    choices = {name: value for name, value in values.items() if isinstance(value, (Choice, Deferred))}
    return {**config.model_dump(), **choices}


def kind_of_module(info: Any) -> str:
    """The kind of module that an option chooses; empty for other options."""
    mark = mark_of(info)
    return "" if mark is None else mark.kind


def mark_of(info: Any) -> ModuleMark | None:
    return next((mark for mark in info.metadata if isinstance(mark, ModuleMark)), None)
