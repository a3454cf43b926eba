"""LLaMA and Mistral."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tp_core.interop import parts
from tp_core.interop.activations import activation, activation_name
from tp_core.interop.rules import Ignored, WeightRule
from tp_core.modules.encoders.transformer_options import TransformerConfig
from tp_core.modules.feed_forwards.options import GatedConfig
from tp_core.modules.norms.options import RMSNormConfig
from tp_core.modules.positions.rotary_options import RotaryConfig
from tp_core.options.converter import ConverterConfig
from tp_text.converters import common
from tp_text.targets.lm_options import LanguageModelConfig

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec


class LlamaConverterConfig(ConverterConfig):
    """LLaMA, Llama 2 and Llama 3, with grouped-query attention and scaled rotary positions (Touvron et al., 2023)."""

    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {"LlamaForCausalLM": ("lm",), "LlamaModel": ()}
    prefix: ClassVar[str] = "model."
    defaults: ClassVar[Mapping[str, Any]] = {
        "vocab_size": 32000,
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": None,
        "hidden_act": "silu",
        "max_position_embeddings": 2048,
        "initializer_range": 0.02,
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": False,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "mlp_bias": False,
        "head_dim": None,
    }
    irrelevant: ClassVar[frozenset[str]] = common.CAUSAL_IRRELEVANT | {
        # in configs of published models; transformers does not read them
        *("max_sequence_length", "is_llama_config", "rope_interleaved"),
    }

    def to_spec(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any]:
        heads = config["num_attention_heads"]
        attention = {
            "num_key_value_heads": config["num_key_value_heads"] or heads,
            "head_size": config["head_dim"],
            "positions": parts.rotary(config),
            "dropout": config["attention_dropout"],
            "bias": config["attention_bias"],
        }
        return {
            "hidden_size": config["hidden_size"],
            "vocab_size": config["vocab_size"],
            "norm": {"rmsnorm": {"eps": config["rms_norm_eps"]}},
            "init_std": config["initializer_range"],
            "dropout": 0.0,
            "embedding": {"modules": ["word"], "norm": "none"},
            "encoder": {
                "transformer": {
                    "num_layers": config["num_hidden_layers"],
                    "num_heads": heads,
                    "feed_forward_size": config["intermediate_size"],
                    "mask": "causal",
                    "mixer": {"attention": attention},
                    "feed_forward": {
                        "gated": {"activation": activation(config, "hidden_act"), "bias": config["mlp_bias"]}
                    },
                    "norm_position": "pre",
                }
            },
            "target": [{head: {"tie": config["tie_word_embeddings"]}} for head in self.architectures[architecture]],
        }

    def to_config(self, spec: "Spec", architecture: str) -> dict[str, Any]:
        encoder, target = parts.encoder(spec, TransformerConfig), parts.target(spec, LanguageModelConfig)
        attention, feed_forward = common.attention(encoder), parts.part(encoder, "feed_forward", GatedConfig)
        return {
            "vocab_size": spec.model.vocab_size,
            "hidden_size": encoder.hidden_size,
            "intermediate_size": feed_forward.inner_size(encoder.hidden_size),
            "num_hidden_layers": encoder.num_layers,
            "num_attention_heads": attention.num_heads,
            "num_key_value_heads": attention.num_key_value_heads or attention.num_heads,
            "head_dim": attention.width(encoder.hidden_size),
            "hidden_act": activation_name(feed_forward.activation),
            "initializer_range": encoder.init_std,
            "rms_norm_eps": parts.part(encoder, "norm", RMSNormConfig).eps,
            **parts.rotary_keys(parts.part(attention, "positions", RotaryConfig)),
            "attention_bias": attention.bias,
            "mlp_bias": feed_forward.bias,
            "attention_dropout": attention.dropout,
            "tie_word_embeddings": target is not None and target.tie,
        }

    def processor(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any] | None:
        return common.causal_processor(config["max_position_embeddings"], self.architectures[architecture])

    def weights(self, config: Mapping[str, Any]) -> Sequence[WeightRule]:
        norms = {
            "input_layernorm": "mixer_residual.before",
            "post_attention_layernorm": "feed_forward_residual.before",
        }
        return [*common.gated_decoder(config, norms), Ignored("model.layers.{layer}.self_attn.rotary_emb.inv_freq")]


class MistralConverterConfig(LlamaConverterConfig):
    """Mistral (Jiang et al., 2023): LLaMA with grouped-query attention and, in its first version, a window."""

    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {"MistralForCausalLM": ("lm",), "MistralModel": ()}
    defaults: ClassVar[Mapping[str, Any]] = {
        **LlamaConverterConfig.defaults,
        "intermediate_size": 14336,
        "num_key_value_heads": 8,
        "max_position_embeddings": 4096 * 32,
        "sliding_window": 4096,
    }
    required: ClassVar[Mapping[str, tuple[Any, ...]]] = {"attention_bias": (False,), "mlp_bias": (False,)}

    def to_spec(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any]:
        model = super().to_spec(config, architecture)
        model["encoder"]["transformer"]["mixer"]["attention"]["window"] = config["sliding_window"]
        return model

    def to_config(self, spec: "Spec", architecture: str) -> dict[str, Any]:
        config = super().to_config(spec, architecture)
        window = common.attention(parts.encoder(spec, TransformerConfig)).window
        own = {key: value for key, value in config.items() if key not in ("attention_bias", "mlp_bias")}
        return {**own, "sliding_window": window}
