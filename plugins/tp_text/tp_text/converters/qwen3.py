"""Qwen3."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tp_core.errors import TPError
from tp_core.interop import parts
from tp_core.interop.keys import mark
from tp_core.interop.rules import Entry, Same
from tp_core.modules.encoders.transformer_options import TransformerConfig
from tp_text.converters import common
from tp_text.converters.llama import LlamaConverterConfig

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec

#: Kinds of layers as transformers names them.
FULL, SLIDING = "full_attention", "sliding_attention"


def runs(kinds: Sequence[str], kind: str) -> list[tuple[int, int]]:
    """The first and last numbers of the layers of a kind that stand one after the other."""
    edges = [n for n in range(len(kinds) + 1) if (kinds[n - 1 : n] == [kind]) != (kinds[n : n + 1] == [kind])]
    return [(start, end) for start, end in zip(edges[::2], edges[1::2])]


class Qwen3ConverterConfig(LlamaConverterConfig):
    """Qwen3 (Yang et al., 2025): LLaMA with norms of queries and keys, and a window in its last layers if any."""

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
            transformer["layers"] = {f"{start}:{end}": narrow for start, end in runs(kinds, SLIDING)}
        return model

    @staticmethod
    def _kinds(config: Mapping[str, Any]) -> list[str]:
        """The kind of each layer, as ``layer_types`` has them."""
        given, count = config["layer_types"], config["num_hidden_layers"]
        narrow = config["use_sliding_window"] and config["sliding_window"] is not None
        if given is None:
            kinds = [SLIDING if number >= config["max_window_layers"] else FULL for number in range(count)]
        else:
            mark(config, "max_window_layers")
            kinds = list(given)
        for kind in {*kinds} - {SLIDING, FULL}:
            raise TPError(f"config.json: 'layer_types' has '{kind}'; specs have {FULL} and {SLIDING}")
        if len(kinds) != count:
            raise TPError(f"config.json: 'layer_types' names {len(kinds)} layers, and 'num_hidden_layers' is {count}")
        if narrow and SLIDING in kinds:
            return kinds
        mark(config, "use_sliding_window", "sliding_window", "max_window_layers")  # as transformers reads them
        return [FULL] * count

    def to_config(self, spec: "Spec", architecture: str) -> dict[str, Any]:
        encoder = parts.encoder(spec, TransformerConfig)
        config = super().to_config(spec, architecture)
        windows = [common.attention(encoder.layer(number)).window for number in range(encoder.num_layers)]
        widths = {window for window in windows if window is not None}
        if len(widths) > 1:
            raise parts.Unfit([f"layers have windows of {', '.join(map(str, sorted(widths)))}; qwen3 has one"], True)
        kinds = [FULL if window is None else SLIDING for window in windows]
        return {
            **{key: value for key, value in config.items() if key != "mlp_bias"},
            "use_sliding_window": bool(widths),
            "sliding_window": next(iter(widths), None),
            "layer_types": kinds,
            "max_window_layers": kinds.index(SLIDING) if widths else encoder.num_layers,
        }

    def weights(self, config: Mapping[str, Any]) -> Sequence[Entry]:
        layer, ours = "model.layers.{layer}.self_attn", "encoder.layers.{layer}.mixer"
        norms = [Same(f"{layer}.q_norm", f"{ours}.query_norm"), Same(f"{layer}.k_norm", f"{ours}.key_norm")]
        return [*super().weights(config), *norms]
