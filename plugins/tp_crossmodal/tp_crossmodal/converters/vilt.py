"""Converter of ViLT."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tp_core.interop import parts
from tp_core.interop.activations import activation, activation_name
from tp_core.interop.rules import AsRow, Computed, Copy, Ignored, Same, Shape, Stacked, WeightRule, below
from tp_core.modules.encoders.transformer_options import TransformerConfig
from tp_core.modules.feed_forwards.options import DenseConfig
from tp_core.modules.mixers.attention_options import AttentionConfig
from tp_core.modules.norms.options import LayerNormConfig
from tp_core.options.converter import ConverterConfig
from tp_crossmodal.embeddings.word_patch_options import WordPatchConfig
from tp_text.targets.mlm_options import MaskedLanguageModelConfig
from tp_vision.converters import common as pictures

if TYPE_CHECKING:
    from torch import Tensor

    from tp_core.spec.schema import Spec


def unused_pooler(name: str, size: int) -> list[WeightRule]:
    """Rules for a dense layer that transformers stores but no head uses. It is written as zeros."""

    def zeros(shape: Shape) -> Computed:
        def values() -> "Tensor":
            import torch

            return torch.zeros(shape)

        return Computed(f"{name}.{'weight' if len(shape) > 1 else 'bias'}", shape, values, checked=False)

    return [zeros((size, size)), zeros((size,))]


class ViltConverterConfig(ConverterConfig):
    """ViLT (Kim et al., 2021): words and patches in one transformer."""

    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {"ViltForMaskedLM": ("mlm",), "ViltModel": ()}
    prefix: ClassVar[str] = "vilt."
    defaults: ClassVar[Mapping[str, Any]] = {
        "vocab_size": 30522,
        "type_vocab_size": 2,
        "max_position_embeddings": 40,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "initializer_range": 0.02,
        "layer_norm_eps": 1e-12,
        "image_size": 384,
        "patch_size": 32,
        "num_channels": 3,
        "tie_word_embeddings": True,
    }
    required: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "modality_type_vocab_size": (2,),
        "max_image_length": (-1,),
        "qkv_bias": (True,),
    }
    irrelevant: ClassVar[frozenset[str]] = frozenset({"num_images"})  # only for a head that cannot be converted
    notes: ClassVar[tuple[str, ...]] = (
        "tp keeps patches in order and expects pictures of the size that the positions were learned for; transformers "
        "shuffles patches, which does not change the states of texts",
    )

    def to_spec(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any]:
        pictures.need_squares(config, "transformers' ViLT has square pictures and patches", "image_size", "patch_size")
        target = {
            "activation": activation(config, "hidden_act"),
            "tie": config["tie_word_embeddings"],
        }
        norm = {"layernorm": {"eps": config["layer_norm_eps"]}}
        return {
            "hidden_size": config["hidden_size"],
            "vocab_size": config["vocab_size"],
            "init_std": config["initializer_range"],
            "norm": norm,
            "embedding": {
                "modules": [
                    {
                        "word_patch": {
                            "image_size": pictures.size_option(config["image_size"]),
                            "patch_size": pictures.size_option(config["patch_size"]),
                            "channels": config["num_channels"],
                            "parts": "complete",
                            "text_length": config["max_position_embeddings"],
                            "text_segments": config["type_vocab_size"],
                            "text_norm": norm,
                        }
                    },
                    {"seg": {"num_segments": 2}},
                ],
                "norm": "none",
                "dropout": config["hidden_dropout_prob"],
            },
            "encoder": {
                "transformer": {
                    "mixer": {"attention": {"dropout": config["attention_probs_dropout_prob"]}},
                    "feed_forward": {"dense": {"activation": activation(config, "hidden_act")}},
                    "num_layers": config["num_hidden_layers"],
                    "num_heads": config["num_attention_heads"],
                    "feed_forward_size": config["intermediate_size"],
                    "norm_position": "pre",
                    "dropout": config["hidden_dropout_prob"],
                }
            },
            "target": [{"mlm": target} for _ in self.architectures[architecture]],
        }

    def to_config(self, spec: "Spec", architecture: str) -> dict[str, Any]:
        encoder, both = parts.encoder(spec, TransformerConfig), parts.embedding(spec, WordPatchConfig)
        attention = parts.part(encoder, "mixer", AttentionConfig)
        dense = parts.part(encoder, "feed_forward", DenseConfig)
        mlm, grid = parts.target(spec, MaskedLanguageModelConfig), both.grid()
        rows, columns = grid.patch_size
        height, width = grid.height * rows, grid.width * columns
        return {
            "vocab_size": spec.model.vocab_size,
            "type_vocab_size": both.text_segments,
            "max_position_embeddings": both.text_length,
            "hidden_size": encoder.hidden_size,
            "num_hidden_layers": encoder.num_layers,
            "num_attention_heads": attention.num_heads,
            "intermediate_size": dense.inner_size(encoder.hidden_size),
            "hidden_act": activation_name(dense.activation),
            "hidden_dropout_prob": encoder.dropout,
            "attention_probs_dropout_prob": attention.dropout,
            "initializer_range": encoder.init_std,
            "layer_norm_eps": parts.part(encoder, "norm", LayerNormConfig).eps,
            "image_size": height if height == width else [height, width],
            "patch_size": rows if rows == columns else [rows, columns],
            "num_channels": both.channels,
            "tie_word_embeddings": mlm is None or mlm.tie,
        }

    def processor(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any] | None:
        return {"image_text": {"max_length": config["max_position_embeddings"]}}

    def weights(self, config: Mapping[str, Any]) -> Sequence[WeightRule]:
        theirs, ours = "vilt.embeddings", "embedding.parts.word_patch"
        text = f"{theirs}.text_embeddings"
        layer, own = "vilt.encoder.layer.{layer}", "encoder.layers.{layer}"
        projections = below(f"{layer}.attention.attention", "query", "key", "value")
        word, matrix = f"{text}.word_embeddings.weight", "mlm_score.decoder.weight"
        output: WeightRule = Same(matrix, "targets.mlm.output.weight", vocabulary=True)
        if config["tie_word_embeddings"]:
            output = Copy(matrix, of=word, output=True)
        return [
            Same(word, f"{ours}.text.parts.word.table.weight", vocabulary=True),
            Same(f"{text}.position_embeddings.weight", f"{ours}.text.parts.pos.table.weight"),
            Same(f"{text}.token_type_embeddings.weight", f"{ours}.text.parts.seg.table.weight"),
            Same(f"{text}.LayerNorm", f"{ours}.text.norm"),
            AsRow(f"{theirs}.cls_token", f"{ours}.picture.parts.patch.class_token"),
            Same(f"{theirs}.patch_embeddings.projection", f"{ours}.picture.parts.patch.projection"),
            AsRow(f"{theirs}.position_embeddings", f"{ours}.picture.parts.patch_pos.table"),
            Same(f"{theirs}.token_type_embeddings.weight", "embedding.parts.seg.table.weight"),
            Stacked(projections, f"{own}.mixer.qkv", groups=config["num_attention_heads"]),
            Same(f"{layer}.attention.output.dense", f"{own}.mixer.output"),
            Same(f"{layer}.intermediate.dense", f"{own}.feed_forward.input"),
            Same(f"{layer}.output.dense", f"{own}.feed_forward.output"),
            Same(f"{layer}.layernorm_before", f"{own}.mixer_residual.before"),
            Same(f"{layer}.layernorm_after", f"{own}.feed_forward_residual.before"),
            Same("vilt.layernorm", "encoder.norm"),
            Same("mlm_score.transform.dense", "targets.mlm.dense"),
            Same("mlm_score.transform.LayerNorm", "targets.mlm.norm"),
            Same("mlm_score.decoder.bias", "targets.mlm.output.bias", vocabulary=True),
            Copy("mlm_score.bias", of="mlm_score.decoder.bias"),
            # Published models are not tied, although their config says so; transformers then uses the stored tensors.
            output,
            *unused_pooler("vilt.pooler.dense", config["hidden_size"]),
            Ignored(f"{text}.position_ids"),
            Ignored(f"{text}.token_type_ids"),
        ]
