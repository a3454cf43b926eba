"""The embedding components of a validated spec. Torch-free."""

from typing import Any, NamedTuple

from pydantic import BaseModel, Field

from tp_core.config import EmbeddingConfig, NormKind
from tp_core.spec.schema_common import SECTION, Chosen


class EmbeddingOptions(BaseModel):
    """Options of an embedding component, applied after its modules are summed."""

    model_config = SECTION

    norm: NormKind = "layernorm"
    norm_eps: float = Field(1e-12, gt=0)
    dropout: float = Field(0.1, ge=0, lt=1)


class EmbeddingSpec(NamedTuple):
    """An embedding component: its modules, in order, and its options."""

    modules: tuple[Chosen[EmbeddingConfig], ...]
    options: EmbeddingOptions

    def dump(self) -> dict[str, Any]:
        return {"modules": [m.dump() for m in self.modules], **self.options.model_dump(mode="json")}

    def parts(self) -> tuple[dict[str, EmbeddingConfig], EmbeddingOptions]:
        """What the component is built of: the modules' configs by name, and its options."""
        return {m.name: m.config for m in self.modules}, self.options
