"""Converter of VisualBERT."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from tp_core.interop import parts
from tp_core.interop.activations import activation
from tp_core.interop.rules import Rule, Same, Shape, WeightRule
from tp_crossmodal.embeddings.region_options import RegionConfig
from tp_text.converters.bert import BertFamilyConfig, output_matrix

if TYPE_CHECKING:
    from torch import Tensor

    from tp_core.spec.schema import Spec


@dataclass(frozen=True)
class FirstAndSecond(Rule):
    """A vector that is added to every region: row 0 of the pictures' positions plus row 1 of their segments.

    Transformers reads the other rows only if the caller passes segments. When written, all positions are zero, and all
    segments are the vector.

    Attributes:
        rows: number of rows of the two tables.
    """

    rows: tuple[int, int] = (512, 2)

    def shapes(self, ours: Shape) -> list[Shape]:
        return [(count, *ours) for count in self.rows]

    def join(self, theirs: "list[Tensor]") -> "Tensor":
        positions, segments = theirs
        return (positions[0].double() + segments[1].double()).to(segments.dtype)

    def split(self, ours: "Tensor") -> "list[Tensor]":
        return [ours.new_zeros(self.rows[0], *ours.shape), ours.expand(self.rows[1], -1).clone()]


class OtherWayRound(Rule):
    """A classifier with swapped rows: class 0 of transformers, a text that describes the picture, is our class 1."""

    def shapes(self, ours: Shape) -> list[Shape]:
        return [ours]

    def join(self, theirs: "list[Tensor]") -> "Tensor":
        return theirs[0].flip(0)

    def split(self, ours: "Tensor") -> "list[Tensor]":
        return [ours.flip(0)]


class VisualBertConverterConfig(BertFamilyConfig):
    """VisualBERT (Li et al., 2019): BERT with features of regions after the words."""

    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "VisualBertForPreTraining": ("mlm", "itm"),
        "VisualBertModel": (),
    }
    prefix: ClassVar[str] = "visual_bert."
    defaults: ClassVar[Mapping[str, Any]] = {
        **BertFamilyConfig.defaults,
        "visual_embedding_dim": 512,
        "pad_token_id": 1,
    }
    required: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        **BertFamilyConfig.required,
        "bypass_transformer": (False,),
    }
    irrelevant: ClassVar[frozenset[str]] = frozenset({"special_visual_initialize"})  # only for initial values
    classifier_dropout: ClassVar[str | None] = None
    notes: ClassVar[tuple[str, ...]] = (
        "the class of a text with its own picture is 1; in transformers, it is 0 (sentence_image_labels)",
    )

    def targets(self, config: Mapping[str, Any], architecture: str) -> list[Any]:
        mlm = {
            "activation": activation(config, "hidden_act"),
            "norm": {"layernorm": {"eps": config["layer_norm_eps"]}},
            "tie": config["tie_word_embeddings"],
        }
        return [{"mlm": mlm}, "itm"] if self.architectures[architecture] else []

    def to_spec(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any]:
        spec = super().to_spec(config, architecture)
        region = {
            "size": config["visual_embedding_dim"],
            "segment": True,
            "text_length": config["max_position_embeddings"],
        }
        spec["embedding"]["modules"].append({"region": region})
        return spec

    def to_config(self, spec: "Spec", architecture: str) -> dict[str, Any]:
        region = parts.embedding(spec, RegionConfig)
        config = super().to_config(spec, architecture)
        special = {} if spec.data.vocabulary is None else spec.data.vocabulary.special
        return {**config, "visual_embedding_dim": region.size, "pad_token_id": special.get("pad", 0)}

    def processor(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any] | None:
        length = min(
            config["max_position_embeddings"], 128
        )  # the maximum length of texts when the published models were trained
        return {"region_text": {"region_size": config["visual_embedding_dim"], "max_length": length}}

    def weights(self, config: Mapping[str, Any]) -> Sequence[WeightRule]:
        theirs, ours = "visual_bert.embeddings", "embedding.parts.region"
        tables = (f"{theirs}.visual_position_embeddings.weight", f"{theirs}.visual_token_type_embeddings.weight")
        rows = (config["max_position_embeddings"], config["type_vocab_size"])
        return [
            *self.body(config),
            Same(f"{theirs}.visual_projection", f"{ours}.projection"),
            FirstAndSecond(tables, f"{ours}.segment", rows=rows),
            Same("visual_bert.pooler.dense", "targets.itm.dense"),
            OtherWayRound("cls.seq_relationship", "targets.itm.classifier"),
            Same("cls.predictions.transform.dense", "targets.mlm.dense"),
            Same("cls.predictions.transform.LayerNorm", "targets.mlm.norm"),
            *output_matrix(
                "cls.predictions.decoder",
                "cls.predictions.bias",
                "visual_bert.embeddings.word_embeddings.weight",
                config["tie_word_embeddings"],
            ),
        ]
