"""T5 and T5 v1.1."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tp_core.errors import TPError
from tp_core.interop import parts
from tp_core.interop.activations import activation, activation_name
from tp_core.interop.keys import mark
from tp_core.interop.rules import Copy, Ignored, Same, Stacked, WeightRule, below
from tp_core.modules.decoders.transformer_options import TransformerDecoderConfig
from tp_core.modules.encoders.transformer_options import TransformerConfig
from tp_core.modules.feed_forwards.options import GatedConfig
from tp_core.modules.norms.options import RMSNormConfig
from tp_core.modules.positions.options import RelativeConfig
from tp_core.options.converter import ConverterConfig
from tp_text.converters import common
from tp_text.targets.lm_options import LanguageModelConfig

if TYPE_CHECKING:
    from tp_core.interop.keys import Keys
    from tp_core.spec.schema import Spec


#: Source length used to train the published models. Their relative positions have no maximum.
_LENGTH = 512


class T5ConverterConfig(ConverterConfig):
    """T5 and T5 v1.1 (Raffel et al., 2020; Shazeer, 2020)."""

    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "T5ForConditionalGeneration": ("lm",),
        "T5WithLMHeadModel": ("lm",),  # name in early checkpoints
        "T5Model": (),
    }
    aliases: ClassVar[Mapping[str, str]] = {
        "hidden_size": "d_model",
        "num_hidden_layers": "num_layers",
        "num_attention_heads": "num_heads",
        "head_dim": "d_kv",
    }
    defaults: ClassVar[Mapping[str, Any]] = {
        "vocab_size": 32128,
        "d_model": 512,
        "d_kv": 64,
        "d_ff": 2048,
        "num_layers": 6,
        "num_decoder_layers": None,
        "num_heads": 8,
        "relative_attention_num_buckets": 32,
        "relative_attention_max_distance": 128,
        "dropout_rate": 0.1,
        "layer_norm_epsilon": 1e-6,
        "feed_forward_proj": "relu",
        "tie_word_embeddings": True,
        "decoder_start_token_id": 0,
    }
    required: ClassVar[Mapping[str, tuple[Any, ...]]] = {"is_encoder_decoder": (True,)}
    irrelevant: ClassVar[frozenset[str]] = frozenset(
        {
            "initializer_factor",  # only affects initial values
            "n_positions",  # training length; relative positions have no maximum
            "classifier_dropout",  # key of a head without a converter
        }
    )

    head_keys: ClassVar[Mapping[str, tuple[str, ...]]] = {"lm": ("scale_decoder_outputs",)}

    def complete(self, config: "Keys") -> "Keys":
        found = config | {"num_decoder_layers": config["num_decoder_layers"] or config["num_layers"]}
        # Before transformers 5, tied weights implied scaled outputs. Newer configs always say that weights are tied,
        # and have scale_decoder_outputs.
        scaled = {} if "scale_decoder_outputs" in config else {"scale_decoder_outputs": config["tie_word_embeddings"]}
        return found | scaled

    def to_spec(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any]:
        gated, activation = _feed_forward_of(config)
        relative = {
            "buckets": config["relative_attention_num_buckets"],
            "max_distance": config["relative_attention_max_distance"],
        }
        attention = {
            "head_size": config["d_kv"],
            "positions": {"relative": relative},
            "bias": False,
            "scale": 1.0,
        }
        layers = {
            "num_heads": config["num_heads"],
            "feed_forward_size": config["d_ff"],
            "mixer": {"attention": attention},
            "feed_forward": {"gated" if gated else "dense": {"activation": activation, "bias": False}},
            "norm_position": "pre",
        }
        embedding = {"modules": ["word"], "norm": "none"}
        return {
            "hidden_size": config["d_model"],
            "vocab_size": config["vocab_size"],
            "norm": {"rmsnorm": {"eps": config["layer_norm_epsilon"]}},
            "dropout": config["dropout_rate"],
            "share_embeddings": True,
            "embedding": embedding,
            "encoder": {"transformer": {"num_layers": config["num_layers"], **layers}},
            "target_embedding": embedding,
            "decoder": {"transformer": {"num_layers": config["num_decoder_layers"], **layers}},
            "target": [
                {head: {"tie": config["tie_word_embeddings"], "tied_scale": config["scale_decoder_outputs"]}}
                for head in self.architectures[architecture]
            ],
        }

    def to_config(self, spec: "Spec", architecture: str) -> dict[str, Any]:
        encoder = parts.encoder(spec, TransformerConfig)
        decoder = parts.decoder(spec, TransformerDecoderConfig)
        attention, feed_forward = common.attention(encoder), common.feed_forward(encoder)
        relative = parts.part(attention, "positions", RelativeConfig)
        gated, activation = isinstance(feed_forward, GatedConfig), activation_name(feed_forward.activation)
        lm = parts.target(spec, LanguageModelConfig)
        return {
            "vocab_size": spec.model.vocab_size,
            "d_model": encoder.hidden_size,
            "d_kv": attention.width(encoder.hidden_size),
            "d_ff": feed_forward.inner_size(encoder.hidden_size),
            "num_layers": encoder.num_layers,
            "num_decoder_layers": decoder.num_layers,
            "num_heads": attention.num_heads,
            "relative_attention_num_buckets": relative.buckets,
            "relative_attention_max_distance": relative.max_distance,
            "dropout_rate": encoder.dropout,
            "layer_norm_epsilon": parts.part(encoder, "norm", RMSNormConfig).eps,
            "feed_forward_proj": f"gated-{activation.removesuffix('_new')}" if gated else activation,
            "dense_act_fn": activation,
            "is_gated_act": gated,
            "tie_word_embeddings": lm is None or lm.tie,
            "scale_decoder_outputs": lm is None or lm.tied_scale,
            "is_encoder_decoder": True,
        }

    def processor(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any] | None:
        return {"mt": {"max_length": _LENGTH, "start": "pad"}}

    def weights(self, config: Mapping[str, Any]) -> Sequence[WeightRule]:
        (gated, _), heads = _feed_forward_of(config), config["num_heads"]
        return [
            Same("shared.weight", "embedding.parts.word.table.weight", vocabulary=True),
            Copy("encoder.embed_tokens.weight", of="shared.weight"),
            Copy("decoder.embed_tokens.weight", of="shared.weight"),
            *_side("encoder", 1, gated, heads),
            *_side("decoder", 2, gated, heads),
            *_cross_attention(heads),
            # Old checkpoints have this table, but it is not used.
            Ignored("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"),
            *common.language_model("shared.weight", config["tie_word_embeddings"]),
        ]


def _feed_forward_of(config: Mapping[str, Any]) -> tuple[bool, str]:
    """True if the feed-forward layers are gated, and the name in tp of their activation.

    Raises:
        TPError: the activation is unknown.
    """
    kind, _, name = config["feed_forward_proj"].rpartition("-")
    if kind not in ("", "gated"):
        raise TPError(
            f"config.json: 'feed_forward_proj' is '{config['feed_forward_proj']}'; expected NAME or gated-NAME"
        )
    # In transformers, gated-gelu means the tanh approximation. Derived keys that the config stores take precedence.
    derived = {"dense_act_fn": "gelu_new" if kind and name == "gelu" else name, "is_gated_act": bool(kind)}
    stored = {key: value if config.get(key) is None else config[key] for key, value in derived.items()}
    if all(config.get(key) is not None for key in derived):
        mark(config, "feed_forward_proj")
    return bool(stored["is_gated_act"]), activation(stored, "dense_act_fn")


def _side(side: str, feed_forward: int, gated: bool, heads: int) -> list[WeightRule]:
    """Conversion rules of the encoder or decoder; ``feed_forward`` is the index of the feed-forward sub-layer."""
    layer, ours = f"{side}.block.{{layer}}.layer", f"{side}.layers.{{layer}}"
    attention, dense = f"{layer}.0.SelfAttention", f"{layer}.{feed_forward}.DenseReluDense"
    first = f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
    inputs = {"wi_0": "gate", "wi_1": "input"} if gated else {"wi": "input"}
    return [
        Same(first, f"{side}.shared.0.bias.weight"),
        common.projections(below(attention, "q", "k", "v"), ours, heads),
        Same(f"{attention}.o", f"{ours}.mixer.output"),
        Same(f"{layer}.0.layer_norm", f"{ours}.mixer_residual.before"),
        *(Same(f"{dense}.{theirs}", f"{ours}.feed_forward.{part}") for theirs, part in inputs.items()),
        Same(f"{dense}.wo", f"{ours}.feed_forward.output"),
        Same(f"{layer}.{feed_forward}.layer_norm", f"{ours}.feed_forward_residual.before"),
        Same(f"{side}.final_layer_norm", f"{side}.norm"),
    ]


def _cross_attention(heads: int) -> list[WeightRule]:
    layer, ours = "decoder.block.{layer}.layer.1", "decoder.layers.{layer}"
    return [
        Same(f"{layer}.EncDecAttention.q", f"{ours}.cross_attention.query"),
        Stacked(below(f"{layer}.EncDecAttention", "k", "v"), f"{ours}.cross_attention.key_value", groups=heads),
        Same(f"{layer}.EncDecAttention.o", f"{ours}.cross_attention.output"),
        Same(f"{layer}.layer_norm", f"{ours}.cross_attention_residual.before"),
    ]
