"""Converters of ViT and DeiT."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from tp_core.errors import TPError
from tp_core.interop import classifiers, parts
from tp_core.interop.class_names import label_names
from tp_core.interop.rules import Rule, Same, Shape, WeightRule
from tp_vision.converters import common
from tp_vision.embeddings.options import pair
from tp_vision.embeddings.patch_options import PatchConfig
from tp_vision.targets.deit_options import DistilledClassificationConfig

if TYPE_CHECKING:
    from torch import Tensor

    from tp_core.interop.keys import Keys
    from tp_core.spec.schema import Spec

_LAYER, _OURS = "encoder.layer.{layer}", "encoder.layers.{layer}"


@dataclass(frozen=True)
class Shuffled(Rule):
    """A 1 x 1 convolution before a pixel shuffle, whose outputs are ordered by channel, row and column.

    In the model, it is a matrix whose outputs are ordered by row, column and channel.
    """

    channels: int = 3

    def shapes(self, ours: Shape) -> list[Shape]:
        return [(*ours, 1, 1) if len(ours) == 2 else ours]

    def join(self, theirs: "list[Tensor]") -> "Tensor":
        rows = theirs[0].flatten(1) if theirs[0].dim() > 1 else theirs[0]
        return rows.reshape(self.channels, -1, *rows.shape[1:]).transpose(0, 1).reshape(rows.shape)

    def split(self, ours: "Tensor") -> "list[Tensor]":
        rows = ours.reshape(-1, self.channels, *ours.shape[1:]).transpose(0, 1).reshape(ours.shape)
        return [rows[:, :, None, None] if ours.dim() > 1 else rows]


class VitConverterConfig(common.VisionConverterConfig):
    """ViT (Dosovitskiy et al., 2021), and SimMIM with its encoder (Xie et al., 2022)."""

    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "ViTForImageClassification": ("cls",),
        "ViTForMaskedImageModeling": ("pixels",),
        "ViTModel": (),
    }
    prefix: ClassVar[str] = "vit."
    defaults: ClassVar[Mapping[str, Any]] = {**common.VisionConverterConfig.defaults, "encoder_stride": 16}
    head_variants: ClassVar[Mapping[str, tuple[str, ...]]] = classifiers.VARIANTS
    head_keys: ClassVar[Mapping[str, tuple[str, ...]]] = {"pixels": ("encoder_stride",)}

    def patch(self, architecture: str) -> str:
        """Name of the patch embedding."""
        return "masked_patch" if "pixels" in self.architectures[architecture] else "patch"

    def targets(self, config: Mapping[str, Any], architecture: str) -> list[Any]:
        """Targets that correspond to the heads of the architecture."""
        heads = self.architectures[architecture]
        if "pixels" in heads:
            why = "transformers' ViT and DeiT reconstruct only square pictures from square patches"
            common.need_squares(config, why, "image_size", "patch_size")
            if config["encoder_stride"] != pair(common.size_option(config["patch_size"]))[0]:
                stride, patch = config["encoder_stride"], config["patch_size"]
                message = f"'encoder_stride' is {stride}; expected the patch_size, {patch}"
                raise TPError(f"config.json: {message}")
            return [{"pixels": {"loss": "l1"}}]
        if not heads:
            return []
        if "cls" in heads:
            return [classifiers.target(config, hidden_layer=False, pooling="first", dropout=0.0)]
        return [{heads[0]: {"num_labels": classifiers.class_count(config)}}]

    def to_spec(self, config: "Keys", architecture: str) -> dict[str, Any]:
        modules = [self.patch(architecture), common.positions_module(config)]
        return self.model(config, modules, self.targets(config, architecture))

    def to_config(self, spec: "Spec", architecture: str) -> dict[str, Any]:
        found = self.described(spec)
        distilled = parts.target(spec, DistilledClassificationConfig)
        names = classifiers.keys(spec) if distilled is None else label_names(spec, distilled.num_labels)
        stride = {"encoder_stride": found["patch_size"]} if "pixels" in self.architectures[architecture] else {}
        return {**found, **stride, **names}

    def processor(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any] | None:
        heads = self.architectures[architecture]
        if "pixels" in heads:
            return {"masked_image": {}}
        return common.image_processor(config) if heads else {"plain_image": {}}

    def weights(self, config: "Keys") -> Sequence[WeightRule]:
        layer = f"{self.prefix}{_LAYER}"
        (architecture,) = config.get("architectures") or [list(self.architectures)[-1]]
        return [
            *self.embedding_rules(config, self.patch(architecture)),
            common.projections(layer, _OURS, config["num_attention_heads"]),
            *common.layer_rules(layer, _OURS),
            Same(f"{self.prefix}layernorm", "encoder.norm"),
            # transformers' model without a head has a pooler; no head uses it
            *classifiers.weights("classifier", dense=f"{self.prefix}pooler.dense"),
            Shuffled("decoder.0", "targets.pixels.output", channels=config["num_channels"]),
        ]


class DeitConverterConfig(VitConverterConfig):
    """DeiT (Touvron et al., 2021): ViT with a distillation token."""

    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "DeiTForImageClassificationWithTeacher": ("deit",),
        "DeiTForImageClassification": ("cls",),
        "DeiTForMaskedImageModeling": ("pixels",),
        "DeiTModel": (),
    }
    prefix: ClassVar[str] = "deit."

    def to_spec(self, config: "Keys", architecture: str) -> dict[str, Any]:
        return super().to_spec(config, architecture) | {"distillation_token": True}

    def to_config(self, spec: "Spec", architecture: str) -> dict[str, Any]:
        if not parts.embedding(spec, PatchConfig).distillation_token:
            raise parts.MisfitError(["the patches have no distillation token"])
        return super().to_config(spec, architecture)

    def weights(self, config: "Keys") -> Sequence[WeightRule]:
        return [
            *super().weights(config),
            Same("cls_classifier", "targets.deit.classifier"),
            Same("distillation_classifier", "targets.deit.distilled"),
        ]
