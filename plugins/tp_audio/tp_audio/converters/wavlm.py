"""The converter of WavLM."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from tp_audio.converters.speech_family import SpeechFamilyConfig
from tp_audio.positions.options import GatedRelativeConfig
from tp_core.interop import parts
from tp_core.interop.rules import Same, WeightRule
from tp_core.modules.encoders.transformer_options import TransformerConfig
from tp_core.modules.mixers.attention_options import AttentionConfig

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec


class WavLMConverterConfig(SpeechFamilyConfig):
    """WavLM (Chen et al., 2022), without a pre-training head, which transformers lacks."""

    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {"WavLMForCTC": ("ctc",), "WavLMModel": ()}
    prefix: ClassVar[str] = "wavlm."
    defaults: ClassVar[Mapping[str, Any]] = {
        **SpeechFamilyConfig.defaults,
        "ctc_loss_reduction": "mean",
        "num_buckets": 320,
        "max_bucket_distance": 800,
    }
    irrelevant: ClassVar[frozenset[str]] = SpeechFamilyConfig.irrelevant | {
        # For a pre-training head that transformers does not have.
        *("num_codevectors_per_group", "num_codevector_groups", "contrastive_logits_temperature", "num_negatives"),
        *("codevector_dim", "proj_codevector_dim", "diversity_loss_weight", "num_ctc_classes"),
        "replace_prob",  # for the program that trained WavLM
    }

    def attention(self, config: Mapping[str, Any]) -> dict[str, Any]:
        positions = {"buckets": config["num_buckets"], "max_distance": config["max_bucket_distance"]}
        return super().attention(config) | {"positions": {"gated_relative": positions}}

    def encoder_config(self, spec: "Spec") -> dict[str, Any]:
        attention = parts.part(parts.encoder(spec, TransformerConfig), "mixer", AttentionConfig)
        positions = parts.part(attention, "positions", GatedRelativeConfig)
        buckets = {"num_buckets": positions.buckets, "max_bucket_distance": positions.max_distance}
        return super().encoder_config(spec) | buckets

    def body(self, config: Mapping[str, Any]) -> list[WeightRule]:
        layer, ours = "wavlm.encoder.layers.{layer}.attention", "encoder.layers.{layer}.mixer.positions"
        return [
            *super().body(config),
            Same("wavlm.encoder.layers.0.attention.rel_attn_embed.weight", "encoder.shared.0.bias.weight"),
            Same(f"{layer}.gru_rel_pos_linear", f"{ours}.projection"),
            Same(f"{layer}.gru_rel_pos_const", f"{ours}.scale"),
        ]
