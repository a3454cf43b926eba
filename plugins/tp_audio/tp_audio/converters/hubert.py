"""The converter of HuBERT."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from tp_audio.converters.speech_family import SpeechFamilyConfig
from tp_audio.embeddings.waveform_options import WaveformConfig
from tp_core.interop import parts

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec


class HubertConverterConfig(SpeechFamilyConfig):
    """HuBERT (Hsu et al., 2021), without a pre-training head, which transformers lacks."""

    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {"HubertForCTC": ("ctc",), "HubertModel": ()}
    prefix: ClassVar[str] = "hubert."
    defaults: ClassVar[Mapping[str, Any]] = {**SpeechFamilyConfig.defaults, "feat_proj_layer_norm": True}
    required: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        **SpeechFamilyConfig.required,
        "conv_pos_batch_norm": (False,),
    }

    def to_config(self, spec: "Spec", architecture: str) -> dict[str, Any]:
        norm = parts.embedding(spec, WaveformConfig).projection_norm
        return super().to_config(spec, architecture) | {"feat_proj_layer_norm": norm}
