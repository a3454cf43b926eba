"""The ``inference:`` part of a validated spec: how a trained model is used where nobody says otherwise. Torch-free."""

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, Field

from tp_core.config import Pooling
from tp_core.spec.schema_common import SECTION


class EmbedOptions(BaseModel):
    """Keys of ``inference.embed``: the defaults of ``tp embed``."""

    model_config = SECTION

    pooling: Pooling | None = Field(
        None, description="how a sequence becomes one vector; unset: as the model's targets were trained"
    )


class GenerateOptions(BaseModel):
    """Keys of ``inference.generate``: the defaults of ``tp generate``."""

    model_config = SECTION

    max_new_tokens: int = Field(64, ge=1, description="the most tokens that a text may have")


@dataclass(frozen=True)
class InferenceSpec:
    """Defaults of the commands that use a trained model; the commands' own options override them."""

    embed: EmbedOptions = field(default_factory=EmbedOptions)
    generate: GenerateOptions = field(default_factory=GenerateOptions)

    def dump(self) -> dict[str, Any]:
        """The sections that differ from the defaults, with the options that do."""
        parts: dict[str, BaseModel] = {"embed": self.embed, "generate": self.generate}
        changed = {name: options.model_dump(mode="json", exclude_defaults=True) for name, options in parts.items()}
        return {name: options for name, options in changed.items() if options}


#: Section → the options that it holds.
SECTIONS: dict[str, type[BaseModel]] = {"embed": EmbedOptions, "generate": GenerateOptions}
