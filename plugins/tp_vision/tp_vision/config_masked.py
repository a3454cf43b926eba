"""Options of masked image modelling: embeddings, the decoder of MAE, targets. Torch-free."""

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from tp_core.config import (
    BuildContext,
    DecoderConfig,
    EmbeddingConfig,
    FieldSpec,
    GridFacts,
    ModuleConfig,
    Pooling,
    Problem,
    TargetConfig,
    VectorFacts,
    VisualTokenizerConfig,
)
from tp_core.errors import TPError
from tp_core.metrics.facts import MetricFacts
from tp_core.modules.config import ClassificationConfig, TransformerOptions
from tp_core.spec.schema_common import ModuleMark
from tp_core.use import in_use
from tp_vision.config import PatchConfig

if TYPE_CHECKING:
    from tp_core.interfaces import Decoder, Embedding, Target

#: A grid for the description of fields where there is none yet: that of ViT.
_SOME = GridFacts(14, 14, (16, 16), 3)


def grid_of(context: BuildContext) -> GridFacts:
    """The grid of the model's patches."""
    return context.grid or _SOME


class MaskedPatchConfig(PatchConfig):
    """Patches of a picture, with a learned vector in place of those that are masked (BEiT, SimMIM)."""

    mask_token: bool = Field(
        True, description="false: no such vector and no masks, to fine-tune a model that was trained with them"
    )

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        grid = self.grid()
        masks = {"bool_masked_pos": FieldSpec(("batch", grid.height * grid.width), "bool")}
        return super().requires(context) | (masks if self.mask_token else {})

    def build(self, context: BuildContext) -> "Embedding":
        from tp_vision.embeddings.masked_patch import MaskedPatch

        return MaskedPatch(self, context)


class VisibleConfig(EmbeddingConfig):
    """Leaves only the patches that are not masked, behind all that is added to them (MAE; He et al., 2022)."""

    makes_sequence: ClassVar[bool] = False

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        patches = grid_of(context).height * grid_of(context).width
        # As many as of MAE; batches may have any number.
        visible = FieldSpec(("batch", max(1, patches // 4)), "int64", patches)
        return {"side:patches": FieldSpec(), "visible_ids": visible}

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"side:visible_ids": FieldSpec(), "side:all_patches": FieldSpec()}

    def build(self, context: BuildContext) -> "Embedding":
        from tp_vision.embeddings.visible import Visible

        return Visible()


class MaskedDecoderConfig(DecoderConfig, TransformerOptions):
    """MAE's decoder: mask tokens where patches are hidden, fixed positions, transformer (He et al., 2022)."""

    needs_target_embedding: ClassVar[bool] = False

    hidden_size: int = Field(512, gt=0, description="width of the hidden states")
    num_layers: int = Field(8, gt=0, description="number of layers")
    num_heads: int = Field(16, gt=0, description="attention heads")

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"side:visible_ids": FieldSpec(), "side:all_patches": FieldSpec()}

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"side:patches": FieldSpec()}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from self.check_attention(self.hidden_size)
        yield from self.check_grid_bias(context)
        if self.hidden_size % 4:
            message = f"two-dimensional positions need a width divisible by 4, got {self.hidden_size}"
            yield Problem("hidden_size", message)
        if self.mask != "fully_visible":
            yield Problem("mask", f"all patches see each other; expected fully_visible, got {self.mask}")

    def build(self, context: BuildContext) -> "Decoder":
        from tp_vision.decoders.masked import MaskedDecoder

        return MaskedDecoder(self, context)


class MaskedTargetConfig(TargetConfig):
    """Base of targets that predict what is masked."""

    init_std: float = Field(0.02, gt=0)

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        patches = grid_of(context).height * grid_of(context).width
        masked = FieldSpec(("batch", max(1, patches // 2)), "int64", patches)
        return {"side:patches": FieldSpec(), "labels:masked": masked}

    def label_fields(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"masked:positions": self.requires(context)["labels:masked"]}


class PixelsConfig(MaskedTargetConfig):
    """Prediction of the pixels of masked patches (SimMIM, Xie et al., 2022; MAE, He et al., 2022)."""

    loss: Literal["l1", "mse"] = Field("mse", description="absolute (SimMIM) or squared (MAE) error")
    normalize: bool = Field(False, description="predict pixels less their patch's mean, by its deviation (MAE)")

    def build(self, context: BuildContext) -> "Target":
        from tp_vision.targets.pixels import Pixels

        return Pixels(self, context)


class VisualTokensConfig(MaskedTargetConfig):
    """Prediction of the visual tokens of masked patches (BEiT; Bao et al., 2022)."""

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

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        found = super().requires(context)
        if self.tokenizer is None:
            patches = grid_of(context).height * grid_of(context).width
            found["labels:visual_tokens"] = FieldSpec(("batch", patches), "int64", self.num_tokens or 2)
        return found

    def label_fields(self, context: BuildContext) -> dict[str, FieldSpec]:
        found = super().label_fields(context)
        if self.tokenizer is None:
            found["visual_tokens:labels"] = self.requires(context)["labels:visual_tokens"]
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

    def build(self, context: BuildContext) -> "Target":
        from tp_vision.targets.visual_tokens import VisualTokens

        return VisualTokens(self, context)


class PatchClassificationConfig(ClassificationConfig):
    """Classification by the normalised mean of all patches (BEiT and MAE, fine-tuned)."""

    hidden_layer: bool = Field(False, description="a dense layer of hidden_size before the classifier")
    dropout: float = Field(0.0, ge=0, lt=1, description="before the classifier")
    norm_eps: float = Field(1e-12, gt=0)

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        return super().requires(context) | {"side:patches": FieldSpec()}

    def pools(self, context: BuildContext) -> dict[str, Pooling]:
        return {}  # the patches alone, which no pooling of a sequence tells from the tokens before them

    def embeds(self, context: BuildContext) -> Mapping[str, VectorFacts]:
        return {self.stream or "": VectorFacts(pooling=None)}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from self.check_metrics()
        if self.pooling is not None:
            yield Problem("pooling", "is always the mean of the patches; leave it out")
        if context.streams and self.stream is None:
            yield Problem("stream", f"is required: one of {', '.join(context.streams)}")

    def effective(self, context: BuildContext) -> dict[str, Any]:
        found = super().effective(context)
        return {name: value for name, value in found.items() if name not in ("pooling", "combine")}

    def build(self, context: BuildContext) -> "Target":
        from tp_vision.targets.patch_classification import PatchClassification

        return PatchClassification(self, context)
