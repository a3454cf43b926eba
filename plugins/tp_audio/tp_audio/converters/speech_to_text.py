"""The converter of Speech2Text."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tp_audio.converters import common
from tp_audio.embeddings.speech_options import SpeechConfig
from tp_core.errors import TPError
from tp_core.interop import parts
from tp_core.interop.activations import activation, activation_name
from tp_core.interop.rules import Copy, Ignored, Same, Stacked, WeightRule, below
from tp_core.modules.decoders.transformer_options import TransformerDecoderConfig
from tp_core.modules.embeddings.sinusoidal_options import SinusoidalPositionConfig
from tp_core.modules.encoders.transformer_options import TransformerConfig
from tp_core.options.converter import ConverterConfig

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec

_EPS = 1e-5  # fixed in transformers: config.json has no key for it
_WORD = "target_embedding.parts.word.table.weight"


class SpeechToTextConverterConfig(ConverterConfig):
    """Speech2Text (Wang et al., 2020): filter banks, encoder and decoder with fixed positions."""

    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "Speech2TextForConditionalGeneration": ("lm",),
        "Speech2TextModel": (),
    }
    prefix: ClassVar[str] = "model."
    aliases: ClassVar[Mapping[str, str]] = {
        "hidden_size": "d_model",
        "num_attention_heads": "encoder_attention_heads",
        "num_hidden_layers": "encoder_layers",
    }
    defaults: ClassVar[Mapping[str, Any]] = {
        "vocab_size": 10000,
        "encoder_layers": 12,
        "encoder_ffn_dim": 2048,
        "encoder_attention_heads": 4,
        "decoder_layers": 6,
        "decoder_ffn_dim": 2048,
        "decoder_attention_heads": 4,
        "activation_function": "relu",
        "d_model": 256,
        "dropout": 0.1,
        "attention_dropout": 0.0,
        "activation_dropout": 0.0,
        "init_std": 0.02,
        "scale_embedding": True,
        "pad_token_id": 1,
        "conv_kernel_sizes": [5, 5],
        "conv_channels": 1024,
        "input_feat_per_channel": 80,
        "input_channels": 1,
        "tie_word_embeddings": True,
        "decoder_start_token_id": 2,
    }
    required: ClassVar[Mapping[str, tuple[Any, ...]]] = {"is_encoder_decoder": (True,)}
    irrelevant: ClassVar[frozenset[str]] = frozenset(
        {
            *("max_source_positions", "max_target_positions"),  # position tables grow on demand
            "classifier_dropout",  # belongs to a head that does not exist
        }
    )
    training_only: ClassVar[Mapping[str, Any]] = {"encoder_layerdrop": 0.0, "decoder_layerdrop": 0.0}
    notes: ClassVar[tuple[str, ...]] = (
        "as in transformers, the last states of a recording depend on the padding after it (mask_padding: false)",
    )

    def to_spec(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any]:
        if not config["pad_token_id"]:
            # transformers compares a mask, in which real frames are 0, with this id to find padding.
            raise TPError("config.json: 'pad_token_id' is 0, so transformers gives no positions to real frames")
        scale = config["scale_embedding"]
        kernels = list(config["conv_kernel_sizes"])
        if config.get("num_conv_layers") not in (None, len(kernels)):
            layers = config["num_conv_layers"]
            message = f"'num_conv_layers' is {layers}, but 'conv_kernel_sizes' has {len(kernels)} numbers"
            raise TPError(f"config.json: {message}")
        speech = {
            "num_mel_bins": config["input_feat_per_channel"] * config["input_channels"],
            "kernel_sizes": kernels,
            "strides": [2] * len(kernels),
            "channels": config["conv_channels"],
            "scale": scale,
            "mask_padding": False,
        }
        # Positions start after the padding token's id.
        positions = {"layout": "halves", "frequencies": "tensor2tensor", "offset": config["pad_token_id"] + 1}
        return {
            "hidden_size": config["d_model"],
            "vocab_size": config["vocab_size"],
            "norm": {"layernorm": {"eps": _EPS}},
            "dropout": config["dropout"],
            "init_std": config["init_std"],
            "embedding": {"modules": [{"speech": speech}, {"sinusoidal": positions}], "norm": "none"},
            "encoder": {"transformer": _layers(config, "encoder")},
            "target_embedding": {"modules": [{"word": {"scale": scale}}, {"sinusoidal": positions}], "norm": "none"},
            "decoder": {"transformer": _layers(config, "decoder")},
            "target": [{head: {"tie": config["tie_word_embeddings"]}} for head in self.architectures[architecture]],
        }

    def to_config(self, spec: "Spec", architecture: str) -> dict[str, Any]:
        encoder = parts.encoder(spec, TransformerConfig)
        decoder = parts.decoder(spec, TransformerDecoderConfig)
        speech = parts.embedding(spec, SpeechConfig)
        attention, dense = common.layer_parts(encoder)
        config: dict[str, Any] = {
            "vocab_size": spec.model.target_vocab_size,
            "activation_function": activation_name(dense.activation),
            "d_model": encoder.hidden_size,
            "dropout": encoder.dropout,
            "attention_dropout": attention.dropout,
            "activation_dropout": dense.activation_dropout,
            "init_std": encoder.init_std,
            "scale_embedding": speech.scale,
            "pad_token_id": parts.embedding(spec, SinusoidalPositionConfig).offset - 1,
            "num_conv_layers": len(speech.kernel_sizes),
            "conv_kernel_sizes": speech.kernel_sizes,
            "conv_channels": speech.channels,
            "input_feat_per_channel": speech.num_mel_bins,
            "input_channels": 1,
            # Targets of tokens are in another package. Only their name and this option are known here.
            "tie_word_embeddings": all(getattr(t.config, "tie", True) for t in spec.model.targets),
            "is_encoder_decoder": True,
        }
        for side, options in (("encoder", encoder), ("decoder", decoder)):
            attention, dense = common.layer_parts(options)
            config[f"{side}_layers"] = options.num_layers
            config[f"{side}_attention_heads"] = attention.num_heads
            config[f"{side}_ffn_dim"] = dense.inner_size(encoder.hidden_size)
        return config

    def processor(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any] | None:
        return {"speech_text": {"num_mel_bins": config["input_feat_per_channel"] * config["input_channels"]}}

    def weights(self, config: Mapping[str, Any]) -> Sequence[WeightRule]:
        word = "model.decoder.embed_tokens.weight"
        output: WeightRule = Same("lm_head.weight", "targets.lm.output.weight", vocabulary=True)
        if config["tie_word_embeddings"]:
            output = Copy("lm_head.weight", of=word, output=True)
        return [
            Same("model.encoder.conv.conv_layers.{layer}", "embedding.parts.speech.convolutions.{layer}"),
            Same(word, _WORD, vocabulary=True),
            *_side("encoder", config["encoder_attention_heads"]),
            *_side("decoder", config["decoder_attention_heads"]),
            *_cross_attention(config["decoder_attention_heads"]),
            output,
        ]


def _layers(config: Mapping[str, Any], side: str) -> dict[str, Any]:
    name, rate = activation(config, "activation_function"), config["activation_dropout"]
    return {
        "mixer": {"attention": {"dropout": config["attention_dropout"]}},
        "feed_forward": {"dense": {"activation": name, "activation_dropout": rate}},
        "num_layers": config[f"{side}_layers"],
        "num_heads": config[f"{side}_attention_heads"],
        "feed_forward_size": config[f"{side}_ffn_dim"],
        "norm_position": "pre",
    }


def _side(side: str, heads: int) -> list[WeightRule]:
    """The rules of the encoder or the decoder, with its number of heads."""
    layer, ours = f"model.{side}.layers.{{layer}}", f"{side}.layers.{{layer}}"
    return [
        Stacked(below(f"{layer}.self_attn", "q_proj", "k_proj", "v_proj"), f"{ours}.mixer.qkv", groups=heads),
        Same(f"{layer}.self_attn.out_proj", f"{ours}.mixer.output"),
        Same(f"{layer}.self_attn_layer_norm", f"{ours}.mixer_residual.before"),
        Same(f"{layer}.fc1", f"{ours}.feed_forward.input"),
        Same(f"{layer}.fc2", f"{ours}.feed_forward.output"),
        Same(f"{layer}.final_layer_norm", f"{ours}.feed_forward_residual.before"),
        Same(f"model.{side}.layer_norm", f"{side}.norm"),
        Ignored(f"model.{side}.embed_positions.weights"),  # in older checkpoints; the values are computed
    ]


def _cross_attention(heads: int) -> list[WeightRule]:
    layer, ours = "model.decoder.layers.{layer}", "decoder.layers.{layer}"
    attention = f"{layer}.encoder_attn"
    return [
        Same(f"{attention}.q_proj", f"{ours}.cross_attention.query"),
        Stacked(below(attention, "k_proj", "v_proj"), f"{ours}.cross_attention.key_value", groups=heads),
        Same(f"{attention}.out_proj", f"{ours}.cross_attention.output"),
        Same(f"{attention}_layer_norm", f"{ours}.cross_attention_residual.before"),
    ]
