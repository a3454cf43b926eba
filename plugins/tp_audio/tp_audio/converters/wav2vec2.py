"""The converter of wav2vec 2.0, and its base classes, which related models share."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tp_audio.converters.speech_family import SpeechFamilyConfig
from tp_audio.targets.wav2vec2_options import Wav2Vec2TargetConfig
from tp_core.interop import parts
from tp_core.interop.rules import Same, WeightRule

if TYPE_CHECKING:
    from tp_core.interop.keys import Keys
    from tp_core.spec.schema import Spec


class Wav2Vec2FamilyConfig(SpeechFamilyConfig):
    """Base class of models with wav2vec 2.0's quantiser."""

    defaults: ClassVar[Mapping[str, Any]] = {
        **SpeechFamilyConfig.defaults,
        "feat_quantizer_dropout": 0.0,
        "num_codevectors_per_group": 320,
        "num_codevector_groups": 2,
        "contrastive_logits_temperature": 0.1,
        "codevector_dim": 256,
        "proj_codevector_dim": 256,
        "diversity_loss_weight": 0.1,
        "num_negatives": 100,
    }

    def head(self, config: Mapping[str, Any], head: str) -> dict[str, Any]:
        if head == "ctc":
            return super().head(config, head)
        return {
            "latent_size": config["conv_dim"][-1],
            "codebooks": config["num_codevector_groups"],
            "codebook_size": config["num_codevectors_per_group"],
            "code_size": config["codevector_dim"],
            "projection_size": config["proj_codevector_dim"],
            "temperature": config["contrastive_logits_temperature"],
            "diversity_weight": config["diversity_loss_weight"],
            "dropout": config["feat_quantizer_dropout"],
        }

    def to_config(self, spec: "Spec", architecture: str) -> dict[str, Any]:
        config, target = super().to_config(spec, architecture), parts.target(spec, Wav2Vec2TargetConfig)
        if target is None:
            return config
        return config | {
            "num_codevector_groups": target.codebooks,
            "num_codevectors_per_group": target.codebook_size,
            "codevector_dim": target.code_size,
            "proj_codevector_dim": target.projection_size,
            "contrastive_logits_temperature": target.temperature,
            "diversity_loss_weight": target.diversity_weight,
            "feat_quantizer_dropout": target.dropout,
        }

    def weights(self, config: "Keys") -> Sequence[WeightRule]:
        ours = "targets.wav2vec2"
        return [
            *super().weights(config),
            Same("quantizer.codevectors", f"{ours}.quantizer.vectors"),
            Same("quantizer.weight_proj", f"{ours}.quantizer.scores"),
            Same("project_hid", f"{ours}.project_states"),
            Same("project_q", f"{ours}.project_codes"),
        ]


class Wav2Vec2ConverterConfig(Wav2Vec2FamilyConfig):
    """wav2vec 2.0 (Baevski et al., 2020)."""

    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "Wav2Vec2ForPreTraining": ("wav2vec2",),
        "Wav2Vec2ForCTC": ("ctc",),
        "Wav2Vec2Model": (),
    }
    prefix: ClassVar[str] = "wav2vec2."
