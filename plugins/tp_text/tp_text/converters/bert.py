"""BERT, and the parts that it shares with its descendants."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tp_core.interop import classifiers, parts
from tp_core.interop.activations import activation, activation_name
from tp_core.interop.class_names import label_names
from tp_core.interop.rules import Copy, Ignored, Same, WeightRule, WithConstant, below
from tp_core.modules.embeddings.position_options import LearnedPositionConfig
from tp_core.modules.encoders.transformer_options import TransformerConfig
from tp_core.modules.targets.multiple_choice_options import MultipleChoiceConfig
from tp_core.modules.targets.pooled_options import PooledTargetConfig
from tp_core.modules.targets.token_classification_options import TokenClassificationConfig
from tp_core.options.converter import ConverterConfig
from tp_text.converters import common
from tp_text.embeddings.segment_options import SegmentConfig
from tp_text.targets.mlm_options import MaskedLanguageModelConfig

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec


class BertFamilyConfig(ConverterConfig):
    """Shared parts of BERT, RoBERTa and their descendants: layers, embeddings and their options."""

    defaults: ClassVar[Mapping[str, Any]] = {
        "vocab_size": 30522,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "initializer_range": 0.02,
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
        "tie_word_embeddings": True,
    }
    required: ClassVar[Mapping[str, tuple[Any, ...]]] = {"position_embedding_type": ("absolute",)}

    head_variants: ClassVar[Mapping[str, tuple[str, ...]]] = classifiers.VARIANTS
    #: Key of the dropout before the classifier. If this is None, or the key is null, the layers' dropout is used.
    classifier_dropout: ClassVar[str | None] = "classifier_dropout"
    #: The same for the score of multiple choice.
    choice_dropout: ClassVar[str | None] = "classifier_dropout"

    def offset(self, config: Mapping[str, Any]) -> int:
        """Row of the first position in the position table."""
        return 0

    def targets(self, config: Mapping[str, Any], architecture: str) -> list[Any]:
        """The targets that stand for the architecture's heads."""
        inner = activation(config, "hidden_act")
        options: dict[str, dict[str, Any]] = {
            "mlm": {"activation": inner, "tie": config["tie_word_embeddings"]},
            "sp": {},
            "qa": {},
        }
        heads = self.architectures[architecture]
        if "cls" in heads:
            dropout = self._dropout(config, self.classifier_dropout)
            return [classifiers.target(config, pooling="first", dropout=dropout)]
        if "choice" in heads:
            options["choice"] = {"pooling": "first", "dropout": self._dropout(config, self.choice_dropout)}
        if "token_cls" in heads:
            dropout = self._dropout(config, self.classifier_dropout)
            options["token_cls"] = {"num_labels": classifiers.class_count(config), "dropout": dropout}
        return [{head: options[head]} for head in heads]

    @staticmethod
    def _dropout(config: Mapping[str, Any], key: str | None) -> float:
        own = config.get(key) if key else None
        dropout: float = config["hidden_dropout_prob"] if own is None else own
        return dropout

    def layers(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Options of the encoder."""
        return {
            "num_layers": config["num_hidden_layers"],
            "feed_forward_size": config["intermediate_size"],
            "feed_forward": {"dense": {"activation": activation(config, "hidden_act")}},
            "dropout": config["hidden_dropout_prob"],
        }

    def mixing(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Options of the encoder that concern attention."""
        return {
            "num_heads": config["num_attention_heads"],
            "mixer": {"attention": {"dropout": config["attention_probs_dropout_prob"]}},
        }

    def mixing_keys(self, encoder: TransformerConfig) -> dict[str, Any]:
        """Keys of the config that concern attention."""
        attention = common.attention(encoder)
        return {"num_attention_heads": attention.num_heads, "attention_probs_dropout_prob": attention.dropout}

    def to_spec(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any]:
        offset, segments = self.offset(config), config["type_vocab_size"]
        modules: list[Any] = [
            "word",
            {"pos": {"max_length": config["max_position_embeddings"] - offset, "offset": offset}},
        ]
        if segments > 1:  # a single segment vector is added to the position vectors instead
            modules.append({"seg": {"num_segments": segments}})
        return {
            "hidden_size": config["hidden_size"],
            "vocab_size": config["vocab_size"],
            "norm": {"layernorm": {"eps": config["layer_norm_eps"]}},
            "init_std": config["initializer_range"],
            "embedding": {"modules": modules, "dropout": config["hidden_dropout_prob"]},
            "encoder": {"transformer": {**self.layers(config), **self.mixing(config)}},
            "target": self.targets(config, architecture),
        }

    def to_config(self, spec: "Spec", architecture: str) -> dict[str, Any]:
        encoder = parts.encoder(spec, TransformerConfig)
        feed_forward = common.feed_forward(encoder)
        positions = parts.embedding(spec, LearnedPositionConfig)
        segments = parts.optional_embedding(spec, SegmentConfig)
        mlm, head = parts.target(spec, MaskedLanguageModelConfig), parts.target(spec, PooledTargetConfig)
        choice, tokens = parts.target(spec, MultipleChoiceConfig), parts.target(spec, TokenClassificationConfig)
        return {
            "vocab_size": spec.model.vocab_size,
            "hidden_size": encoder.hidden_size,
            "num_hidden_layers": encoder.num_layers,
            **self.mixing_keys(encoder),
            "intermediate_size": feed_forward.inner_size(encoder.hidden_size),
            "hidden_act": activation_name(feed_forward.activation),
            "hidden_dropout_prob": encoder.dropout,
            "max_position_embeddings": common.table_rows(positions),
            "type_vocab_size": segments.num_segments if segments is not None else 1,
            "initializer_range": encoder.init_std,
            "layer_norm_eps": common.norm_eps(encoder),
            "tie_word_embeddings": mlm is None or mlm.tie,
            **(self.classifier(spec, head) if head is not None else {}),
            **({self.choice_dropout: choice.dropout} if choice is not None and self.choice_dropout else {}),
            **(self.token_classifier(spec, tokens) if tokens is not None else {}),
        }

    def classifier(self, spec: "Spec", head: PooledTargetConfig) -> dict[str, Any]:
        """Keys of the config that concern a classifier."""
        dropout = {self.classifier_dropout: head.dropout} if self.classifier_dropout else {}
        return {**dropout, **classifiers.keys(spec)}

    def token_classifier(self, spec: "Spec", head: TokenClassificationConfig) -> dict[str, Any]:
        """Keys of the config that concern a classifier of tokens."""
        dropout = {self.classifier_dropout: head.dropout} if self.classifier_dropout else {}
        return {**dropout, **label_names(spec, head.num_labels)}

    def processor(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any] | None:
        heads = self.architectures[architecture]
        length = min(config["max_position_embeddings"] - self.offset(config), 512)
        if "cls" in heads:
            return common.classifier_processor(config, length)
        if "token_cls" in heads:
            return common.tagging_processor(config, length)
        name = next((head for head in ("choice", "qa") if head in heads), "bert" if "sp" in heads else "mlm")
        return {name: {"max_length": length}}

    def embeddings(self, config: Mapping[str, Any]) -> list[WeightRule]:
        """Conversion rules of the embeddings."""
        theirs, ours = f"{self.prefix}embeddings", "embedding.parts"
        tables = (f"{theirs}.position_embeddings.weight", f"{theirs}.token_type_embeddings.weight")
        rules: list[WeightRule] = [
            Same(f"{theirs}.word_embeddings.weight", f"{ours}.word.table.weight", vocabulary=True),
            Same(f"{theirs}.LayerNorm", "embedding.norm"),
            Ignored(f"{theirs}.position_ids"),
            Ignored(f"{theirs}.token_type_ids"),
        ]
        if config["type_vocab_size"] == 1:
            return [*rules, WithConstant(tables, f"{ours}.pos.table.weight")]
        return [*rules, Same(tables[0], f"{ours}.pos.table.weight"), Same(tables[1], f"{ours}.seg.table.weight")]

    def body(self, config: Mapping[str, Any]) -> list[WeightRule]:
        """Conversion rules of everything except the heads."""
        layer, ours = f"{self.prefix}encoder.layer.{{layer}}", "encoder.layers.{layer}"
        projections = below(f"{layer}.attention.self", "query", "key", "value")
        return [
            *self.embeddings(config),
            common.projections(projections, ours, config["num_attention_heads"]),
            Same(f"{layer}.attention.output.dense", f"{ours}.mixer.output"),
            Same(f"{layer}.attention.output.LayerNorm", f"{ours}.mixer_residual.after"),
            Same(f"{layer}.intermediate.dense", f"{ours}.feed_forward.input"),
            Same(f"{layer}.output.dense", f"{ours}.feed_forward.output"),
            Same(f"{layer}.output.LayerNorm", f"{ours}.feed_forward_residual.after"),
        ]


def output_matrix(decoder: str, bias: str, word: str, tied: bool) -> list[WeightRule]:
    """Conversion rules of an output matrix whose bias is stored twice: in the matrix and as a separate tensor.

    Args:
        decoder: name of the matrix in the checkpoint.
        bias: name of the separate bias.
        word: name of the word embedding, which may be tied to the matrix.
    """
    ours = "targets.mlm.output"
    if tied:
        return [
            Same(bias, f"{ours}.bias", vocabulary=True),
            Copy(f"{decoder}.bias", of=bias),
            Copy(f"{decoder}.weight", of=word, output=True),
        ]
    # If untied, transformers adds the matrix's own bias and ignores the separate one.
    return [
        Same(decoder, ours, vocabulary=True),
        Copy(bias, of=f"{decoder}.bias", written=True, checked=False),
    ]


class BertConverterConfig(BertFamilyConfig):
    """BERT (Devlin et al., 2019)."""

    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "BertForPreTraining": ("mlm", "sp"),
        "BertForMaskedLM": ("mlm",),
        "BertForNextSentencePrediction": ("sp",),
        "BertForSequenceClassification": ("cls",),
        "BertForQuestionAnswering": ("qa",),
        "BertForTokenClassification": ("token_cls",),
        "BertForMultipleChoice": ("choice",),
        "BertModel": (),
    }
    prefix: ClassVar[str] = "bert."
    irrelevant: ClassVar[frozenset[str]] = frozenset(
        {
            # Keys of BERT's original code; transformers does not read them.
            *("directionality", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers"),
            *("pooler_size_per_head", "pooler_type"),
        }
    )
    head_keys: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "cls": ("classifier_dropout",),
        "choice": ("classifier_dropout",),
    }

    def weights(self, config: Mapping[str, Any]) -> Sequence[WeightRule]:
        return [
            *self.body(config),
            Same("bert.pooler.dense", "targets.sp.dense"),
            *classifiers.weights("classifier", dense="bert.pooler.dense"),
            Same("bert.pooler.dense", "targets.choice.dense"),
            Same("classifier", "targets.choice.classifier"),
            Same("classifier", "targets.token_cls.classifier"),
            Same("qa_outputs", "targets.qa.output"),
            Same("cls.seq_relationship", "targets.sp.classifier"),
            Same("cls.predictions.transform.dense", "targets.mlm.dense"),
            Same("cls.predictions.transform.LayerNorm", "targets.mlm.norm"),
            *output_matrix(
                "cls.predictions.decoder",
                "cls.predictions.bias",
                "bert.embeddings.word_embeddings.weight",
                config["tie_word_embeddings"],
            ),
        ]
