"""Options of the target that predicts visual tokens. Torch-free."""

import os
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from tp_core.errors import TPError
from tp_core.metrics.facts import MetricFacts
from tp_core.options.base import ModuleConfig, Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.ports import PIXEL_VALUES, Port
from tp_core.spec.schema_common import ModuleMark
from tp_core.use import in_use
from tp_vision.embeddings.options import grid_of, pixels_of
from tp_vision.targets.masked_options import MaskedTargetConfig
from tp_vision.visual_tokenizers.options import VisualTokenizerConfig


class VisualTokensConfig(MaskedTargetConfig):
    """Prediction of the visual tokens of masked patches (BEiT; Bao et al., 2022)."""

    implementation: ClassVar[str] = "tp_vision.targets.visual_tokens:VisualTokens"

    tokenizer: Annotated[dict[str, dict[str, Any]] | None, ModuleMark("visual_tokenizer", labels=True)] = Field(
        None, description="what makes the tokens, such as random_projection; unset: labels of the batch"
    )
    num_tokens: int | None = Field(None, gt=1, description="number of different tokens; the tokenizer's if unset")
    norm: bool = Field(True, description="LayerNorm before the output matrix")
    norm_eps: float = Field(1e-12, gt=0)
    label_smoothing: float = Field(0.0, ge=0, lt=1)

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return {"accuracy": MetricFacts("high")}

    def tokenizer_config(self) -> VisualTokenizerConfig | None:
        """The config of the chosen tokenizer.

        Raises:
            TPError: it is none.
        """
        from tp_core.spec.choose import nested

        if self.tokenizer is None:
            return None
        config = nested("visual_tokenizer", self.tokenizer)
        assert isinstance(config, VisualTokenizerConfig)
        return config

    def token_count(self) -> int:
        """Number of different tokens.

        Raises:
            TPError: neither the option nor the tokenizer says it.
        """
        if self.num_tokens is not None:
            return self.num_tokens
        tokenizer = self.tokenizer_config()
        if tokenizer is None:
            raise TPError("num_tokens is required where no tokenizer is given")
        return tokenizer.token_count()

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
            yield Problem("", "needs a tokenizer, or num_tokens where the batches have labels")
            return
        try:
            tokenizer = self.tokenizer_config()
            count = None if tokenizer is None else tokenizer.token_count()
        except TPError as error:
            if self.num_tokens is None:
                yield Problem("tokenizer", str(error))
            return
        if count is not None and self.num_tokens not in (None, count):
            yield Problem("num_tokens", f"is {self.num_tokens}; the tokenizer has {count} tokens")
        if tokenizer is None or in_use():
            return  # it makes labels, of which evaluations alone ask, and is looked at then
        for problem in tokenizer.check(context):
            yield Problem("tokenizer", f"{problem.option} {problem.message}".strip())

    def training_files(self) -> dict[str, str]:
        try:
            tokenizer = self.tokenizer_config()
        except TPError:  # of a trained model, which is used without it
            return {}
        files = [] if tokenizer is None else [*tokenizer.files().values(), *tokenizer.training_files().values()]
        gone = [file for file in files if not os.path.exists(file)]
        return {"tokenizer": (gone or files)[0]} if files else {}

    def contents(self) -> list[str]:
        return []  # its tokenizer's are the tokenizer's own

    def for_use(self) -> ModuleConfig:
        """With the number of tokens, so that the tokenizer's files are asked for by evaluations only."""
        return self.model_copy(update={"num_tokens": self.token_count()})

    def effective(self, context: BuildContext) -> dict[str, Any]:
        found = super().effective(context)
        del found["tokenizer"]  # it makes labels, which matter in training only
        return found | {"num_tokens": self.token_count()}
