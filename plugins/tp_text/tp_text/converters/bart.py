"""BART and PEGASUS."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tp_core.interop import parts
from tp_core.interop.activations import activation, activation_name
from tp_core.interop.rules import AsRow, Computed, Copy, Ignored, Same, Stacked, WeightRule, below
from tp_core.modules.decoders.transformer_options import TransformerDecoderConfig
from tp_core.modules.embeddings.position_options import LearnedPositionConfig
from tp_core.modules.encoders.transformer_options import TransformerConfig
from tp_core.modules.layers.transformer_options import TransformerOptions
from tp_core.options.converter import ConverterConfig
from tp_text.converters import common
from tp_text.embeddings.word_options import WordConfig
from tp_text.targets.lm_options import LanguageModelConfig

if TYPE_CHECKING:
    from torch import Tensor

    from tp_core.interop.keys import Keys
    from tp_core.interop.tensors import Tensors
    from tp_core.spec.schema import Spec

_EPS = 1e-5  # the config has no key for it
_SIDES = {"encoder": "embedding", "decoder": "target_embedding"}


class BartFamilyConfig(ConverterConfig):
    """Shared parts of BART and PEGASUS: an encoder and a decoder with one vocabulary."""

    prefix: ClassVar[str] = "model."
    aliases: ClassVar[Mapping[str, str]] = {
        "hidden_size": "d_model",
        "num_attention_heads": "encoder_attention_heads",
        "num_hidden_layers": "encoder_layers",
    }
    defaults: ClassVar[Mapping[str, Any]] = {
        "vocab_size": 50265,
        "max_position_embeddings": 1024,
        "encoder_layers": 12,
        "encoder_ffn_dim": 4096,
        "encoder_attention_heads": 16,
        "decoder_layers": 12,
        "decoder_ffn_dim": 4096,
        "decoder_attention_heads": 16,
        "activation_function": "gelu",
        "d_model": 1024,
        "dropout": 0.1,
        "attention_dropout": 0.0,
        "activation_dropout": 0.0,
        "init_std": 0.02,
        "scale_embedding": False,
        "tie_word_embeddings": True,
        "decoder_start_token_id": 2,
        "forced_eos_token_id": 2,
    }
    irrelevant: ClassVar[frozenset[str]] = frozenset(
        {
            # Keys of a head without a converter.
            *("classifier_dropout", "classif_dropout"),
            # Keys of transformers before version 4; newer versions do not read them.
            *("add_bias_logits", "extra_pos_embeddings", "save_step"),
        }
    )
    training_only: ClassVar[Mapping[str, Any]] = {"encoder_layerdrop": 0.0, "decoder_layerdrop": 0.0}
    unwritten: ClassVar[frozenset[str]] = frozenset({"final_logits_bias"})

    #: Role of the first token of the decoder input.
    start: ClassVar[str] = "eos"
    #: Value of the transformer's option: ``pre`` or ``post``.
    norm_position: ClassVar[str] = "post"

    def positions(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The position embedding, as in a spec."""
        raise TypeError(f"{type(self).__name__} does not implement positions()")

    def as_stored(self, config: "Keys", tensors: "Tensors") -> "Keys":
        # Every checkpoint has this bias, but in almost all it is zero.
        name = "final_logits_bias"
        return config | {name: name in tensors.shapes and bool(tensors.read(name).any())}

    def to_spec(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any]:
        embedding = {
            "modules": [{"word": {"scale": config["scale_embedding"]}}, self.positions(config)],
        } | ({} if self.norm_position == "post" else {"norm": "none"})
        lm = {"tie": config["tie_word_embeddings"], "bias": config.get("final_logits_bias", False)}
        return {
            "hidden_size": config["d_model"],
            "vocab_size": config["vocab_size"],
            "norm": {"layernorm": {"eps": _EPS}},
            "dropout": config["dropout"],
            "init_std": config["init_std"],
            "share_embeddings": True,
            "embedding": embedding,
            "encoder": {"transformer": self._layers(config, "encoder")},
            "target_embedding": embedding,
            "decoder": {"transformer": self._layers(config, "decoder")},
            "target": [{head: lm} for head in self.architectures[architecture]],
        }

    def _layers(self, config: Mapping[str, Any], side: str) -> dict[str, Any]:
        return {
            "num_layers": config[f"{side}_layers"],
            "num_heads": config[f"{side}_attention_heads"],
            "feed_forward_size": config[f"{side}_ffn_dim"],
            "mixer": {"attention": {"dropout": config["attention_dropout"]}},
            "feed_forward": {
                "dense": {
                    "activation": activation(config, "activation_function"),
                    "activation_dropout": config["activation_dropout"],
                }
            },
            "norm_position": self.norm_position,
        }

    def to_config(self, spec: "Spec", architecture: str) -> dict[str, Any]:
        encoder = parts.encoder(spec, TransformerConfig)
        decoder = parts.decoder(spec, TransformerDecoderConfig)
        feed_forward, lm = common.feed_forward(encoder), parts.target(spec, LanguageModelConfig)
        sides: dict[str, TransformerOptions] = {"encoder": encoder, "decoder": decoder}
        config: dict[str, Any] = {
            "vocab_size": spec.model.vocab_size,
            "activation_function": activation_name(feed_forward.activation),
            "d_model": encoder.hidden_size,
            "dropout": encoder.dropout,
            "attention_dropout": common.attention(encoder).dropout,
            "activation_dropout": feed_forward.activation_dropout,
            "init_std": encoder.init_std,
            "scale_embedding": parts.embedding(spec, WordConfig).scale,
            "tie_word_embeddings": lm is None or lm.tie,
            "is_encoder_decoder": True,
        }
        for side, options in sides.items():
            config[f"{side}_layers"] = options.num_layers
            config[f"{side}_attention_heads"] = common.attention(options).num_heads
            config[f"{side}_ffn_dim"] = common.feed_forward(options).inner_size(encoder.hidden_size)
        return config | ({"final_logits_bias": True} if lm is not None and lm.bias else {})

    def processor(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any] | None:
        return {"mt": {"max_length": config["max_position_embeddings"], "start": self.start}}

    def weights(self, config: Mapping[str, Any]) -> Sequence[WeightRule]:
        shared = "model.shared.weight"
        bias = config.get("final_logits_bias", False)
        return [
            Same(shared, "embedding.parts.word.table.weight", vocabulary=True),
            # If the output matrix is untied, transformers also unties these from the shared table.
            *(
                Copy(f"model.{side}.embed_tokens.weight", of=shared, written=not config["tie_word_embeddings"])
                for side in _SIDES
            ),
            *(rule for side in _SIDES for rule in self.side(config, side)),
            *self.cross_attention(config),
            *common.language_model(shared, config["tie_word_embeddings"]),
            AsRow("final_logits_bias", "targets.lm.output.bias") if bias else Ignored("final_logits_bias", zero=True),
        ]

    def side(self, config: Mapping[str, Any], side: str) -> list[WeightRule]:
        """Conversion rules of the encoder or the decoder."""
        layer, ours, norm = f"model.{side}.layers.{{layer}}", f"{side}.layers.{{layer}}", self._norm()
        projections = below(f"{layer}.self_attn", "q_proj", "k_proj", "v_proj")
        return [
            common.projections(projections, ours, config[f"{side}_attention_heads"]),
            Same(f"{layer}.self_attn.out_proj", f"{ours}.mixer.output"),
            Same(f"{layer}.self_attn_layer_norm", f"{ours}.mixer_residual.{norm}"),
            Same(f"{layer}.fc1", f"{ours}.feed_forward.input"),
            Same(f"{layer}.fc2", f"{ours}.feed_forward.output"),
            Same(f"{layer}.final_layer_norm", f"{ours}.feed_forward_residual.{norm}"),
        ]

    def cross_attention(self, config: Mapping[str, Any]) -> list[WeightRule]:
        """Conversion rules of the decoder's cross-attention."""
        layer, ours = "model.decoder.layers.{layer}", "decoder.layers.{layer}"
        attention, heads = f"{layer}.encoder_attn", config["decoder_attention_heads"]
        return [
            Same(f"{attention}.q_proj", f"{ours}.cross_attention.query"),
            Stacked(below(attention, "k_proj", "v_proj"), f"{ours}.cross_attention.key_value", groups=heads),
            Same(f"{attention}.out_proj", f"{ours}.cross_attention.output"),
            Same(f"{attention}_layer_norm", f"{ours}.cross_attention_residual.{self._norm()}"),
        ]

    def _norm(self) -> str:
        """Name of the norms of sub-layers."""
        return "before" if self.norm_position == "pre" else "after"


class BartConverterConfig(BartFamilyConfig):
    """BART (Lewis et al., 2020): learned positions, norms after the embeddings and after the sub-layers."""

    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {"BartForConditionalGeneration": ("lm",), "BartModel": ()}
    required: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "is_encoder_decoder": (True,),
        "do_blenderbot_90_layernorm": (False,),
        "normalize_before": (False,),
        "normalize_embedding": (True,),
        "add_final_layer_norm": (False,),
        "static_position_embeddings": (False,),
    }

    def positions(self, config: Mapping[str, Any]) -> dict[str, Any]:
        return {"pos": {"max_length": config["max_position_embeddings"], "offset": 2}}

    def to_config(self, spec: "Spec", architecture: str) -> dict[str, Any]:
        length = parts.embedding(spec, LearnedPositionConfig).max_length
        return {**super().to_config(spec, architecture), "max_position_embeddings": length}

    def side(self, config: Mapping[str, Any], side: str) -> list[WeightRule]:
        embedding = _SIDES[side]
        return [
            Same(f"model.{side}.embed_positions.weight", f"{embedding}.parts.pos.table.weight"),
            Same(f"model.{side}.layernorm_embedding", f"{embedding}.norm"),
            *super().side(config, side),
        ]


class PegasusConverterConfig(BartFamilyConfig):
    """PEGASUS (Zhang et al., 2020): sinusoidal positions, norms before the sub-layers and after the last layer."""

    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "PegasusForConditionalGeneration": ("lm",),
        "PegasusModel": (),
    }
    defaults: ClassVar[Mapping[str, Any]] = {
        **BartFamilyConfig.defaults,
        "decoder_start_token_id": 0,
        "forced_eos_token_id": 1,
    }
    required: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "is_encoder_decoder": (True,),
        "normalize_before": (True,),
        "normalize_embedding": (False,),
        "add_final_layer_norm": (True,),
        "static_position_embeddings": (True,),
    }
    start: ClassVar[str] = "pad"
    norm_position: ClassVar[str] = "pre"

    def positions(self, config: Mapping[str, Any]) -> dict[str, Any]:
        return {"sinusoidal": {"layout": "halves"}}

    def side(self, config: Mapping[str, Any], side: str) -> list[WeightRule]:
        shape = (config["max_position_embeddings"], config["d_model"])
        return [
            Computed(f"model.{side}.embed_positions.weight", shape, lambda: _sinusoids(*shape)),
            Same(f"model.{side}.layer_norm", f"{side}.norm"),
            *super().side(config, side),
        ]


def _sinusoids(length: int, size: int) -> "Tensor":
    import torch

    from tp_core.modules.embeddings.sinusoidal import SinusoidalPosition
    from tp_core.modules.embeddings.sinusoidal_options import SinusoidalPositionConfig
    from tp_core.options.context import BuildContext

    module = SinusoidalPosition(SinusoidalPositionConfig(layout="halves"), BuildContext(embedding_size=size))
    return module.table(torch.arange(length))
