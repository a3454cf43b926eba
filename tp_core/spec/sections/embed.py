"""``inference.embed:`` of a spec: how a trained model makes vectors. Torch-free."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from tp_core.errors import TPError
from tp_core.options.facts import Pooling
from tp_core.options.section import Section
from tp_core.suggest import did_you_mean


class EmbedOptions(Section):
    """Keys of ``inference.embed``: the defaults of ``tp embed``."""

    pooling: Pooling | None = Field(
        None, description="how a sequence becomes one vector; unset: as the model's targets were trained"
    )
    projection: bool | None = Field(
        None, description="project to the space in which a target compares vectors; unset: where a target does (CLIP)"
    )
    normalize: bool | None = Field(
        None, description="bring vectors to length 1; unset: where a target compares by cosine (CLIP)"
    )
    stream: str | None = Field(None, description="of a model with streams, the one that is embedded; unset: the first")
    prompts: dict[str, str] = Field(
        {}, description="names of texts that are put before a record's own, such as {query: 'query: '} (E5)"
    )
    prompt: str | None = Field(None, description="name of the prompt that is used where none is asked for; unset: none")

    def for_call(self, given: Mapping[str, Any]) -> "EmbedOptions":
        """The options of one call: those that it gives, and these for the others, which are None.

        Raises:
            TPError: there is no such pooling or prompt, or an option is of another type.
        """
        found = self.model_copy(update={name: value for name, value in given.items() if value is not None})
        if found.pooling not in (None, "mean", "first", "max", "last"):
            raise TPError(f"unknown pooling '{found.pooling}'; expected mean, first, max or last")
        for name in ("projection", "normalize"):
            if not isinstance(value := getattr(found, name), (bool, type(None))):
                raise TPError(f"{name} is true or false, got {value!r}")
        if found.prompt and found.prompt not in found.prompts:
            raise TPError(unknown_prompt(found))
        return found

    def prefix(self) -> str:
        """The prompt that is put before a record's text; empty without a prompt."""
        return self.prompts[self.prompt] if self.prompt else ""


def unknown_prompt(options: EmbedOptions) -> str:
    """Say that there is no prompt of the name that is asked for."""
    known = f"the prompts are {', '.join(options.prompts)}" if options.prompts else "inference.embed.prompts has none"
    return f"there is no prompt '{options.prompt}'; {did_you_mean(str(options.prompt), options.prompts) or known}"
