"""ALBERT."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tp_core.interop import classifiers
from tp_core.interop.rules import Same, WeightRule, below
from tp_text.converters import common
from tp_text.converters.bert import BertFamilyConfig, output_matrix

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec

_LAYER = "albert.encoder.albert_layer_groups.0.albert_layers.0"


class AlbertConverterConfig(BertFamilyConfig):
    """ALBERT (Lan et al., 2020): all layers share their weights, factorised embeddings, sentence order."""

    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "AlbertForPreTraining": ("mlm", "sp"),
        "AlbertForMaskedLM": ("mlm",),
        "AlbertForSequenceClassification": ("cls",),
        "AlbertForQuestionAnswering": ("qa",),
        "AlbertForTokenClassification": ("token_cls",),
        "AlbertForMultipleChoice": ("choice",),
        "AlbertModel": (),
    }
    prefix: ClassVar[str] = "albert."
    defaults: ClassVar[Mapping[str, Any]] = {
        **BertFamilyConfig.defaults,
        "vocab_size": 30000,
        "embedding_size": 128,
        "hidden_size": 4096,
        "num_attention_heads": 64,
        "intermediate_size": 16384,
        "hidden_act": "gelu_new",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "classifier_dropout_prob": 0.1,
    }
    required: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "position_embedding_type": ("absolute",),
        "num_hidden_groups": (1,),
        "inner_group_num": (1,),
    }
    irrelevant: ClassVar[frozenset[str]] = frozenset(
        # Keys of ALBERT's original code; transformers does not read them.
        ("down_scale_factor", "gap_size", "net_structure_type", "num_memory_blocks", "layers_to_keep")
    )
    head_keys: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "cls": ("classifier_dropout_prob",),
        "choice": ("classifier_dropout_prob",),
    }
    classifier_dropout: ClassVar[str | None] = "classifier_dropout_prob"
    choice_dropout: ClassVar[str | None] = "classifier_dropout_prob"

    def to_spec(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any]:
        model = super().to_spec(config, architecture)
        model["embedding_size"] = config["embedding_size"]
        model["encoder"]["transformer"] |= {"share_layers": True, "embedding_projection": True}
        return model

    def to_config(self, spec: "Spec", architecture: str) -> dict[str, Any]:
        config = super().to_config(spec, architecture)
        return {**config, "embedding_size": common.embedding_size(spec, config["hidden_size"])}

    def processor(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any] | None:
        found = super().processor(config, architecture)
        if found is not None and "bert" in found:
            found["bert"]["sentence_task"] = "order"
        return found

    def weights(self, config: Mapping[str, Any]) -> Sequence[WeightRule]:
        ours = "encoder.layers.0"
        return [
            *self.embeddings(config),
            Same("albert.encoder.embedding_hidden_mapping_in", "encoder.projection"),
            common.projections(
                below(f"{_LAYER}.attention", "query", "key", "value"), ours, config["num_attention_heads"]
            ),
            Same(f"{_LAYER}.attention.dense", f"{ours}.mixer.output"),
            Same(f"{_LAYER}.attention.LayerNorm", f"{ours}.mixer_residual.after"),
            Same(f"{_LAYER}.ffn", f"{ours}.feed_forward.input"),
            Same(f"{_LAYER}.ffn_output", f"{ours}.feed_forward.output"),
            Same(f"{_LAYER}.full_layer_layer_norm", f"{ours}.feed_forward_residual.after"),
            Same("albert.pooler", "targets.sp.dense"),
            *classifiers.weights("classifier", dense="albert.pooler"),
            Same("albert.pooler", "targets.choice.dense"),
            Same("classifier", "targets.choice.classifier"),
            Same("classifier", "targets.token_cls.classifier"),
            Same("qa_outputs", "targets.qa.output"),
            Same("sop_classifier.classifier", "targets.sp.classifier"),
            Same("predictions.dense", "targets.mlm.dense"),
            Same("predictions.LayerNorm", "targets.mlm.norm"),
            *output_matrix(
                "predictions.decoder",
                "predictions.bias",
                "albert.embeddings.word_embeddings.weight",
                config["tie_word_embeddings"],
            ),
        ]
