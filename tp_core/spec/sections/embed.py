"""``inference.embed:`` of a spec: options for computing vectors with a trained model. Torch-free."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from tp_core.errors import TPError
from tp_core.options.facts import Comparison, Pooling
from tp_core.options.section import Section
from tp_core.suggest import did_you_mean


class EmbedOptions(Section):
    """Keys of ``inference.embed``: the defaults of ``tp embed``."""

    pooling: Pooling | None = Field(
        None, description="method that reduces a sequence to one vector; default: that of the model's targets"
    )
    projection: bool | None = Field(
        None, description="apply the projection of a target; default: true if a target compares projections (CLIP)"
    )
    normalize: bool | None = Field(
        None, description="scale vectors to length 1; default: true if a target compares by cosine (CLIP)"
    )
    stream: str | None = Field(None, description="stream to embed, for a model with streams; default: the first")
    similarity: Comparison | None = Field(
        None,
        description="function by which tp retrieve compares vectors; default: as a target compares them, else cosine",
    )
    prompts: dict[str, str] = Field(
        {}, description="texts by name that are put before a record's text, such as {query: 'query: '} (E5)"
    )
    prompt: str | None = Field(None, description="name of the default prompt; default: none")

    def for_call(self, given: Mapping[str, Any]) -> "EmbedOptions":
        """The options of one call: the given ones; options that are None are taken from ``self``.

        Raises:
            TPError: the pooling or the prompt does not exist, or an option has another type.
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
        """The prompt to put before a record's text; empty without a prompt."""
        return self.prompts[self.prompt] if self.prompt else ""


def unknown_prompt(options: EmbedOptions) -> str:
    """The message about a prompt that does not exist."""
    known = f"the prompts are {', '.join(options.prompts)}" if options.prompts else "inference.embed.prompts has none"
    return f"there is no prompt '{options.prompt}'; {did_you_mean(str(options.prompt), options.prompts) or known}"
