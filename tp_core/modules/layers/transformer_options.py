"""Options of transformer layers and of stacks of layers. Torch-free."""

import itertools
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field

from tp_core.modules.mixers.attention_options import AttentionConfig, AttentionMask
from tp_core.options.base import ModuleConfig, Problem
from tp_core.options.choice import Chosen
from tp_core.options.context import BuildContext
from tp_core.options.feed_forward import FeedForwardConfig
from tp_core.options.marks import ModelSize, TrainingOnly
from tp_core.options.mixer import MixerConfig
from tp_core.options.norm import NormConfig
from tp_core.options.slices import Slices

NormPosition = Literal["pre", "post", "both"]

#: Attention options for the mask and the bias of scores, which must be equal in layers that pass on their scores.
_OF_SCORES = {"num_heads", "mask", "window", "positions"}


class LayerOptions(ModuleConfig):
    """Options of one transformer layer: its parts, the position of norms, and the connection of the parts."""

    passed_on: ClassVar[frozenset[str]] = frozenset({"num_heads", "feed_forward_size", "dropout", "mask", "init_std"})

    mixer: Chosen[MixerConfig] = Chosen.by_default(
        "attention", description="layer that exchanges information between positions: attention, fourier, ..."
    )
    feed_forward: Chosen[FeedForwardConfig] = Chosen.by_default(
        "dense", description="layer that maps each position separately: dense, gated, ..."
    )
    norm: Chosen[NormConfig] = Chosen.by_default("layernorm", description="layernorm, rmsnorm, ...")
    norm_position: NormPosition = Field(
        "post",
        description="pre: before each sub-layer; post: after the residual addition; both: before and after a sub-layer",
    )
    parallel: bool = Field(
        False, description="mixer and feed-forward layer in parallel, on the same normalised states (GPT-J, Phi)"
    )
    num_heads: ModelSize[int] = Field(12, gt=0, description="number of attention heads")
    feed_forward_size: ModelSize[int | None] = Field(None, gt=0, description="inner width; default: 4 × hidden_size")
    mask: AttentionMask = Field("fully_visible", description="positions that each position may attend to")
    dropout: TrainingOnly[float] = Field(
        0.1, ge=0, lt=1, description="dropout on the output of each sub-layer; also the default of the layer's parts"
    )
    layer_scale: float | None = Field(
        None, gt=0, description="initial value of a learned factor per channel of each sub-layer's output (CaiT)"
    )
    drop_path: TrainingOnly[float] = Field(
        0.0, ge=0, lt=1, description="stochastic depth: probability to skip a sub-layer, drawn per sample"
    )
    init_std: TrainingOnly[float] = Field(0.02, gt=0, description="standard deviation of the initial weights")

    def check_layer(self) -> Iterator[Problem]:
        if self.parallel and self.norm_position == "post":
            yield Problem("parallel", "needs norm_position: pre or both, but it is post")


class TransformerOptions(LayerOptions):
    """Options that transformer encoders and decoders share."""

    sliced: ClassVar[str] = "layers"
    of_slices: ClassVar[frozenset[str]] = frozenset(LayerOptions.model_fields)

    num_layers: ModelSize[int] = Field(12, gt=0, description="number of layers")
    layers: Slices | None = Field(
        None,
        description="options of some layers, by Python slices; later slices override earlier: {'5::6': {mixer: ...}}",
    )
    first_norm: bool = Field(True, description="false: no norm before the mixer of the first layer (ModernBERT)")
    final_norm: bool | None = Field(
        None, description="norm after the last layer; default: only with norm_position: pre or both"
    )
    share_layers: bool = Field(False, description="one set of weights for all layers (ALBERT)")
    drop_path_growing: TrainingOnly[bool] = Field(
        False, description="drop_path grows linearly from 0 in the first layer to its value in the last"
    )
    scale_residual_init: TrainingOnly[bool] = Field(
        False, description="divide the initial output weights of sub-layers by sqrt(2 × num_layers) (GPT-2)"
    )

    def slice_count(self) -> int:
        return self.num_layers

    def layer(self, number: int) -> LayerOptions:
        """The options of the layer with this number, from 0."""
        found = self._own(number)
        if not self.drop_path_growing:
            return found
        return found.model_copy(update={"drop_path": found.drop_path * number / max(1, self.num_layers - 1)})

    def distinct_layers(self) -> Iterator[tuple[str, LayerOptions]]:
        """Yield the distinct options of layers that differ from the stack's, each with a slice that sets them."""
        for key, config in self.layers.distinct() if self.layers else ():
            assert isinstance(config, LayerOptions)
            yield key, config

    def _own(self, number: int) -> LayerOptions:
        found = self if self.layers is None else self.layers.layers[number]
        assert isinstance(found, LayerOptions)
        return found

    def has_final_norm(self) -> bool:
        """True if there is a norm after the last layer."""
        return self.norm_position != "post" if self.final_norm is None else self.final_norm

    def causal(self) -> bool:
        """True if every layer is causal."""
        return all(self.layer(number).mixer.config.causal() for number in range(self.num_layers))

    def effective(self, context: BuildContext) -> dict[str, Any]:
        # Options that are passed on only have an effect in the parts.
        idle = self.passed_on - {"dropout", "init_std"}
        found = {name: value for name, value in super().effective(context).items() if name not in idle}
        return found | {"final_norm": self.has_final_norm()}

    def check_stack(self) -> Iterator[Problem]:
        """Yield the problems of options that contradict each other in a stack of layers."""
        yield from self.check_layer()
        for key, config in self.distinct_layers():
            for problem in config.check_layer():
                yield Problem(f"layers.{key}.{problem.option}", problem.message)
        yield from self._check_residual()
        if self.share_layers and self.layers is not None:
            yield Problem("layers", "makes layers differ, but share_layers uses the same layer everywhere")
        if self.share_layers and self.drop_path_growing:
            yield Problem("drop_path_growing", "makes layers differ, but share_layers uses the same layer everywhere")
        layers = [self.layer(number) for number in range(self.num_layers)]
        if self.drop_path_growing and any(self._own(n).drop_path != self.drop_path for n in range(self.num_layers)):
            yield Problem("drop_path_growing", "needs one drop_path for all layers, but some layers set their own")
        if not self.first_norm and layers[0].norm_position == "post":
            yield Problem("first_norm", "is about a norm before the first layer, but norm_position: post has none")
        if not self.first_norm and self.share_layers:
            yield Problem("first_norm", "makes the first layer differ, but share_layers uses the same layer everywhere")

    def _check_residual(self) -> Iterator[Problem]:
        """Yield a problem if a layer's scores cannot be added to those of the previous layer."""
        mixers = [self.layer(number).mixer.config for number in range(self.num_layers)]
        for number, (before, own) in enumerate(itertools.pairwise(mixers), start=1):
            if not isinstance(before, AttentionConfig) or not isinstance(own, AttentionConfig):
                continue
            left, right = before.model_dump(include=_OF_SCORES), own.model_dump(include=_OF_SCORES)
            different = [name for name in left if left[name] != right[name]]
            if before.residual and own.residual and different:
                message = f"layer {number} adds the scores of layer {number - 1}, which has another {different[0]}"
                yield Problem("layers", f"{message}: residual needs the same in both")
                return


def cross_attention(options: LayerOptions, own: Chosen[AttentionConfig] | None) -> AttentionConfig:
    """The options of a layer's cross-attention: ``own`` if given, else those of its self-attention."""
    mixer = options.mixer.config if own is None else own.config
    if isinstance(mixer, AttentionConfig):
        return mixer
    return AttentionConfig(num_heads=options.num_heads, dropout=options.dropout, init_std=options.init_std)
