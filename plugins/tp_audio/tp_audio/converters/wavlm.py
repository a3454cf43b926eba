"""WavLM."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from tp_audio.converters.wav2vec2 import SpeechFamilyConfig
from tp_audio.encoders.wavlm_options import WavLMEncoderConfig
from tp_core.interop import parts
from tp_core.interop.rules import Entry, Same
from tp_core.modules.layers.transformer_options import TransformerOptions

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec


class WavLMConverterConfig(SpeechFamilyConfig):
    """WavLM (Chen et al., 2022). transformers has no head for its pre-training."""

    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {"WavLMForCTC": ("ctc",), "WavLMModel": ()}
    prefix: ClassVar[str] = "wavlm."
    defaults: ClassVar[Mapping[str, Any]] = {
        **SpeechFamilyConfig.defaults,
        "ctc_loss_reduction": "mean",
        "num_buckets": 320,
        "max_bucket_distance": 800,
    }
    irrelevant: ClassVar[frozenset[str]] = SpeechFamilyConfig.irrelevant | {
        # Of a head for pre-training, which transformers does not have.
        *("num_codevectors_per_group", "num_codevector_groups", "contrastive_logits_temperature", "num_negatives"),
        *("codevector_dim", "proj_codevector_dim", "diversity_loss_weight", "num_ctc_classes"),
        "replace_prob",  # of the program that trained WavLM
    }

    def encoder(self, config: Mapping[str, Any]) -> dict[str, Any]:
        buckets = {"relative_buckets": config["num_buckets"], "relative_max_distance": config["max_bucket_distance"]}
        return {"wavlm": {**self.layers(config), **buckets}}

    def options(self, spec: "Spec") -> tuple[int, TransformerOptions]:
        found = parts.encoder(spec, WavLMEncoderConfig)
        return found.hidden_size, found

    def encoder_config(self, spec: "Spec") -> dict[str, Any]:
        _, encoder = self.options(spec)
        buckets = {"num_buckets": encoder.relative_buckets, "max_bucket_distance": encoder.relative_max_distance}
        return super().encoder_config(spec) | buckets

    def body(self, config: Mapping[str, Any]) -> list[Entry]:
        layer, ours = "wavlm.encoder.layers.{layer}.attention", "encoder.layers.{layer}.attention"
        return [
            *super().body(config),
            Same("wavlm.encoder.layers.0.attention.rel_attn_embed.weight", "encoder.bias.bias.weight"),
            Same(f"{layer}.gru_rel_pos_linear", f"{ours}.gate.projection"),
            Same(f"{layer}.gru_rel_pos_const", f"{ours}.gate.scale"),
        ]
