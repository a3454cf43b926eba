"""The converter of wav2vec 2.0 with a conformer."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from tp_audio.converters import common
from tp_audio.converters.wav2vec2 import Wav2Vec2FamilyConfig
from tp_audio.encoders.conformer_options import ConformerConfig
from tp_core.interop import parts
from tp_core.interop.activations import activation, activation_name
from tp_core.interop.rules import Computed, Rule, Same, Shape, Stacked, WeightRule, below
from tp_core.modules.positions.options import NoPositionsConfig

if TYPE_CHECKING:
    from torch import Tensor

    from tp_core.interop.keys import Keys
    from tp_core.spec.schema import Spec


class Pointwise(Rule):
    """A matrix that is stored as a convolution of kernel size 1 in the checkpoint."""

    def shapes(self, ours: Shape) -> list[Shape]:
        return [(*ours, 1)]

    def join(self, theirs: "list[Tensor]") -> "Tensor":
        return theirs[0].squeeze(-1)

    def split(self, ours: "Tensor") -> "list[Tensor]":
        return [ours.unsqueeze(-1)]


class Wav2Vec2ConformerConverterConfig(Wav2Vec2FamilyConfig):
    """wav2vec 2.0 with a conformer instead of a transformer (Wang et al., 2020), with relative positions or none."""

    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "Wav2Vec2ConformerForPreTraining": ("wav2vec2",),
        "Wav2Vec2ConformerForCTC": ("ctc",),
        "Wav2Vec2ConformerModel": (),
    }
    prefix: ClassVar[str] = "wav2vec2_conformer."
    defaults: ClassVar[Mapping[str, Any]] = {
        **Wav2Vec2FamilyConfig.defaults,
        "vocab_size": None,
        "position_embeddings_type": "relative",
        "conv_depthwise_kernel_size": 31,
    }
    required: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        **Wav2Vec2FamilyConfig.required,
        # Its rotary positions are refused: unlike in other models, they rotate the states before the projection to
        # queries and keys.
        "position_embeddings_type": ("relative", None),
        "layer_norm_eps": (1e-5,),  # transformers uses a fixed value in the layers
    }
    irrelevant: ClassVar[frozenset[str]] = Wav2Vec2FamilyConfig.irrelevant | {
        "rotary_embedding_base",  # rotary positions are refused
        "max_source_positions",  # the position table grows on demand
        "layerdrop",  # only for training; see the notes
    }
    training_only: ClassVar[Mapping[str, Any]] = {"conformer_conv_dropout": 0.1}
    notes: ClassVar[tuple[str, ...]] = (
        "as in transformers, the convolutions of the conformer and the group norm of base models include padding: in a "
        "padded batch, a recording's states depend on the amount of padding (mask_padding: false)",
        "layerdrop is left out: the conformer in tp does not support it",
    )

    def to_spec(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any]:
        tree = super().to_spec(config, architecture)
        tree["embedding"]["norm"] = "none"
        if config["vocab_size"] is None:
            del tree["vocab_size"]
        return tree

    def positions(self, config: Mapping[str, Any]) -> list[Any]:
        return []

    def attention(self, config: Mapping[str, Any]) -> dict[str, Any]:
        positions = "distance" if config["position_embeddings_type"] else "none"
        return super().attention(config) | {"positions": positions}

    def encoder(self, config: Mapping[str, Any]) -> dict[str, Any]:
        options = {
            "mixer": {"attention": self.attention(config)},
            "num_layers": config["num_hidden_layers"],
            "num_heads": config["num_attention_heads"],
            "feed_forward_size": config["intermediate_size"],
            "activation": activation(config, "hidden_act"),
            "kernel_size": config["conv_depthwise_kernel_size"],
            "convolution_bias": False,
            "final_norm": True,
            "mask_padding": False,
            "dropout": config["hidden_dropout"],
            "activation_dropout": config["activation_dropout"],
        }
        return {"conformer": options}

    def positions_config(self, spec: "Spec") -> dict[str, Any]:
        return {}

    def encoder_config(self, spec: "Spec") -> dict[str, Any]:
        encoder = parts.encoder(spec, ConformerConfig)
        size, (attention, dense) = encoder.hidden_size, common.layer_parts(encoder)
        none = isinstance(attention.positions.config, NoPositionsConfig)
        return {
            "hidden_size": size,
            "num_hidden_layers": encoder.num_layers,
            "num_attention_heads": attention.num_heads,
            "intermediate_size": dense.inner_size(size),
            "hidden_act": activation_name(encoder.activation),
            "conv_depthwise_kernel_size": encoder.kernel_size,
            "position_embeddings_type": None if none else "relative",
            "hidden_dropout": encoder.dropout,
            "attention_dropout": attention.dropout,
            "activation_dropout": encoder.activation_dropout,
            "initializer_range": encoder.init_std,
        }

    def position_rules(self, config: Mapping[str, Any]) -> list[WeightRule]:
        """The rules of the position convolution, which transformers stores but never uses."""
        size, width = config["hidden_size"], config["num_conv_pos_embeddings"]
        shape = (size, size // config["num_conv_pos_embedding_groups"], width)
        name = f"{self.prefix}encoder.pos_conv_embed.conv"

        def unread(theirs: str, shape: Shape) -> Computed:
            def ones() -> "Tensor":
                import torch

                return torch.ones(shape)

            return Computed(f"{name}.{theirs}", shape, ones, checked=False)

        return [
            unread("bias", (size,)),
            unread("parametrizations.weight.original0", (1, 1, width)),
            unread("parametrizations.weight.original1", shape),
        ]

    def front(self, config: "Keys") -> list[WeightRule]:
        return super().front(config | {"do_stable_layer_norm": True})

    def body(self, config: Mapping[str, Any]) -> list[WeightRule]:
        layer, ours = f"{self.prefix}encoder.layers.{{layer}}", "encoder.layers.{layer}"
        attention, convolution = f"{layer}.self_attn", f"{layer}.conv_module"
        projections, heads = below(attention, "linear_q", "linear_k", "linear_v"), config["num_attention_heads"]
        rules: list[WeightRule] = [
            Stacked(projections, f"{ours}.mixer.qkv", groups=heads),
            Same(f"{attention}.linear_out", f"{ours}.mixer.output"),
            Same(f"{attention}.linear_pos", f"{ours}.mixer.positions.distance"),
            Same(f"{attention}.pos_bias_u", f"{ours}.mixer.positions.content_bias"),
            Same(f"{attention}.pos_bias_v", f"{ours}.mixer.positions.distance_bias"),
            Same(f"{layer}.self_attn_layer_norm", f"{ours}.mixer_norm"),
            Same(f"{layer}.final_layer_norm", f"{ours}.final_norm"),
            Same(f"{convolution}.layer_norm", f"{ours}.convolution_norm"),
            Pointwise(f"{convolution}.pointwise_conv1", f"{ours}.convolution.expansion"),
            Same(f"{convolution}.depthwise_conv", f"{ours}.convolution.depthwise"),
            Pointwise(f"{convolution}.pointwise_conv2", f"{ours}.convolution.output"),
            Same(f"{convolution}.batch_norm", f"{ours}.convolution.norm"),
        ]
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            rules.append(Same(f"{convolution}.batch_norm.{name}", f"{ours}.convolution.norm.{name}"))
        for theirs, mine in (("ffn1", "first"), ("ffn2", "second")):
            rules += [
                Same(f"{layer}.{theirs}_layer_norm", f"{ours}.{mine}_norm"),
                Same(f"{layer}.{theirs}.intermediate_dense", f"{ours}.{mine}_feed_forward.input"),
                Same(f"{layer}.{theirs}.output_dense", f"{ours}.{mine}_feed_forward.output"),
            ]
        return rules
