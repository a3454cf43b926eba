"""Converter of masked autoencoders (ViTMAE)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tp_core.interop import parts
from tp_core.interop.rules import Computed, Same, WeightRule
from tp_vision.converters import common
from tp_vision.decoders.masked_options import MaskedDecoderConfig
from tp_vision.embeddings.options import pair
from tp_vision.processors.masked_image_options import MaskedImageConfig
from tp_vision.targets.pixels_options import PixelsConfig

if TYPE_CHECKING:
    from torch import Tensor

    from tp_core.interop.keys import Keys
    from tp_core.interop.tensors import Tensors
    from tp_core.spec.schema import Spec

_DECODER = "decoder.decoder_layers."


class VitMaeConverterConfig(common.VisionConverterConfig):
    """MAE (He et al., 2022)."""

    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {"ViTMAEForPreTraining": ("pixels",), "ViTMAEModel": ()}
    prefix: ClassVar[str] = "vit."
    defaults: ClassVar[Mapping[str, Any]] = {
        **common.VisionConverterConfig.defaults,
        "decoder_hidden_size": 512,
        "decoder_num_hidden_layers": 8,
        "decoder_num_attention_heads": 16,
        "decoder_intermediate_size": 2048,
        "mask_ratio": 0.75,
        "norm_pix_loss": False,
    }
    head_keys: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "pixels": (
            *("decoder_hidden_size", "decoder_num_hidden_layers", "decoder_num_attention_heads"),
            *("decoder_intermediate_size", "norm_pix_loss"),
        )
    }

    def as_stored(self, config: "Keys", tensors: "Tensors") -> "Keys":
        # transformers 5 saves the decoder's layers under another name than in its model and in version 4.
        tensors.rename(lambda name: name.replace("decoder.decoder_encoder.layer.", _DECODER))
        return config

    def to_spec(self, config: "Keys", architecture: str) -> dict[str, Any]:
        heads = self.architectures[architecture]
        if heads:
            why = "transformers' MAE reconstructs only square pictures from square patches"
            common.need_squares(config, why, "image_size", "patch_size")
        targets = [{"pixels": {"loss": "mse", "normalize": config["norm_pix_loss"]}}] if heads else []
        model = self.model(config, ["patch", "patch_sinusoidal", "visible"], targets)
        if heads:
            sizes = {
                "hidden_size": config["decoder_hidden_size"],
                "num_layers": config["decoder_num_hidden_layers"],
                "num_heads": config["decoder_num_attention_heads"],
                "feed_forward_size": config["decoder_intermediate_size"],
            }
            model["decoder"] = {"mae": {**self.layers(config), **sizes}}
        return model

    def to_config(self, spec: "Spec", architecture: str) -> dict[str, Any]:
        found, processor = self.described(spec), spec.data.processor
        if processor is not None and isinstance(processor.config, MaskedImageConfig):
            found["mask_ratio"] = processor.config.mask_ratio
        if not self.architectures[architecture]:
            return found
        decoder, pixels = parts.decoder(spec, MaskedDecoderConfig), parts.target(spec, PixelsConfig)
        return {
            **found,
            "decoder_hidden_size": decoder.hidden_size,
            **common.layer_keys(decoder, decoder.hidden_size, "decoder_"),
            "norm_pix_loss": pixels is not None and pixels.normalize,
        }

    def processor(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any] | None:
        return {"masked_image": {"mask_ratio": config["mask_ratio"]}}

    @staticmethod
    def _positions(name: str, config: Mapping[str, Any], size: int) -> Computed:
        """Rule for the fixed positions; checkpoints contain them after a row of zeros for the class token."""
        (height, width), (down, across) = pair(config["image_size"]), pair(config["patch_size"])
        rows, columns = height // down, width // across

        def values() -> "Tensor":
            import torch

            from tp_vision.embeddings.positions import sinusoidal_grid

            table = sinusoidal_grid(rows, columns, size, torch.device("cpu"))
            return torch.cat([torch.zeros(1, size), table]).unsqueeze(0)

        return Computed(name, (1, rows * columns + 1, size), values)

    def weights(self, config: Mapping[str, Any]) -> Sequence[WeightRule]:
        layer, ours = "vit.encoder.layer.{layer}", "encoder.layers.{layer}"
        theirs, decoder = f"{_DECODER}{{layer}}", "decoder.layers.{layer}"
        (architecture,) = config.get("architectures") or ["ViTMAEModel"]
        body: list[WeightRule] = [
            *self.embedding_rules(config, "patch"),
            self._positions("vit.embeddings.position_embeddings", config, config["hidden_size"]),
            common.projections(layer, ours, config["num_attention_heads"]),
            *common.layer_rules(layer, ours),
            Same("vit.layernorm", "encoder.norm"),
        ]
        if not self.architectures[architecture]:
            return body
        return [
            *body,
            self._positions("decoder.decoder_pos_embed", config, config["decoder_hidden_size"]),
            Same("decoder.decoder_embed", "decoder.entry"),
            common.TokenAsImage("decoder.mask_token", "decoder.mask_token"),
            common.projections(theirs, decoder, config["decoder_num_attention_heads"]),
            *common.layer_rules(theirs, decoder),
            Same("decoder.decoder_norm", "decoder.norm"),
            Same("decoder.decoder_pred", "targets.pixels.output"),
        ]
