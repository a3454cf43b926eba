"""DistilBERT."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tp_core.interop import classifiers, parts
from tp_core.interop.activations import activation, activation_name
from tp_core.interop.class_names import label_names
from tp_core.interop.rules import Copy, Ignored, Same, WeightRule, below
from tp_core.modules.embeddings.position_options import LearnedPositionConfig
from tp_core.modules.encoders.transformer_options import TransformerConfig
from tp_core.modules.targets.multiple_choice_options import MultipleChoiceConfig
from tp_core.modules.targets.pooled_options import PooledTargetConfig
from tp_core.modules.targets.question_answering_options import QuestionAnsweringConfig
from tp_core.modules.targets.token_classification_options import TokenClassificationConfig
from tp_core.options.converter import ConverterConfig
from tp_text.converters import common
from tp_text.targets.mlm_options import MaskedLanguageModelConfig

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec

_EPS = 1e-12  # the config has no key for it


class DistilBertConverterConfig(ConverterConfig):
    """DistilBERT (Sanh et al., 2019): BERT with half the layers and without segments."""

    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "DistilBertForMaskedLM": ("mlm",),
        "DistilBertForSequenceClassification": ("cls",),
        "DistilBertForQuestionAnswering": ("qa",),
        "DistilBertForTokenClassification": ("token_cls",),
        "DistilBertForMultipleChoice": ("choice",),
        "DistilBertModel": (),
    }
    prefix: ClassVar[str] = "distilbert."
    aliases: ClassVar[Mapping[str, str]] = {
        "hidden_size": "dim",
        "num_attention_heads": "n_heads",
        "num_hidden_layers": "n_layers",
    }
    defaults: ClassVar[Mapping[str, Any]] = {
        "vocab_size": 30522,
        "max_position_embeddings": 512,
        "n_layers": 6,
        "n_heads": 12,
        "dim": 768,
        "hidden_dim": 3072,
        "dropout": 0.1,
        "attention_dropout": 0.1,
        "activation": "gelu",
        "initializer_range": 0.02,
        "qa_dropout": 0.1,
        "seq_classif_dropout": 0.2,
        "tie_word_embeddings": True,
    }
    irrelevant: ClassVar[frozenset[str]] = frozenset(
        {
            "sinusoidal_pos_embds",  # only affects initial values; checkpoints have the table
            "tie_weights_",  # key of DistilBERT's original code; transformers does not read it
        }
    )
    head_variants: ClassVar[Mapping[str, tuple[str, ...]]] = classifiers.VARIANTS
    head_keys: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "cls": ("seq_classif_dropout",),
        "choice": ("seq_classif_dropout",),
        "qa": ("qa_dropout",),
    }

    def to_spec(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any]:
        name = activation(config, "activation")
        heads = self.architectures[architecture]
        pooled: dict[str, Any] = {}
        if {"cls", "choice"} & {*heads}:  # the key counts as read only for heads that have it
            pooled = {"pooling": "first", "activation": "relu", "dropout": config["seq_classif_dropout"]}
        targets: list[Any] = []
        if "mlm" in heads:
            targets = [{"mlm": {"activation": name, "tie": config["tie_word_embeddings"]}}]
        elif "cls" in heads:
            targets = [classifiers.target(config, **pooled)]
        elif "choice" in heads:
            targets = [{"choice": pooled}]
        elif "qa" in heads:
            targets = [{"qa": {"dropout": config["qa_dropout"]}}]
        elif "token_cls" in heads:
            targets = [{"token_cls": {"num_labels": classifiers.class_count(config), "dropout": config["dropout"]}}]
        return {
            "hidden_size": config["dim"],
            "vocab_size": config["vocab_size"],
            "norm": {"layernorm": {"eps": _EPS}},
            "init_std": config["initializer_range"],
            "embedding": {
                "modules": ["word", {"pos": {"max_length": config["max_position_embeddings"]}}],
                "dropout": config["dropout"],
            },
            "encoder": {
                "transformer": {
                    "num_layers": config["n_layers"],
                    "num_heads": config["n_heads"],
                    "feed_forward_size": config["hidden_dim"],
                    "mixer": {"attention": {"dropout": config["attention_dropout"]}},
                    "feed_forward": {"dense": {"activation": name}},
                    "dropout": config["dropout"],
                }
            },
            "target": targets,
        }

    def to_config(self, spec: "Spec", architecture: str) -> dict[str, Any]:
        encoder = parts.encoder(spec, TransformerConfig)
        attention, feed_forward = common.attention(encoder), common.feed_forward(encoder)
        mlm, head = parts.target(spec, MaskedLanguageModelConfig), parts.target(spec, PooledTargetConfig)
        qa, choice = parts.target(spec, QuestionAnsweringConfig), parts.target(spec, MultipleChoiceConfig)
        tokens = parts.target(spec, TokenClassificationConfig)
        return {
            "vocab_size": spec.model.vocab_size,
            "max_position_embeddings": common.table_rows(parts.embedding(spec, LearnedPositionConfig)),
            "n_layers": encoder.num_layers,
            "n_heads": attention.num_heads,
            "dim": encoder.hidden_size,
            "hidden_dim": feed_forward.inner_size(encoder.hidden_size),
            "dropout": encoder.dropout,
            "attention_dropout": attention.dropout,
            "activation": activation_name(feed_forward.activation),
            "initializer_range": encoder.init_std,
            "tie_word_embeddings": mlm is None or mlm.tie,
            **({} if head is None else {"seq_classif_dropout": head.dropout, **classifiers.keys(spec)}),
            **({} if qa is None else {"qa_dropout": qa.dropout}),
            **({} if choice is None else {"seq_classif_dropout": choice.dropout}),
            **({} if tokens is None else label_names(spec, tokens.num_labels)),
        }

    def processor(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any] | None:
        length, heads = config["max_position_embeddings"], self.architectures[architecture]
        if "cls" in heads:
            return common.classifier_processor(config, length)
        if "token_cls" in heads:
            return common.tagging_processor(config, length)
        return {next((head for head in ("choice", "qa") if head in heads), "mlm"): {"max_length": length}}

    def weights(self, config: Mapping[str, Any]) -> Sequence[WeightRule]:
        embeddings, layer = "distilbert.embeddings", "distilbert.transformer.layer.{layer}"
        ours, word = "encoder.layers.{layer}", f"{embeddings}.word_embeddings.weight"
        output: list[WeightRule] = [Same("vocab_projector", "targets.mlm.output", vocabulary=True)]
        if config["tie_word_embeddings"]:
            output.append(Copy("vocab_projector.weight", of=word, output=True))
        return [
            Same(word, "embedding.parts.word.table.weight", vocabulary=True),
            Same(f"{embeddings}.position_embeddings.weight", "embedding.parts.pos.table.weight"),
            Same(f"{embeddings}.LayerNorm", "embedding.norm"),
            Ignored(f"{embeddings}.position_ids"),
            common.projections(below(f"{layer}.attention", "q_lin", "k_lin", "v_lin"), ours, config["n_heads"]),
            Same(f"{layer}.attention.out_lin", f"{ours}.mixer.output"),
            Same(f"{layer}.sa_layer_norm", f"{ours}.mixer_residual.after"),
            Same(f"{layer}.ffn.lin1", f"{ours}.feed_forward.input"),
            Same(f"{layer}.ffn.lin2", f"{ours}.feed_forward.output"),
            Same(f"{layer}.output_layer_norm", f"{ours}.feed_forward_residual.after"),
            Same("vocab_transform", "targets.mlm.dense"),
            Same("vocab_layer_norm", "targets.mlm.norm"),
            *classifiers.weights("classifier", dense="pre_classifier"),
            Same("pre_classifier", "targets.choice.dense"),
            Same("classifier", "targets.choice.classifier"),
            Same("classifier", "targets.token_cls.classifier"),
            Same("qa_outputs", "targets.qa.output"),
            *output,
        ]
