"""Gemma 2, and the text model of Gemma 3."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tp_core.errors import TPError
from tp_core.interop import parts
from tp_core.interop.activations import activation, activation_name
from tp_core.interop.rules import Same, WeightRule
from tp_core.modules.encoders.transformer_options import TransformerConfig
from tp_core.modules.feed_forwards.options import GatedConfig
from tp_core.modules.mixers.attention_options import AttentionConfig
from tp_core.modules.norms.options import RMSNormConfig
from tp_core.modules.positions.rotary_options import RotaryConfig
from tp_core.options.converter import ConverterConfig
from tp_text.converters import common
from tp_text.converters.layer_types import FULL, SLIDING, layer_types, slices
from tp_text.targets.lm_options import LanguageModelConfig

if TYPE_CHECKING:
    from tp_core.interop.keys import Keys
    from tp_core.spec.schema import Spec


class Gemma2ConverterConfig(ConverterConfig):
    """Gemma 2: norms before and after sub-layers, soft caps, a window in every other layer (Gemma Team, 2024)."""

    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {"Gemma2ForCausalLM": ("lm",), "Gemma2Model": ()}
    prefix: ClassVar[str] = "model."
    defaults: ClassVar[Mapping[str, Any]] = {
        "vocab_size": 256000,
        "hidden_size": 2304,
        "intermediate_size": 9216,
        "num_hidden_layers": 26,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "hidden_activation": "gelu_pytorch_tanh",
        "max_position_embeddings": 8192,
        "initializer_range": 0.02,
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": True,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "query_pre_attn_scalar": 256,
        "sliding_window": 4096,
        "layer_types": None,
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0,
    }
    required: ClassVar[Mapping[str, tuple[Any, ...]]] = {"use_bidirectional_attention": (None, False)}
    irrelevant: ClassVar[frozenset[str]] = common.CAUSAL_IRRELEVANT | {
        "cache_implementation",  # same result; only the cache differs
        # in configs of published models; transformers does not read them
        *("hidden_act", "sliding_window_size", "_sliding_window_pattern"),
    }
    head_keys: ClassVar[Mapping[str, tuple[str, ...]]] = {"lm": ("final_logit_softcapping",)}

    def complete(self, config: "Keys") -> Mapping[str, Any]:
        if config["layer_types"] is not None:
            config.mark("sliding_window_pattern")
            return config
        period, count = self.period(config), config["num_hidden_layers"]
        return config | {"layer_types": [SLIDING if (number + 1) % period else FULL for number in range(count)]}

    def period(self, config: "Keys") -> int:
        """Distance, in layers, between one layer with global attention and the next."""
        return 2

    def rotary(self, config: Mapping[str, Any], kind: str) -> dict[str, Any]:
        """Rotary positions of one kind of layers, as in a spec."""
        return parts.rotary(config)

    def attention(self, config: Mapping[str, Any], norm: Mapping[str, Any]) -> dict[str, Any]:
        """Options of attention that only one of the versions has."""
        return {"soft_cap": config["attn_logit_softcapping"]}

    def to_spec(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any]:
        kinds = layer_types(config["layer_types"], config["num_hidden_layers"])
        norm = {"rmsnorm": {"eps": config["rms_norm_eps"], "offset": True}}
        scaled_for = config["query_pre_attn_scalar"]
        mixers = {
            kind: {"window": window, "positions": self.rotary(config, kind)}
            for kind, window in ((SLIDING, config["sliding_window"]), (FULL, None))
        }
        usual, other = (SLIDING, FULL) if SLIDING in kinds else (FULL, SLIDING)
        if usual == SLIDING and config["sliding_window"] is None:
            raise TPError(f"config.json: 'sliding_window' is null, and 'layer_types' has layers of {SLIDING}")
        changes = {option: value for option, value in mixers[other].items() if value != mixers[usual][option]}
        differing = {each: {"mixer": {"attention": changes}} for each in slices(kinds, other)} if changes else {}
        return {
            "hidden_size": config["hidden_size"],
            "vocab_size": config["vocab_size"],
            "init_std": config["initializer_range"],
            "dropout": 0.0,
            "embedding": {"modules": [{"word": {"scale": True}}], "norm": "none"},
            "encoder": {
                "transformer": {
                    "num_layers": config["num_hidden_layers"],
                    "num_heads": config["num_attention_heads"],
                    "feed_forward_size": config["intermediate_size"],
                    "mask": "causal",
                    "norm": norm,
                    "norm_position": "both",
                    "mixer": {
                        "attention": {
                            "num_key_value_heads": config["num_key_value_heads"],
                            "head_size": config["head_dim"],
                            "bias": config["attention_bias"],
                            "scale": None if scaled_for == config["head_dim"] else scaled_for**-0.5,
                            "dropout": config["attention_dropout"],
                            **self.attention(config, norm),
                            **mixers[usual],
                        }
                    },
                    "feed_forward": {"gated": {"activation": activation(config, "hidden_activation"), "bias": False}},
                    **({"layers": differing} if differing else {}),
                }
            },
            "target": [
                {head: {"tie": config["tie_word_embeddings"], "soft_cap": config["final_logit_softcapping"]}}
                for head in self.architectures[architecture]
            ],
        }

    def to_config(self, spec: "Spec", architecture: str) -> dict[str, Any]:
        encoder, target = parts.encoder(spec, TransformerConfig), parts.target(spec, LanguageModelConfig)
        layers = [encoder.layer(number) for number in range(encoder.num_layers)]
        mixers = [parts.part(layer, "mixer", AttentionConfig) for layer in layers]
        first, feed_forward = mixers[0], parts.part(encoder, "feed_forward", GatedConfig)
        size, activation = encoder.hidden_size, feed_forward.activation
        windows = [mixer.window for mixer in mixers if mixer.window is not None]
        # Layers with other options are detected later: to_spec() of this config would give another spec.
        positions = {
            FULL if mixer.window is None else SLIDING: parts.part(mixer, "positions", RotaryConfig)
            for mixer in reversed(mixers)
        }
        return {
            "vocab_size": spec.model.vocab_size,
            "hidden_size": size,
            "intermediate_size": feed_forward.inner_size(size),
            "num_hidden_layers": encoder.num_layers,
            "num_attention_heads": first.num_heads,
            "num_key_value_heads": first.num_key_value_heads or first.num_heads,
            "head_dim": first.width(size),
            # Of several names of one function, the one that Gemma's files have.
            "hidden_activation": "gelu_pytorch_tanh" if activation == "gelu_tanh" else activation_name(activation),
            "initializer_range": encoder.init_std,
            "rms_norm_eps": parts.part(encoder, "norm", RMSNormConfig).eps,
            "tie_word_embeddings": target is None or target.tie,
            "attention_bias": first.bias,
            "attention_dropout": first.dropout,
            "query_pre_attn_scalar": max(1, round((first.scale or first.width(size) ** -0.5) ** -2)),
            "sliding_window": windows[0] if windows else self.defaults["sliding_window"],
            "layer_types": [FULL if mixer.window is None else SLIDING for mixer in mixers],
            "attn_logit_softcapping": first.soft_cap,
            "final_logit_softcapping": None if target is None else target.soft_cap,
            **self.rope(positions),
        }

    def rope(self, positions: Mapping[str, RotaryConfig]) -> dict[str, Any]:
        """Keys of the config that concern rotary positions.

        Args:
            positions: kind of layers → options of their positions.
        """
        return parts.rotary_keys(next(iter(positions.values())))

    def processor(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any] | None:
        return common.causal_processor(config["max_position_embeddings"], self.architectures[architecture])

    def weights(self, config: Mapping[str, Any]) -> Sequence[WeightRule]:
        norms = {
            "input_layernorm": "mixer_residual.before",
            "post_attention_layernorm": "mixer_residual.update",
            "pre_feedforward_layernorm": "feed_forward_residual.before",
            "post_feedforward_layernorm": "feed_forward_residual.update",
        }
        return common.gated_decoder(config, norms)


class Gemma3TextConverterConfig(Gemma2ConverterConfig):
    """The text model of Gemma 3: norms of queries and keys, windows in five of six layers (Gemma Team, 2025)."""

    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {"Gemma3ForCausalLM": ("lm",), "Gemma3TextModel": ()}
    defaults: ClassVar[Mapping[str, Any]] = {
        **{key: value for key, value in Gemma2ConverterConfig.defaults.items() if key != "attn_logit_softcapping"},
        "vocab_size": 262208,
        "max_position_embeddings": 131072,
        "final_logit_softcapping": None,
    }
    required: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "use_bidirectional_attention": (False, None),
        "attn_logit_softcapping": (None,),  # transformers does not apply it
    }

    def period(self, config: "Keys") -> int:
        return int(config.get("sliding_window_pattern", 6))

    def rotary(self, config: Mapping[str, Any], kind: str) -> dict[str, Any]:
        objects = {f"rope_parameters.{kind}": (config.get("rope_parameters") or {}).get(kind)}
        if kind == SLIDING:
            return _rotary("rope_local_base_freq", config, objects, 10000.0)
        return _rotary("rope_theta", config, objects | {"rope_scaling": config.get("rope_scaling")}, 1e6)

    def attention(self, config: Mapping[str, Any], norm: Mapping[str, Any]) -> dict[str, Any]:
        return {"query_key_norm": norm}

    def to_config(self, spec: "Spec", architecture: str) -> dict[str, Any]:
        config = super().to_config(spec, architecture)
        return {key: value for key, value in config.items() if key != "attn_logit_softcapping"}

    def rope(self, positions: Mapping[str, RotaryConfig]) -> dict[str, Any]:
        found = {SLIDING: RotaryConfig(), FULL: RotaryConfig(theta=1e6), **positions}
        # Other positions, such as rotary_llama3, are detected later: to_spec() of this config would give another spec.
        local, whole = (RotaryConfig(theta=found[k].theta, factor=found[k].factor) for k in (SLIDING, FULL))
        keys = super().rope({FULL: whole})
        inside = {SLIDING: super().rope({SLIDING: local})["rope_parameters"], FULL: keys["rope_parameters"]}
        return {**keys, "rope_local_base_freq": local.theta, "rope_parameters": inside}

    def weights(self, config: Mapping[str, Any]) -> Sequence[WeightRule]:
        theirs, ours = "model.layers.{layer}.self_attn", "encoder.layers.{layer}.mixer"
        norms = [Same(f"{theirs}.{one}_norm", f"{ours}.{other}_norm") for one, other in (("q", "query"), ("k", "key"))]
        return [*super().weights(config), *norms]


def _rotary(key: str, config: Mapping[str, Any], objects: Mapping[str, Any], theta: float) -> dict[str, Any]:
    """Rotary positions of one kind of layers of Gemma 3, as in a spec.

    Args:
        key: key of the config that may give the base of the frequencies.
        objects: name → object of the config that describes the positions; an object may be None.
        theta: default base.

    Raises:
        TPError: specs do not have this type of positions, or two values contradict each other.
    """
    objects = {name: values for name, values in objects.items() if values}
    for name, values in objects.items():
        if values.get("rope_type") not in (None, "default", "linear"):
            raise TPError(f"config.json: '{name}.rope_type' is {values['rope_type']!r}; specs know 'default', 'linear'")
    kind = _agreed("rope_type", objects) or "default"
    # `type` must equal rope_type, because versions of transformers treat it differently.
    for name, values in objects.items():
        if values.get("type") not in (None, kind):
            raise TPError(f"config.json: '{name}.type' is {values['type']!r}, but 'rope_type' is {kind!r}")
        part = values.get("partial_rotary_factor")
        if part not in (None, 1.0):
            raise TPError(
                f"config.json: '{name}.partial_rotary_factor' is {part}; expected 1: Gemma rotates all dimensions"
            )
    base = _agreed("rope_theta", objects, {key: config.get(key)})
    factor = {"factor": float(_agreed("factor", objects))} if kind == "linear" else {}
    return {"rotary": {"theta": theta if base is None else float(base), **factor}}


def _agreed(key: str, objects: Mapping[str, Any], more: Mapping[str, Any] | None = None) -> Any:
    """The common value of a key in several objects; None if no object has it.

    Args:
        more: further values that must agree, by name.

    Raises:
        TPError: the values differ.
    """
    places = {**(more or {}), **{f"{name}.{key}": values.get(key) for name, values in objects.items()}}
    given = {place: value for place, value in places.items() if value is not None}
    found = next(iter(given.values()), None)
    if any(value != found for value in given.values()):
        each = " and ".join(f"'{place}' is {value}" for place, value in given.items())
        raise TPError(f"config.json: {each}, but they must be equal")
    return found
