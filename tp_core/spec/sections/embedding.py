"""The embedding components of a validated spec. Torch-free."""

from typing import Any, NamedTuple

from pydantic import Field

from tp_core.options.base import Choosing
from tp_core.options.choice import Chosen
from tp_core.options.embedding import EmbeddingConfig
from tp_core.options.marks import TrainingOnly
from tp_core.options.norm import NormConfig


class EmbeddingOptions(Choosing):
    """Options of an embedding component, applied after its modules are summed."""

    norm: Chosen[NormConfig] = Chosen.by_default("layernorm", description="layernorm, rmsnorm, ..., or none")
    dropout: TrainingOnly[float] = Field(0.1, ge=0, lt=1)


class EmbeddingSpec(NamedTuple):
    """An embedding component: its modules, in order, and its options."""

    modules: tuple[Chosen[EmbeddingConfig], ...]
    options: EmbeddingOptions

    def chosen(self) -> list[Chosen[Any]]:
        """The modules, and the norm of their sum."""
        return [*self.modules, self.options.norm]

    def dump(self) -> dict[str, Any]:
        return {"modules": [m.dump() for m in self.modules], **self.options.model_dump(mode="json")}

    def parts(self) -> tuple[dict[str, EmbeddingConfig], EmbeddingOptions]:
        """The parts of the component: the configs of its modules by name, and its options."""
        return {self.key(module): module.config for module in self.modules}, self.options

    def key(self, module: Chosen[EmbeddingConfig]) -> str:
        """The name of one of its modules; with the distribution if two distributions have a module of this name."""
        alone = sum(each.name == module.name for each in self.modules) == 1
        return module.name if alone else f"{module.name}@{module.distribution}"
