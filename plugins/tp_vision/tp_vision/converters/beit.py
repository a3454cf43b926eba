"""Converter of BEiT."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tp_core.errors import TPError
from tp_core.interop import classifiers, parts
from tp_core.interop.class_names import label_names
from tp_core.interop.rules import Ignored, Same, Stacked, WeightRule, below
from tp_core.modules.encoders.transformer_options import TransformerConfig
from tp_core.modules.mixers.attention_options import AttentionConfig
from tp_vision.converters import common
from tp_vision.embeddings.masked_patch_options import MaskedPatchConfig
from tp_vision.embeddings.positions_options import PatchPositionConfig
from tp_vision.positions.grid_options import GridPositionsConfig
from tp_vision.targets.patch_classification_options import PatchClassificationConfig
from tp_vision.targets.visual_tokens_options import VisualTokensConfig

if TYPE_CHECKING:
    from tp_core.interop.keys import Keys
    from tp_core.spec.schema import Spec

_TABLE = "relative_position_bias.relative_position_bias_table"


class BeitConverterConfig(common.VisionConverterConfig):
    """BEiT (Bao et al., 2022)."""

    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "BeitForMaskedImageModeling": ("visual_tokens",),
        "BeitForImageClassification": ("patch_cls",),
        "BeitModel": (),
    }
    prefix: ClassVar[str] = "beit."
    defaults: ClassVar[Mapping[str, Any]] = {
        **{key: value for key, value in common.VisionConverterConfig.defaults.items() if key != "qkv_bias"},
        "vocab_size": 8192,
        "use_mask_token": False,
        "use_absolute_position_embeddings": False,
        "use_relative_position_bias": False,
        "use_shared_relative_position_bias": False,
        "layer_scale_init_value": 0.1,
        "drop_path_rate": 0.1,
        "use_mean_pooling": True,
    }
    irrelevant: ClassVar[frozenset[str]] = common.VisionConverterConfig.irrelevant | {
        # Options of the segmentation head and of backbones, which are not converted.
        *("pool_scales", "use_auxiliary_head", "auxiliary_loss_weight", "auxiliary_channels", "auxiliary_num_convs"),
        *("auxiliary_concat_input", "semantic_loss_ignore_index", "add_fpn", "reshape_hidden_states"),
        *("out_features", "out_indices", "stage_names", "segmentation_indices"),
    }
    head_keys: ClassVar[Mapping[str, tuple[str, ...]]] = {"visual_tokens": ("vocab_size",)}
    notes: ClassVar[tuple[str, ...]] = (
        "the checkpoint does not contain the visual tokenizer; to train on, set model.target.visual_tokens.tokenizer",
    )

    def layers(self, config: "Keys") -> dict[str, Any]:
        per_layer, shared = config["use_relative_position_bias"], config["use_shared_relative_position_bias"]
        if per_layer and shared:
            message = "'use_relative_position_bias' and 'use_shared_relative_position_bias' are both true"
            raise TPError(f"config.json: {message}; a spec can have only one of them")
        if per_layer or shared:
            why = (
                "transformers swaps rows and columns of its table of relative positions and interpolates it if the "
                "grid of patches is not square; only square grids can be converted"
            )
            common.need_squares(config, why, "image_size", "patch_size")
        initial, layers = config["layer_scale_init_value"], super().layers(config | {"qkv_bias": True})
        positions = {"positions": {"grid": {"per_layer": per_layer}}} if per_layer or shared else {}
        return {
            **layers,
            "mixer": {"attention": {**layers["mixer"]["attention"], "key_bias": False, **positions}},
            "layer_scale": float(initial) if initial > 0 else None,
            "drop_path": float(config["drop_path_rate"]),
            "drop_path_growing": True,
            "final_norm": not config["use_mean_pooling"],
        }

    def targets(self, config: Mapping[str, Any], architecture: str) -> list[Any]:
        """Targets that correspond to the heads of the architecture."""
        heads = self.architectures[architecture]
        if "patch_cls" in heads:
            if not config["use_mean_pooling"]:
                raise TPError("config.json: 'use_mean_pooling' is false; only the mean of patches can be converted")
            return [{"patch_cls": {"num_labels": classifiers.class_count(config)}}]
        return [{"visual_tokens": {"num_tokens": config["vocab_size"]}}] if heads else []

    def to_spec(self, config: "Keys", architecture: str) -> dict[str, Any]:
        modules: list[Any] = [{"masked_patch": {"mask_token": config["use_mask_token"]}}]
        if config["use_absolute_position_embeddings"]:
            why = "transformers fails with absolute positions if pictures are not square"
            common.need_squares(config, why, "image_size")
            modules.append(common.positions_module(config))
        return self.model(config, modules, self.targets(config, architecture))

    def to_config(self, spec: "Spec", architecture: str) -> dict[str, Any]:
        encoder = parts.encoder(spec, TransformerConfig)
        positions = parts.part(encoder, "mixer", AttentionConfig).positions.config
        grid = positions if isinstance(positions, GridPositionsConfig) else None
        tokens, cls = parts.target(spec, VisualTokensConfig), parts.target(spec, PatchClassificationConfig)
        found = {key: value for key, value in self.described(spec).items() if key != "qkv_bias"}
        return {
            **found,
            "vocab_size": 8192 if tokens is None else tokens.token_count(),
            "use_mask_token": parts.embedding(spec, MaskedPatchConfig).mask_token,
            "use_absolute_position_embeddings": parts.optional_embedding(spec, PatchPositionConfig) is not None,
            "use_relative_position_bias": grid is not None and grid.per_layer,
            "use_shared_relative_position_bias": grid is not None and not grid.per_layer,
            "layer_scale_init_value": encoder.layer_scale or 0.0,
            "drop_path_rate": encoder.drop_path,
            "use_mean_pooling": encoder.final_norm is False,
            **({} if cls is None else label_names(spec, cls.num_labels)),
        }

    def processor(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any] | None:
        if "patch_cls" in self.architectures[architecture]:
            return common.image_processor(config)
        masked = {"masked_image": {"masking": "blockwise", "mask_ratio": 0.4}}  # as in the paper
        return masked if config["use_mask_token"] else {"plain_image": {}}

    def weights(self, config: Mapping[str, Any]) -> Sequence[WeightRule]:
        layer, ours = "beit.encoder.layer.{layer}", "encoder.layers.{layer}"
        attention = f"{layer}.attention.attention"
        queries, heads = below(attention, "query.weight", "key.weight", "value.weight"), config["num_attention_heads"]
        (architecture,) = config.get("architectures") or ["BeitForMaskedImageModeling"]
        head = Same("layernorm", "targets.visual_tokens.norm")
        return [
            *self.embedding_rules(config, "masked_patch"),
            Stacked(queries, f"{ours}.mixer.qkv.weight", groups=heads),
            Stacked(below(attention, "query.bias", "value.bias"), f"{ours}.mixer.qkv.bias", groups=heads),
            *common.layer_rules(layer, ours),
            Same(f"{attention}.{_TABLE}", f"{ours}.mixer.positions.own.bias.weight"),
            Same(f"beit.encoder.{_TABLE}", "encoder.shared.0.bias.bias.weight"),
            Ignored(f"{attention}.relative_position_bias.relative_position_index"),
            Ignored("beit.encoder.relative_position_bias.relative_position_index"),
            Same(f"{layer}.lambda_1", f"{ours}.mixer_residual.scale.weight"),
            Same(f"{layer}.lambda_2", f"{ours}.feed_forward_residual.scale.weight"),
            Same("beit.layernorm", "encoder.norm"),
            Same("beit.pooler.layernorm", "targets.patch_cls.norm"),
            Same("classifier", "targets.patch_cls.classifier"),
            Same("lm_head", "targets.visual_tokens.output"),
            # A model without a head is saved without the prefix 'beit.', and then its last norm has this name.
            *([head] if self.architectures[architecture] else []),
        ]
