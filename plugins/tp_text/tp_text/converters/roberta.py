"""RoBERTa and XLM-RoBERTa."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tp_core.interop import classifiers, parts
from tp_core.interop.rules import Same, WeightRule
from tp_core.modules.embeddings.position_options import LearnedPositionConfig
from tp_text.converters.bert import BertFamilyConfig, output_matrix

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec


class RobertaConverterConfig(BertFamilyConfig):
    """RoBERTa (Liu et al., 2019): BERT without segments; the first position is the padding id plus one."""

    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "RobertaForMaskedLM": ("mlm",),
        "RobertaForSequenceClassification": ("cls",),
        "RobertaForQuestionAnswering": ("qa",),
        "RobertaForTokenClassification": ("token_cls",),
        "RobertaForMultipleChoice": ("choice",),
        "RobertaModel": (),
    }
    prefix: ClassVar[str] = "roberta."
    defaults: ClassVar[Mapping[str, Any]] = {**BertFamilyConfig.defaults, "vocab_size": 50265, "pad_token_id": 1}
    head_keys: ClassVar[Mapping[str, tuple[str, ...]]] = {"cls": ("classifier_dropout",)}
    choice_dropout: ClassVar[str | None] = None
    notes: ClassVar[tuple[str, ...]] = (
        "positions are counted from the first token, so padding must be on the right, as tp's processors do it; "
        "transformers counts only tokens that are not padding",
    )

    def offset(self, config: Mapping[str, Any]) -> int:
        return int(config["pad_token_id"]) + 1

    def targets(self, config: Mapping[str, Any], architecture: str) -> list[Any]:
        found = super().targets(config, architecture)
        # The head's activation is always GELU, independent of hidden_act.
        return [{"mlm": {**target["mlm"], "activation": "gelu"}} if "mlm" in target else target for target in found]

    def to_config(self, spec: "Spec", architecture: str) -> dict[str, Any]:
        offset, facts = parts.embedding(spec, LearnedPositionConfig).offset, spec.data.vocabulary
        padding = facts.special.get("pad", offset - 1) if facts is not None else offset - 1
        if offset < 1 or padding != offset - 1:
            number = f", {padding + 1}" if padding >= 0 else ""
            message = f"model.embedding.pos.offset is {offset}; expected the padding id plus one{number}"
            raise parts.MisfitError([message])
        return {**super().to_config(spec, architecture), "pad_token_id": padding}

    def weights(self, config: Mapping[str, Any]) -> Sequence[WeightRule]:
        return [
            *self.body(config),
            *classifiers.weights("classifier.out_proj", dense="classifier.dense"),
            Same("classifier", "targets.token_cls.classifier"),
            Same("qa_outputs", "targets.qa.output"),
            Same("roberta.pooler.dense", "targets.sp.dense"),  # only in the bare model, where it is not used
            Same("roberta.pooler.dense", "targets.choice.dense"),
            Same("classifier", "targets.choice.classifier"),
            Same("lm_head.dense", "targets.mlm.dense"),
            Same("lm_head.layer_norm", "targets.mlm.norm"),
            *output_matrix(
                "lm_head.decoder",
                "lm_head.bias",
                "roberta.embeddings.word_embeddings.weight",
                config["tie_word_embeddings"],
            ),
        ]


class XLMRobertaConverterConfig(RobertaConverterConfig):
    """XLM-RoBERTa (Conneau et al., 2020): RoBERTa for a hundred languages."""

    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {
        f"XLM{name}": targets for name, targets in RobertaConverterConfig.architectures.items()
    }
    defaults: ClassVar[Mapping[str, Any]] = {**RobertaConverterConfig.defaults, "vocab_size": 30522}
