"""FNet."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tp_core.interop import classifiers, parts
from tp_core.interop.rules import Computed, Ignored, Same, WeightRule
from tp_core.modules.encoders.transformer_options import TransformerConfig
from tp_core.modules.mixers.fourier_options import FourierConfig
from tp_text.converters.bert import BertFamilyConfig, output_matrix

if TYPE_CHECKING:
    from torch import Tensor


#: Values of ``architectures`` whose heads do not use the pooler.
_UNPOOLED = (["FNetForMaskedLM"], ["FNetForQuestionAnswering"], ["FNetForTokenClassification"])


class FNetConverterConfig(BertFamilyConfig):
    """FNet (Lee-Thorp et al., 2021): BERT with Fourier transforms in place of attention."""

    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "FNetForPreTraining": ("mlm", "sp"),
        "FNetForMaskedLM": ("mlm",),
        "FNetForNextSentencePrediction": ("sp",),
        "FNetForSequenceClassification": ("cls",),
        "FNetForQuestionAnswering": ("qa",),
        "FNetForTokenClassification": ("token_cls",),
        "FNetForMultipleChoice": ("choice",),
        "FNetModel": (),
    }
    prefix: ClassVar[str] = "fnet."
    defaults: ClassVar[Mapping[str, Any]] = {
        **{key: value for key, value in BertFamilyConfig.defaults.items() if "attention" not in key},
        "vocab_size": 32000,
        "hidden_act": "gelu_new",
        "type_vocab_size": 4,
        "pad_token_id": 3,
    }
    required: ClassVar[Mapping[str, tuple[Any, ...]]] = {}
    irrelevant: ClassVar[frozenset[str]] = frozenset(
        {
            *("use_tpu_fourier_optimizations", "tpu_short_seq_length"),  # same result, computed with matrix products
            *(
                "actual_seq_length",
                "use_fft",
                "use_latest",
            ),  # in configs of published models; transformers does not read them
        }
    )
    classifier_dropout: ClassVar[str | None] = None
    choice_dropout: ClassVar[str | None] = None
    notes: ClassVar[tuple[str, ...]] = (
        "as in transformers, the Fourier transforms include padding, so the states of a text depend on the amount of "
        "padding (padding: true, of the mixer)",
    )

    def mixing(self, config: Mapping[str, Any]) -> dict[str, Any]:
        return {"mixer": {"fourier": {"padding": True}}, "embedding_projection": True}

    def mixing_keys(self, encoder: TransformerConfig) -> dict[str, Any]:
        parts.part(encoder, "mixer", FourierConfig)
        return {}

    @staticmethod
    def _unused_pooler(size: int) -> list[WeightRule]:
        """Conversion rules of the pooler that some models of transformers have but do not use."""

        def zeros(*shape: int) -> "Tensor":
            import torch

            return torch.zeros(shape)

        name = "fnet.pooler.dense"
        return [
            Computed(f"{name}.weight", (size, size), lambda: zeros(size, size), checked=False),
            Computed(f"{name}.bias", (size,), lambda: zeros(size), checked=False),
        ]

    def weights(self, config: Mapping[str, Any]) -> Sequence[WeightRule]:
        layer, ours = "fnet.encoder.layer.{layer}", "encoder.layers.{layer}"
        return [
            *self.embeddings(config),
            Same("fnet.embeddings.projection", "encoder.projection"),
            Same(f"{layer}.fourier.output.LayerNorm", f"{ours}.mixer_residual.after"),
            Same(f"{layer}.intermediate.dense", f"{ours}.feed_forward.input"),
            Same(f"{layer}.output.dense", f"{ours}.feed_forward.output"),
            Same(f"{layer}.output.LayerNorm", f"{ours}.feed_forward_residual.after"),
            Ignored(f"{layer}.fourier.self.dft_mat_hidden"),
            Ignored(f"{layer}.fourier.self.dft_mat_seq"),
            Same("fnet.pooler.dense", "targets.sp.dense"),
            *classifiers.weights("classifier", dense="fnet.pooler.dense"),
            Same("fnet.pooler.dense", "targets.choice.dense"),
            Same("classifier", "targets.choice.classifier"),
            Same("classifier", "targets.token_cls.classifier"),
            Same("qa_outputs", "targets.qa.output"),
            Same("cls.seq_relationship", "targets.sp.classifier"),
            Same("cls.predictions.transform.dense", "targets.mlm.dense"),
            Same("cls.predictions.transform.LayerNorm", "targets.mlm.norm"),
            *(self._unused_pooler(config["hidden_size"]) if config.get("architectures") in _UNPOOLED else ()),
            *output_matrix(
                "cls.predictions.decoder",
                "cls.predictions.bias",
                "fnet.embeddings.word_embeddings.weight",
                config["tie_word_embeddings"],
            ),
        ]
