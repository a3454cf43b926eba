"""Options of the target that predicts visual tokens. Torch-free."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field

from tp_core.errors import TPError
from tp_core.metrics.facts import MetricFacts
from tp_core.options.base import ModuleConfig, Problem
from tp_core.options.choice import Chosen
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.marks import TrainingOnly
from tp_core.options.norm import NormConfig
from tp_core.options.ports import Port
from tp_vision.embeddings.options import grid_of, pixels_of
from tp_vision.facts import TokenFacts
from tp_vision.ports import PIXEL_VALUES
from tp_vision.targets.masked_options import MaskedTargetConfig
from tp_vision.visual_tokenizers.options import VisualTokenizerConfig


class VisualTokensConfig(MaskedTargetConfig):
    """Prediction of the visual tokens of masked patches (BEiT; Bao et al., 2022)."""

    implementation: ClassVar[str] = "tp_vision.targets.visual_tokens:VisualTokens"

    makes_labels: ClassVar[frozenset[str]] = frozenset({"tokenizer"})

    tokenizer: Chosen[VisualTokenizerConfig] | None = Field(
        None, description="makes the tokens, such as random_projection; default: tokens are labels of the batch"
    )
    num_tokens: int | None = Field(None, gt=1, description="number of different tokens; default: the tokenizer's")
    norm: Chosen[NormConfig] = Chosen.by_default("layernorm", description="norm before the output matrix; or none")
    label_smoothing: TrainingOnly[float] = Field(0.0, ge=0, lt=1)

    def published_facts(self) -> Iterable[TokenFacts]:
        if self.tokenizer is not None:
            yield TokenFacts(self.tokenizer)

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return {"accuracy": MetricFacts("high")}

    def token_count(self) -> int:
        """Number of different tokens.

        Raises:
            TPError: neither the option nor the tokenizer gives it.
        """
        if self.num_tokens is not None:
            return self.num_tokens
        if self.tokenizer is None:
            raise TPError("num_tokens is required if there is no tokenizer")
        return self.tokenizer.config.token_count()

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        found = super().requires(context)
        if self.tokenizer is None:
            patches = grid_of(context).height * grid_of(context).width
            found[Port.labels("visual_tokens")] = FieldSpec(("batch", patches), "int64", self.num_tokens or 2)
        else:
            found[PIXEL_VALUES] = pixels_of(context)
        return found

    def label_fields(self, context: BuildContext) -> dict[str, FieldSpec]:
        found = super().label_fields(context)
        if self.tokenizer is None:
            found["labels"] = self.requires(context)[Port.labels("visual_tokens")]
        return found

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if self.tokenizer is None and self.num_tokens is None:
            yield Problem("", "needs a tokenizer, or num_tokens if the batches have labels")
            return
        try:
            count = None if self.tokenizer is None else self.tokenizer.config.token_count()
        except TPError as error:
            if self.num_tokens is None:
                yield Problem("tokenizer", str(error))
            return
        if count is not None and self.num_tokens not in (None, count):
            yield Problem("num_tokens", f"is {self.num_tokens}; the tokenizer has {count} tokens")

    def for_use(self) -> ModuleConfig:
        """Set the number of tokens, so that only evaluations need the tokenizer's files."""
        return self.model_copy(update={"num_tokens": self.token_count()})

    def effective(self, context: BuildContext) -> dict[str, Any]:
        return super().effective(context) | {"num_tokens": self.token_count()}
