"""Converter of CLIP."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tp_core.interop import parts
from tp_core.interop.activations import activation, activation_name
from tp_core.interop.rules import Ignored, Rule, Same, Shape, Stacked, WeightRule, below
from tp_core.modules.embeddings.position_options import LearnedPositionConfig
from tp_core.modules.encoders.transformer_options import TransformerConfig
from tp_core.modules.feed_forwards.options import DenseConfig
from tp_core.modules.mixers.attention_options import AttentionConfig
from tp_core.modules.norms.options import LayerNormConfig
from tp_core.modules.targets.contrastive_options import ContrastiveConfig
from tp_core.options.converter import ConverterConfig
from tp_text.converters import common
from tp_vision.converters import common as pictures
from tp_vision.embeddings.patch_options import PatchConfig

if TYPE_CHECKING:
    from torch import Tensor

    from tp_core.interop.keys import Keys
    from tp_core.spec.schema import Spec

_LAYERS: Mapping[str, Any] = {
    "num_hidden_layers": 12,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
    "attention_dropout": 0.0,
    "initializer_range": 0.02,
}
_TEXT: Mapping[str, Any] = {
    **_LAYERS,
    "vocab_size": 49408,
    "hidden_size": 512,
    "intermediate_size": 2048,
    "num_attention_heads": 8,
    "max_position_embeddings": 77,
    "bos_token_id": 49406,
    "eos_token_id": 49407,
    "pad_token_id": 1,
}
_VISION: Mapping[str, Any] = {
    **_LAYERS,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_attention_heads": 12,
    "num_channels": 3,
    "image_size": 224,
    "patch_size": 32,
}


class OneRow(Rule):
    """A matrix with one row, which is a vector in the checkpoint."""

    def shapes(self, ours: Shape) -> list[Shape]:
        return [ours[1:]]

    def join(self, theirs: "list[Tensor]") -> "Tensor":
        return theirs[0].unsqueeze(0)

    def split(self, ours: "Tensor") -> "list[Tensor]":
        return [ours[0]]


class ClipConverterConfig(ConverterConfig):
    """CLIP (Radford et al., 2021): a text and a picture in two streams."""

    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {"CLIPModel": ("clr",)}
    defaults: ClassVar[Mapping[str, Any]] = {
        "projection_dim": 512,
        "logit_scale_init_value": 2.6592,
        "text_config": _TEXT,
        "vision_config": _VISION,
    }
    irrelevant: ClassVar[frozenset[str]] = frozenset(
        {
            "initializer_factor",  # only for initial values
            # The projection_dim of the whole model is used.
            *("text_config.projection_dim", "vision_config.projection_dim"),
            # No weights are tied to the word embedding.
            "tie_word_embeddings",
        }
    )
    unwritten: ClassVar[frozenset[str]] = frozenset({f"vision_config.{pictures.POSITIONS}"})
    training_only: ClassVar[Mapping[str, Any]] = {"text_config.dropout": 0.0, "vision_config.dropout": 0.0}
    notes: ClassVar[tuple[str, ...]] = (
        "tp takes the vector of a text from its last token, which is the end token; transformers takes it from the "
        "first token with the id eos_token_id",
    )

    def complete(self, config: "Keys") -> "Keys":
        # Older files have these objects. If they exist, transformers uses all their values and defaults.
        older: dict[str, Any] = {}
        for name, usual in (("text_config", _TEXT), ("vision_config", _VISION)):
            if config.plain(f"{name}_dict") is not None:
                older[name] = {**config.plain(name), **usual, **config.plain(f"{name}_dict")}
        return config.rewritten(older, *(f"{name}_dict" for name in older)) if older else config

    def to_spec(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any]:
        text, vision = config["text_config"], config["vision_config"]
        pictures.need_squares(vision, "CLIP has square pictures and patches", "image_size", "patch_size")
        patches = {key: pictures.size_option(vision[key]) for key in ("image_size", "patch_size")}
        return {
            "vocab_size": text["vocab_size"],
            "streams": {
                "text": {
                    "hidden_size": text["hidden_size"],
                    "init_std": text["initializer_range"],
                    "embedding": {
                        "modules": ["word", {"pos": {"max_length": text["max_position_embeddings"]}}],
                        "norm": "none",
                        "dropout": 0.0,
                    },
                    "encoder": {"transformer": {**_layers(text), "mask": "causal"}},
                    "pooling": "last",
                },
                "image": {
                    "hidden_size": vision["hidden_size"],
                    "init_std": vision["initializer_range"],
                    "embedding": {
                        "modules": [
                            {"patch": {**patches, "channels": vision["num_channels"], "bias": False}},
                            pictures.positions_module(vision),
                        ],
                        "norm": {"layernorm": {"eps": vision["layer_norm_eps"]}},
                        "dropout": 0.0,
                    },
                    "encoder": {"transformer": _layers(vision)},
                    "pooling": "first",
                },
            },
            "target": {
                "clr": {
                    "projection_size": config["projection_dim"],
                    "temperature": math.exp(-config["logit_scale_init_value"]),
                }
            },
        }

    def to_config(self, spec: "Spec", architecture: str) -> dict[str, Any]:
        clr = parts.target(spec, ContrastiveConfig)
        assert clr is not None  # the architecture requires this target
        if clr.projection_size is None:
            raise parts.MisfitError(["model.target.clr.projection_size is not set; CLIP projects both streams"])
        patch = parts.embedding(spec, PatchConfig, stream="image")
        grid = patch.grid()
        sizes = [grid.height * grid.patch_size[0], grid.width * grid.patch_size[1]]
        if sizes[0] != sizes[1] or grid.patch_size[0] != grid.patch_size[1]:
            raise parts.MisfitError(["model.streams.image.embedding.patch: CLIP has square pictures and patches"])
        text, vision = (_layers_config(parts.encoder(spec, TransformerConfig, name)) for name in ("text", "image"))
        positions = parts.embedding(spec, LearnedPositionConfig, stream="text")
        special = {} if spec.data.vocabulary is None else spec.data.vocabulary.special
        roles = {"bos": ("cls", "bos"), "eos": ("sep", "eos"), "pad": ("pad",)}
        ids = {f"{r}_token_id": special[n] for r, names in roles.items() for n in names[::-1] if n in special}
        return {
            "projection_dim": clr.projection_size,
            "logit_scale_init_value": -math.log(clr.temperature),
            "text_config": {
                **text,
                **ids,
                "model_type": "clip_text_model",
                "vocab_size": spec.model.vocab_size,
                "max_position_embeddings": common.table_rows(positions),
                "projection_dim": clr.projection_size,
            },
            "vision_config": {
                **vision,
                "model_type": "clip_vision_model",
                "num_channels": grid.channels,
                "image_size": sizes[0],
                "patch_size": grid.patch_size[0],
                "projection_dim": clr.projection_size,
                **pictures.positions_key(spec, "image"),
            },
        }

    def written_notes(self, spec: "Spec") -> tuple[str, ...]:
        return pictures.positions_notes(spec, "image")

    def processor(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any] | None:
        return {"image_text_pair": {"max_length": config["text_config"]["max_position_embeddings"]}}

    def weights(self, config: Mapping[str, Any]) -> Sequence[WeightRule]:
        text, image = "streams.text", "streams.image"
        theirs, ours = "vision_model.embeddings", f"{image}.embedding"
        return [
            Same(
                "text_model.embeddings.token_embedding.weight",
                f"{text}.embedding.parts.word.table.weight",
                vocabulary=True,
            ),
            Same("text_model.embeddings.position_embedding.weight", f"{text}.embedding.parts.pos.table.weight"),
            *_layer_rules("text_model", text, config["text_config"]["num_attention_heads"]),
            Same("text_model.final_layer_norm", f"{text}.encoder.norm"),
            OneRow(f"{theirs}.class_embedding", f"{ours}.parts.patch.class_token"),
            Same(f"{theirs}.patch_embedding.weight", f"{ours}.parts.patch.projection.weight"),
            pictures.positions_rule(
                config["vision_config"],
                f"{theirs}.position_embedding.weight",
                f"{ours}.parts.patch_pos.table",
                row=False,
            ),
            Same("vision_model.pre_layrnorm", f"{ours}.norm"),
            *_layer_rules("vision_model", image, config["vision_config"]["num_attention_heads"]),
            Same("vision_model.post_layernorm", f"{image}.encoder.norm"),
            Same("text_projection.weight", "targets.clr.projections.0.weight"),
            Same("visual_projection.weight", "targets.clr.projections.1.weight"),
            Same("logit_scale", "targets.clr.logit_scale"),
            Ignored("text_model.embeddings.position_ids"),
            Ignored("vision_model.embeddings.position_ids"),
        ]


def _layers(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "mixer": {"attention": {"dropout": config["attention_dropout"]}},
        "feed_forward": {"dense": {"activation": activation(config, "hidden_act")}},
        "norm": {"layernorm": {"eps": config["layer_norm_eps"]}},
        "num_layers": config["num_hidden_layers"],
        "num_heads": config["num_attention_heads"],
        "feed_forward_size": config["intermediate_size"],
        "norm_position": "pre",
        "dropout": 0.0,
    }


def _layers_config(encoder: TransformerConfig) -> dict[str, Any]:
    attention = parts.part(encoder, "mixer", AttentionConfig)
    dense = parts.part(encoder, "feed_forward", DenseConfig)
    return {
        "hidden_size": encoder.hidden_size,
        "num_hidden_layers": encoder.num_layers,
        "num_attention_heads": attention.num_heads,
        "intermediate_size": dense.inner_size(encoder.hidden_size),
        "hidden_act": activation_name(dense.activation),
        "layer_norm_eps": parts.part(encoder, "norm", LayerNormConfig).eps,
        "attention_dropout": attention.dropout,
        "initializer_range": encoder.init_std,
    }


def _layer_rules(model: str, stream: str, heads: int) -> list[WeightRule]:
    theirs, ours = f"{model}.encoder.layers.{{layer}}", f"{stream}.encoder.layers.{{layer}}"
    return [
        Stacked(below(f"{theirs}.self_attn", "q_proj", "k_proj", "v_proj"), f"{ours}.mixer.qkv", groups=heads),
        Same(f"{theirs}.self_attn.out_proj", f"{ours}.mixer.output"),
        Same(f"{theirs}.layer_norm1", f"{ours}.mixer_residual.before"),
        Same(f"{theirs}.mlp.fc1", f"{ours}.feed_forward.input"),
        Same(f"{theirs}.mlp.fc2", f"{ours}.feed_forward.output"),
        Same(f"{theirs}.layer_norm2", f"{ours}.feed_forward_residual.before"),
    ]
