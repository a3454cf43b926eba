"""ModernBERT."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tp_core.errors import TPError
from tp_core.interop import parts
from tp_core.interop.activations import activation, activation_name
from tp_core.interop.keys import mark
from tp_core.interop.rules import Copy, Fused, Same, WeightRule, parted
from tp_core.modules.encoders.transformer_options import TransformerConfig
from tp_core.modules.feed_forwards.options import GatedConfig
from tp_core.modules.mixers.attention_options import AttentionConfig
from tp_core.modules.norms.options import LayerNormConfig
from tp_core.modules.positions.rotary_options import RotaryConfig
from tp_core.options.converter import ConverterConfig
from tp_text.converters.layer_types import FULL, SLIDING, layer_types, slices
from tp_text.targets.mlm_options import MaskedLanguageModelConfig

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec

#: Type of layers → key of its rotary base before transformers 5, and default base.
THETAS = {FULL: ("global_rope_theta", 160000.0), SLIDING: ("local_rope_theta", 10000.0)}


def every(number: int, count: int) -> list[str]:
    """Types of ``count`` layers: every ``number``-th layer, beginning with the first, attends to the whole text."""
    return [SLIDING if layer % number else FULL for layer in range(count)]


def types_of(config: Mapping[str, Any]) -> list[str]:
    """The kind of each layer.

    Raises:
        TPError: a kind is unknown, or the number of kinds differs from the number of layers.
    """
    types, count, number = (config[key] for key in ("layer_types", "num_hidden_layers", "global_attn_every_n_layers"))
    if types is not None:
        mark(config, "global_attn_every_n_layers")
        return layer_types(types, count)
    if number < 1:
        raise TPError(f"config.json: 'global_attn_every_n_layers' is {number}; expected at least 1")
    return every(number, count)


def theta(config: Mapping[str, Any], kind: str) -> float:
    """Base of the rotary frequencies of one type of layers."""
    key, default = THETAS[kind]
    old, inside = config[key], (config["rope_parameters"] or {}).get(kind) or {}
    if old is None and inside.get("rope_theta") is None:
        old = default
    return parts.rotary_theta({"rope_theta": old, "rope_parameters": inside})


class ModernBertConverterConfig(ConverterConfig):
    """ModernBERT (Warner et al., 2024).

    transformers also applies the attention dropout to the output of attention. This second dropout is not converted.
    """

    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {"ModernBertForMaskedLM": ("mlm",), "ModernBertModel": ()}
    prefix: ClassVar[str] = "model."
    defaults: ClassVar[Mapping[str, Any]] = {
        "vocab_size": 50368,
        "hidden_size": 768,
        "intermediate_size": 1152,
        "num_hidden_layers": 22,
        "num_attention_heads": 12,
        "hidden_activation": "gelu",
        "max_position_embeddings": 8192,
        "initializer_range": 0.02,
        "norm_eps": 1e-5,
        "norm_bias": False,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "layer_types": None,
        "global_attn_every_n_layers": 3,
        "rope_parameters": None,
        "global_rope_theta": None,
        "local_rope_theta": None,
        "local_attention": 128,
        "embedding_dropout": 0.0,
        "mlp_bias": False,
        "mlp_dropout": 0.0,
        "decoder_bias": True,
        "classifier_bias": False,
        "classifier_activation": "gelu",
        "tie_word_embeddings": True,
    }
    irrelevant: ClassVar[frozenset[str]] = frozenset(
        {
            "initializer_cutoff_factor",  # only affects initial values
            *("classifier_pooling", "classifier_dropout"),  # keys of heads without a converter
            *("deterministic_flash_attn", "reference_compile", "repad_logits_with_grad"),  # same result
            *("sparse_prediction", "sparse_pred_ignore_index"),  # same loss, computed from fewer logits
            # in configs of published models; transformers does not read them
            *("layer_norm_eps", "position_embedding_type"),
        }
    )
    head_keys: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "mlm": ("decoder_bias", "classifier_bias", "classifier_activation")
    }

    def to_spec(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any]:
        types, window = types_of(config), config["local_attention"] // 2 + 1
        if config["local_attention"] % 2:
            mark(config, "local_attention")  # an odd number has the same effect as the even number below it
        own = {
            FULL: {"window": None, "positions": {"rotary": {"theta": theta(config, FULL)}}},
            SLIDING: {"window": window, "positions": {"rotary": {"theta": theta(config, SLIDING)}}},
        }
        attention = {"bias": config["attention_bias"], "dropout": config["attention_dropout"]}
        layers: dict[str, Any] = {
            "num_layers": config["num_hidden_layers"],
            "num_heads": config["num_attention_heads"],
            "feed_forward_size": config["intermediate_size"],
            "norm_position": "pre",
            "first_norm": False,
            "scale_residual_init": True,
            "feed_forward": {
                "gated": {
                    "activation": activation(config, "hidden_activation"),
                    "bias": config["mlp_bias"],
                    "activation_dropout": config["mlp_dropout"],
                }
            },
            "mixer": {"attention": {**attention, **own[SLIDING if SLIDING in types else FULL]}},
        }
        if FULL in types and SLIDING in types:
            layers["layers"] = {each: {"mixer": {"attention": own[FULL]}} for each in slices(types, FULL)}
        model = {
            "hidden_size": config["hidden_size"],
            "vocab_size": config["vocab_size"],
            "init_std": config["initializer_range"],
            "dropout": 0.0,
            "norm": {"layernorm": {"eps": config["norm_eps"], "bias": config["norm_bias"]}},
            "embedding": {"modules": ["word"], "dropout": config["embedding_dropout"]},
            "encoder": {"transformer": layers},
            "target": [],
        }
        if self.architectures[architecture]:
            mlm = {
                "activation": activation(config, "classifier_activation"),
                "dense_bias": config["classifier_bias"],
                "bias": config["decoder_bias"],
                "tie": config["tie_word_embeddings"],
            }
            model["target"] = [{"mlm": mlm}]
        return model

    def to_config(self, spec: "Spec", architecture: str) -> dict[str, Any]:
        encoder, mlm = parts.encoder(spec, TransformerConfig), parts.target(spec, MaskedLanguageModelConfig)
        norm, inner = parts.part(encoder, "norm", LayerNormConfig), parts.part(encoder, "feed_forward", GatedConfig)
        layers = [parts.part(encoder.layer(n), "mixer", AttentionConfig) for n in range(encoder.num_layers)]
        thetas = {kind: default for kind, (_, default) in THETAS.items()}
        types, windows = [FULL if each.window is None else SLIDING for each in layers], [65]
        # The reverse order keeps the first layer of each type; a later check finds differing ones.
        for kind, each in zip(types[::-1], layers[::-1]):
            thetas[kind] = parts.part(each, "positions", RotaryConfig).theta
            windows += [] if each.window is None else [each.window]
        special = {} if spec.data.vocabulary is None else spec.data.vocabulary.special
        numbers = [n for n in range(1, len(types) + 1) if types == every(n, len(types))]
        return {
            "vocab_size": spec.model.vocab_size,
            # The default is 50283. transformers rejects a padding id outside the vocabulary.
            **({} if "pad" in special or spec.model.vocab_size > 50283 else {"pad_token_id": None}),
            "hidden_size": encoder.hidden_size,
            "intermediate_size": inner.inner_size(encoder.hidden_size),
            "num_hidden_layers": encoder.num_layers,
            "num_attention_heads": layers[0].num_heads,
            "hidden_activation": activation_name(inner.activation),
            "initializer_range": encoder.init_std,
            "norm_eps": norm.eps,
            "norm_bias": norm.bias,
            "attention_bias": layers[0].bias,
            "attention_dropout": layers[0].dropout,
            "layer_types": types,
            "rope_parameters": {k: {"rope_type": "default", "rope_theta": each} for k, each in thetas.items()},
            # Keys of transformers before version 5.
            **({"global_attn_every_n_layers": numbers[0]} if numbers else {}),
            **{key: thetas[kind] for kind, (key, _) in THETAS.items()},
            "local_attention": 2 * (windows[-1] - 1),
            "embedding_dropout": parts.component(spec).options.dropout,
            "mlp_bias": inner.bias,
            "mlp_dropout": inner.activation_dropout,
            "decoder_bias": mlm is None or mlm.bias,
            "classifier_bias": mlm is not None and mlm.dense_bias,
            "classifier_activation": activation_name("gelu" if mlm is None else mlm.activation),
            "tie_word_embeddings": mlm is None or mlm.tie,
        }

    def processor(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any] | None:
        return {"mlm": {"max_length": config["max_position_embeddings"]}}

    def weights(self, config: Mapping[str, Any]) -> Sequence[WeightRule]:
        layer, ours, word = "model.layers.{layer}", "encoder.layers.{layer}", "model.embeddings.tok_embeddings.weight"
        rules: list[WeightRule] = [
            Same(word, "embedding.parts.word.table.weight", vocabulary=True),
            Same("model.embeddings.norm", "embedding.norm"),
            Same(f"{layer}.attn_norm", f"{ours}.mixer_residual.before"),
            Fused(f"{layer}.attn.Wqkv", f"{ours}.mixer.qkv", shares=(1, 1, 1), groups=config["num_attention_heads"]),
            Same(f"{layer}.attn.Wo", f"{ours}.mixer.output"),
            Same(f"{layer}.mlp_norm", f"{ours}.feed_forward_residual.before"),
            *parted(f"{layer}.mlp.Wi", f"{ours}.feed_forward.gate", f"{ours}.feed_forward.input"),
            Same(f"{layer}.mlp.Wo", f"{ours}.feed_forward.output"),
            Same("model.final_norm", "encoder.norm"),
            Same("head.dense", "targets.mlm.dense"),
            Same("head.norm", "targets.mlm.norm"),
        ]
        if not config["tie_word_embeddings"]:
            return [*rules, Same("decoder", "targets.mlm.output", vocabulary=True)]
        bias = Same("decoder.bias", "targets.mlm.output.bias", vocabulary=True)
        return [*rules, bias, Copy("decoder.weight", of=word, output=True)]
