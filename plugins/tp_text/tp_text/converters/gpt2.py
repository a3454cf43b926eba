"""GPT-2."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tp_core.interop import parts
from tp_core.interop.activations import activation, activation_name
from tp_core.interop.rules import Fused, Ignored, Same, Transposed, WeightRule
from tp_core.modules.embeddings.position_options import LearnedPositionConfig
from tp_core.modules.encoders.transformer_options import TransformerConfig
from tp_core.options.converter import ConverterConfig
from tp_text.converters import common
from tp_text.targets.lm_options import LanguageModelConfig

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec


class GPT2ConverterConfig(ConverterConfig):
    """GPT-2 (Radford et al., 2019)."""

    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {"GPT2LMHeadModel": ("lm",), "GPT2Model": ()}
    prefix: ClassVar[str] = "transformer."
    aliases: ClassVar[Mapping[str, str]] = {
        "hidden_size": "n_embd",
        "max_position_embeddings": "n_positions",
        "num_attention_heads": "n_head",
        "num_hidden_layers": "n_layer",
    }
    defaults: ClassVar[Mapping[str, Any]] = {
        "vocab_size": 50257,
        "n_positions": 1024,
        "n_embd": 768,
        "n_layer": 12,
        "n_head": 12,
        "n_inner": None,
        "activation_function": "gelu_new",
        "resid_pdrop": 0.1,
        "embd_pdrop": 0.1,
        "attn_pdrop": 0.1,
        "layer_norm_epsilon": 1e-5,
        "initializer_range": 0.02,
        "tie_word_embeddings": True,
    }
    required: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "scale_attn_weights": (True,),
        "scale_attn_by_inverse_layer_idx": (False,),
    }
    irrelevant: ClassVar[frozenset[str]] = common.CAUSAL_IRRELEVANT | {
        # Same attention, but always computed in float32.
        "reorder_and_upcast_attn",
        # Keys of heads without a converter.
        *("summary_type", "summary_use_proj", "summary_activation", "summary_proj_to_labels"),
        *("summary_first_dropout", "summary_last_dropout", "hidden_dropout", "classifier_dropout"),
        # Keys of GPT-2's original code: the size of a stored mask, and options of its tokenizer.
        *("n_ctx", "predict_special_tokens"),
    }

    def to_spec(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any]:
        return {
            "hidden_size": config["n_embd"],
            "vocab_size": config["vocab_size"],
            "norm": {"layernorm": {"eps": config["layer_norm_epsilon"]}},
            "init_std": config["initializer_range"],
            "embedding": {
                "modules": ["word", {"pos": {"max_length": config["n_positions"]}}],
                "norm": "none",
                "dropout": config["embd_pdrop"],
            },
            "encoder": {
                "transformer": {
                    "num_layers": config["n_layer"],
                    "num_heads": config["n_head"],
                    "feed_forward_size": config["n_inner"] or 4 * config["n_embd"],
                    "mask": "causal",
                    "norm_position": "pre",
                    "mixer": {"attention": {"dropout": config["attn_pdrop"]}},
                    "feed_forward": {"dense": {"activation": activation(config, "activation_function")}},
                    "dropout": config["resid_pdrop"],
                    "scale_residual_init": True,
                }
            },
            "target": [{head: {"tie": config["tie_word_embeddings"]}} for head in self.architectures[architecture]],
        }

    def to_config(self, spec: "Spec", architecture: str) -> dict[str, Any]:
        encoder, target = parts.encoder(spec, TransformerConfig), parts.target(spec, LanguageModelConfig)
        attention, feed_forward = common.attention(encoder), common.feed_forward(encoder)
        return {
            "vocab_size": spec.model.vocab_size,
            "n_positions": common.table_rows(parts.embedding(spec, LearnedPositionConfig)),
            "n_embd": encoder.hidden_size,
            "n_layer": encoder.num_layers,
            "n_head": attention.num_heads,
            "n_inner": feed_forward.inner_size(encoder.hidden_size),
            "activation_function": activation_name(feed_forward.activation),
            "resid_pdrop": encoder.dropout,
            "embd_pdrop": parts.component(spec).options.dropout,
            "attn_pdrop": attention.dropout,
            "layer_norm_epsilon": common.norm_eps(encoder),
            "initializer_range": encoder.init_std,
            "tie_word_embeddings": target is None or target.tie,
        }

    def processor(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any] | None:
        return common.causal_processor(config["n_positions"], self.architectures[architecture])

    def weights(self, config: Mapping[str, Any]) -> Sequence[WeightRule]:
        layer, ours, heads = "transformer.h.{layer}", "encoder.layers.{layer}", config["n_head"]
        return [
            Same("transformer.wte.weight", "embedding.parts.word.table.weight", vocabulary=True),
            Same("transformer.wpe.weight", "embedding.parts.pos.table.weight"),
            Same(f"{layer}.ln_1", f"{ours}.mixer_residual.before"),
            Same(f"{layer}.ln_2", f"{ours}.feed_forward_residual.before"),
            Fused(f"{layer}.attn.c_attn", f"{ours}.mixer.qkv", shares=(heads,) * 3, groups=heads, transposed=True),
            Transposed(f"{layer}.attn.c_proj", f"{ours}.mixer.output"),
            Transposed(f"{layer}.mlp.c_fc", f"{ours}.feed_forward.input"),
            Transposed(f"{layer}.mlp.c_proj", f"{ours}.feed_forward.output"),
            Ignored(f"{layer}.attn.bias"),  # the causal mask, stored in old checkpoints
            Ignored(f"{layer}.attn.masked_bias"),
            Same("transformer.ln_f", "encoder.norm"),
            *common.language_model("transformer.wte.weight", config["tie_word_embeddings"]),
        ]
