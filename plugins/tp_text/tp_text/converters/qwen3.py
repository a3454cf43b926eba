"""Qwen3."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tp_core.interop import parts
from tp_core.interop.keys import mark
from tp_core.interop.rules import Same, WeightRule
from tp_core.modules.encoders.transformer_options import TransformerConfig
from tp_text.converters import common
from tp_text.converters.layer_types import FULL, SLIDING, layer_types, slices
from tp_text.converters.llama import LlamaConverterConfig

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec


class Qwen3ConverterConfig(LlamaConverterConfig):
    """Qwen3 (Yang et al., 2025): LLaMA with norms of queries and keys, optionally with a window in its last layers."""

    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {"Qwen3ForCausalLM": ("lm",), "Qwen3Model": ()}
    defaults: ClassVar[Mapping[str, Any]] = {
        **LlamaConverterConfig.defaults,
        "vocab_size": 151936,
        "intermediate_size": 22016,
        "num_key_value_heads": 32,
        "head_dim": 128,
        "max_position_embeddings": 32768,
        "use_sliding_window": False,
        "sliding_window": 4096,
        "max_window_layers": 28,
        "layer_types": None,
    }
    required: ClassVar[Mapping[str, tuple[Any, ...]]] = {"mlp_bias": (False,)}

    def to_spec(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any]:
        model = super().to_spec(config, architecture)
        transformer = model["encoder"]["transformer"]
        transformer["mixer"]["attention"]["query_key_norm"] = {"rmsnorm": {"eps": config["rms_norm_eps"]}}
        window, kinds = config["sliding_window"], self._kinds(config)
        if SLIDING in kinds:
            narrow = {"mixer": {"attention": {"window": window}}}
            transformer["layers"] = dict.fromkeys(slices(kinds, SLIDING), narrow)
        return model

    @staticmethod
    def _kinds(config: Mapping[str, Any]) -> list[str]:
        """The kind of each layer, as in ``layer_types``."""
        given, count = config["layer_types"], config["num_hidden_layers"]
        narrow = config["use_sliding_window"] and config["sliding_window"] is not None
        if given is None:
            kinds = [SLIDING if number >= config["max_window_layers"] else FULL for number in range(count)]
        else:
            mark(config, "max_window_layers")
            kinds = layer_types(given, count)
        if narrow and SLIDING in kinds:
            return kinds
        # In transformers, these keys have no effect here.
        mark(config, "use_sliding_window", "sliding_window", "max_window_layers")
        return [FULL] * count

    def to_config(self, spec: "Spec", architecture: str) -> dict[str, Any]:
        encoder = parts.encoder(spec, TransformerConfig)
        config = super().to_config(spec, architecture)
        windows = [common.attention(encoder.layer(number)).window for number in range(encoder.num_layers)]
        widths = {window for window in windows if window is not None}
        if len(widths) > 1:
            raise parts.MisfitError(
                [f"layers have windows of {', '.join(map(str, sorted(widths)))}; qwen3 allows one window size"], True
            )
        kinds = [FULL if window is None else SLIDING for window in windows]
        return {
            **{key: value for key, value in config.items() if key != "mlp_bias"},
            "use_sliding_window": bool(widths),
            "sliding_window": next(iter(widths), None),
            "layer_types": kinds,
            "max_window_layers": kinds.index(SLIDING) if widths else encoder.num_layers,
        }

    def weights(self, config: Mapping[str, Any]) -> Sequence[WeightRule]:
        layer, ours = "model.layers.{layer}.self_attn", "encoder.layers.{layer}.mixer"
        norms = [Same(f"{layer}.q_norm", f"{ours}.query_norm"), Same(f"{layer}.k_norm", f"{ours}.key_norm")]
        return [*super().weights(config), *norms]
