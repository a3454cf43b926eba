"""BLOOM."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tp_core.interop import parts
from tp_core.interop.rules import Same, WeightRule
from tp_core.modules.encoders.transformer_options import TransformerConfig
from tp_core.options.converter import ConverterConfig
from tp_text.converters import common
from tp_text.targets.lm_options import LanguageModelConfig

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec


class BloomConverterConfig(ConverterConfig):
    """BLOOM (BigScience, 2022): ALiBi positions and a norm after the embedding."""

    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {"BloomForCausalLM": ("lm",), "BloomModel": ()}
    prefix: ClassVar[str] = "transformer."
    aliases: ClassVar[Mapping[str, str]] = {
        "n_embed": "hidden_size",
        "num_attention_heads": "n_head",
        "num_hidden_layers": "n_layer",
    }
    defaults: ClassVar[Mapping[str, Any]] = {
        "vocab_size": 250880,
        "hidden_size": 64,
        "n_layer": 2,
        "n_head": 8,
        "layer_norm_epsilon": 1e-5,
        "initializer_range": 0.02,
        "hidden_dropout": 0.0,
        "attention_dropout": 0.0,
        "tie_word_embeddings": True,
    }
    required: ClassVar[Mapping[str, tuple[Any, ...]]] = {"apply_residual_connection_post_layernorm": (False,)}
    irrelevant: ClassVar[frozenset[str]] = common.CAUSAL_IRRELEVANT | {
        "slow_but_exact",  # same result; only the order of operations differs
        # Keys of BLOOM's training code; transformers does not read them.
        *("attention_softmax_in_fp32", "bias_dropout_fusion", "masked_softmax_fusion", "offset_alibi"),
        *("skip_bias_add", "skip_bias_add_qkv", "n_inner"),
        # Keys of a head without a converter.
        "classifier_dropout",
    }

    def to_spec(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any]:
        return {
            "hidden_size": config["hidden_size"],
            "vocab_size": config["vocab_size"],
            "norm": {"layernorm": {"eps": config["layer_norm_epsilon"]}},
            "init_std": config["initializer_range"],
            "embedding": {"modules": ["word"], "dropout": 0.0},
            "encoder": {
                "transformer": {
                    "num_layers": config["n_layer"],
                    "num_heads": config["n_head"],
                    "mask": "causal",
                    "norm_position": "pre",
                    "mixer": {"attention": {"positions": "alibi", "dropout": config["attention_dropout"]}},
                    "feed_forward": {"dense": {"activation": "gelu_tanh"}},
                    "dropout": config["hidden_dropout"],
                }
            },
            "target": [{head: {"tie": config["tie_word_embeddings"]}} for head in self.architectures[architecture]],
        }

    def to_config(self, spec: "Spec", architecture: str) -> dict[str, Any]:
        encoder, target = parts.encoder(spec, TransformerConfig), parts.target(spec, LanguageModelConfig)
        attention = common.attention(encoder)
        return {
            "vocab_size": spec.model.vocab_size,
            "hidden_size": encoder.hidden_size,
            "n_layer": encoder.num_layers,
            "n_head": attention.num_heads,
            "layer_norm_epsilon": common.norm_eps(encoder),
            "initializer_range": encoder.init_std,
            "hidden_dropout": encoder.dropout,
            "attention_dropout": attention.dropout,
            "tie_word_embeddings": target is None or target.tie,
        }

    def processor(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any] | None:
        length = config.get("seq_length") or 2048  # ALiBi has no maximum length; this is the training length
        return common.causal_processor(length, self.architectures[architecture])

    def weights(self, config: Mapping[str, Any]) -> Sequence[WeightRule]:
        layer, ours = "transformer.h.{layer}", "encoder.layers.{layer}"
        return [
            Same("transformer.word_embeddings.weight", "embedding.parts.word.table.weight", vocabulary=True),
            Same("transformer.word_embeddings_layernorm", "embedding.norm"),
            Same(f"{layer}.self_attention.query_key_value", f"{ours}.mixer.qkv"),
            Same(f"{layer}.self_attention.dense", f"{ours}.mixer.output"),
            Same(f"{layer}.input_layernorm", f"{ours}.mixer_residual.before"),
            Same(f"{layer}.post_attention_layernorm", f"{ours}.feed_forward_residual.before"),
            Same(f"{layer}.mlp.dense_h_to_4h", f"{ours}.feed_forward.input"),
            Same(f"{layer}.mlp.dense_4h_to_h", f"{ours}.feed_forward.output"),
            Same("transformer.ln_f", "encoder.norm"),
            *common.language_model("transformer.word_embeddings.weight", config["tie_word_embeddings"]),
        ]
