"""The ``inference:`` part of a validated spec: the defaults for using a trained model. Torch-free."""

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from tp_core.spec.sections.embed import EmbedOptions
from tp_core.spec.sections.generate import GenerateOptions


@dataclass(frozen=True)
class InferenceSpec:
    """Defaults of the commands that use a trained model; the commands' own options override them."""

    embed: EmbedOptions = field(default_factory=EmbedOptions)
    generate: GenerateOptions = field(default_factory=GenerateOptions)

    def dump(self) -> dict[str, Any]:
        """The sections and options that differ from the defaults."""
        parts: dict[str, BaseModel] = {"embed": self.embed, "generate": self.generate}
        changed = {name: options.model_dump(mode="json", exclude_defaults=True) for name, options in parts.items()}
        return {name: options for name, options in changed.items() if options}


#: Section → the class of its options.
SECTIONS: dict[str, type[BaseModel]] = {"embed": EmbedOptions, "generate": GenerateOptions}
