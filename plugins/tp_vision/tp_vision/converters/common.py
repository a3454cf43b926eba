"""Code that all converters of vision transformers share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from tp_core.errors import TPError
from tp_core.interop import classifiers, parts
from tp_core.interop.activations import activation, activation_name
from tp_core.interop.rules import AsRow, Rule, Same, Shape, Stacked, WeightRule, below
from tp_core.modules.encoders.transformer_options import TransformerConfig
from tp_core.modules.feed_forwards.options import DenseConfig
from tp_core.modules.layers.transformer_options import TransformerOptions
from tp_core.modules.mixers.attention_options import AttentionConfig
from tp_core.modules.norms.options import LayerNormConfig
from tp_core.options.converter import ConverterConfig
from tp_vision.embeddings.options import pair
from tp_vision.embeddings.patch_options import PatchConfig
from tp_vision.embeddings.positions_options import PatchPositionConfig

if TYPE_CHECKING:
    from torch import Tensor

    from tp_core.interop.keys import Keys
    from tp_core.spec.schema import Spec

#: Key for the size of the pictures that the positions were learned for. Transformers does not have it.
POSITIONS = "position_image_size"

#: Target → the processor of pictures with its labels.
LABELLED = {"cls": "image", "multi_label": "image_multi_label", "regression": "image_regression"}


class TokenAsImage(Rule):
    """A learned token, (1, 1, size) in the checkpoint and (size,) in the model."""

    def shapes(self, ours: Shape) -> list[Shape]:
        return [(1, 1, *ours)]

    def join(self, theirs: "list[Tensor]") -> "Tensor":
        return theirs[0][0, 0]

    def split(self, ours: "Tensor") -> "list[Tensor]":
        return [ours.view(1, 1, -1)]


@dataclass(frozen=True)
class Positions(Rule):
    """Learned positions of the leading tokens and of the patches.

    Positions that were learned for pictures of another size are interpolated for the model's size before writing.

    Attributes:
        learned: rows and columns of the grid that the positions were learned for.
        grid: rows and columns of the grid of the model's pictures.
        row: True if the tensor in the checkpoint has an additional first dimension of size 1.
    """

    learned: tuple[int, int] = (1, 1)
    grid: tuple[int, int] = (1, 1)
    row: bool = True

    def shapes(self, ours: Shape) -> list[Shape]:
        count = ours[0] - self.learned[0] * self.learned[1] + self.grid[0] * self.grid[1]
        return [(1, count, *ours[1:]) if self.row else (count, *ours[1:])]

    def join(self, theirs: "list[Tensor]") -> "Tensor":
        assert self.learned == self.grid  # checkpoints do not store another size for their positions
        return theirs[0][0] if self.row else theirs[0]

    def split(self, ours: "Tensor") -> "list[Tensor]":
        import torch

        from tp_vision.embeddings.positions import interpolated

        leading = ours.shape[0] - self.learned[0] * self.learned[1]
        table = torch.cat([ours[:leading], interpolated(ours[leading:], self.learned, self.grid)])
        return [table.unsqueeze(0) if self.row else table]


def grid_of(config: Mapping[str, Any], size: str = "image_size") -> tuple[int, int]:
    """Rows and columns of patches, for pictures whose size is in the key ``size`` of a config.json."""
    (height, width), (rows, columns) = (pair(size_option(config[key])) for key in (size, "patch_size"))
    return height // rows, width // columns


def positions_rule(config: Mapping[str, Any], theirs: str, ours: str, row: bool = True) -> Positions:
    """Rule for learned positions."""
    learned = grid_of(config, POSITIONS if config.get(POSITIONS) else "image_size")
    return Positions(theirs, ours, learned=learned, grid=grid_of(config), row=row)


def positions_key(spec: "Spec", stream: str = "") -> dict[str, Any]:
    """Key for positions that were learned for pictures of another size; empty if the size is the model's."""
    patches = parts.embedding(spec, PatchConfig, stream=stream)
    positions = parts.optional_embedding(spec, PatchPositionConfig, stream=stream)
    if positions is None or positions.position_image_size is None:
        return {}
    grid = patches.grid()
    if positions.table(grid) == (grid.height, grid.width):
        return {}
    return {POSITIONS: size_key(positions.position_image_size)}


def positions_notes(spec: "Spec", stream: str = "") -> tuple[str, ...]:
    """Note that positions learned for pictures of another size are interpolated."""
    if not positions_key(spec, stream):
        return ()
    size = " x ".join(map(str, pair(parts.embedding(spec, PatchConfig, stream=stream).image_size)))
    return (
        f"the positions are written as they are interpolated for pictures of {size} pixels, not as they were learned",
    )


def positions_module(config: Mapping[str, Any]) -> Any:
    """Module of learned positions, in the form of a spec."""
    size = config.get(POSITIONS)
    return {"patch_pos": {"position_image_size": size_option(size)}} if size else "patch_pos"


def need_squares(config: Mapping[str, Any], why: str, *sizes: str) -> None:
    """Check that pictures or patches are square.

    Args:
        why: reason, for the error message.
        sizes: keys to check: ``image_size``, ``patch_size`` or both.

    Raises:
        TPError: a size is not square.
    """
    for key in sizes:
        height, width = pair(size_option(config[key]))
        if height != width:
            raise TPError(f"config.json: '{key}' is [{height}, {width}]; {why}")


def size_option(size: Any) -> Any:
    """Convert a size in a config.json, one or two numbers, to an option of a spec."""
    return [int(each) for each in size] if isinstance(size, (list, tuple)) else int(size)


def size_key(size: int | list[int]) -> Any:
    """Convert a size option to the form of config.json: one number for squares."""
    height, width = pair(size)
    return height if height == width else [height, width]


def image_processor(config: Mapping[str, Any]) -> dict[str, Any]:
    """Processor of a classifier, with the names of its classes."""
    return classifiers.processor(config, LABELLED)


class VisionConverterConfig(ConverterConfig):
    """Base of the converters of vision transformers with patches, class token, learned positions and pre-norm."""

    defaults: ClassVar[Mapping[str, Any]] = {
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "initializer_range": 0.02,
        "layer_norm_eps": 1e-12,
        "image_size": 224,
        "patch_size": 16,
        "num_channels": 3,
        "qkv_bias": True,
    }
    irrelevant: ClassVar[frozenset[str]] = frozenset(
        {
            # Options of a pooler that no head uses.
            *("pooler_output_size", "pooler_act"),
            # There is no word embedding to tie.
            "tie_word_embeddings",
        }
    )

    unwritten: ClassVar[frozenset[str]] = frozenset({POSITIONS})

    def layers(self, config: "Keys") -> dict[str, Any]:
        """The options of the encoder."""
        return {
            "num_layers": config["num_hidden_layers"],
            "num_heads": config["num_attention_heads"],
            "feed_forward_size": config["intermediate_size"],
            "mixer": {
                "attention": {
                    "bias": config["qkv_bias"],
                    "output_bias": True,
                    "dropout": config["attention_probs_dropout_prob"],
                }
            },
            "feed_forward": {"dense": {"activation": activation(config)}},
            "norm_position": "pre",
            "dropout": config["hidden_dropout_prob"],
        }

    def model(self, config: "Keys", modules: list[Any], targets: list[Any]) -> dict[str, Any]:
        """Section ``model`` of a spec with these embeddings and targets."""
        return {
            "hidden_size": config["hidden_size"],
            "norm": {"layernorm": {"eps": config["layer_norm_eps"]}},
            "init_std": config["initializer_range"],
            "image_size": size_option(config["image_size"]),
            "patch_size": size_option(config["patch_size"]),
            "channels": config["num_channels"],
            "embedding": {"modules": modules, "norm": "none", "dropout": config["hidden_dropout_prob"]},
            "encoder": {"transformer": self.layers(config)},
            "target": targets,
        }

    def described(self, spec: "Spec") -> dict[str, Any]:
        """Keys of a config.json that :meth:`model` reads."""
        encoder, patches = parts.encoder(spec, TransformerConfig), parts.embedding(spec, PatchConfig)
        attention = parts.part(encoder, "mixer", AttentionConfig)
        return {
            "hidden_size": encoder.hidden_size,
            **layer_keys(encoder, encoder.hidden_size),
            "hidden_dropout_prob": encoder.dropout,
            "attention_probs_dropout_prob": attention.dropout,
            "initializer_range": encoder.init_std,
            "layer_norm_eps": parts.part(encoder, "norm", LayerNormConfig).eps,
            "image_size": size_key(patches.image_size),
            "patch_size": size_key(patches.patch_size),
            "num_channels": patches.channels,
            "qkv_bias": attention.bias,
            **positions_key(spec),
        }

    def written_notes(self, spec: "Spec") -> tuple[str, ...]:
        return positions_notes(spec)

    def embedding_rules(self, config: Mapping[str, Any], patch: str) -> list[WeightRule]:
        """Rules for the embeddings; ``patch`` is the name of the patch embedding in the model."""
        theirs, ours = f"{self.prefix}embeddings", f"embedding.parts.{patch}"
        return [
            AsRow(f"{theirs}.cls_token", f"{ours}.class_token"),
            AsRow(f"{theirs}.distillation_token", f"{ours}.distillation_token"),
            TokenAsImage(f"{theirs}.mask_token", f"{ours}.mask_token"),
            Same(f"{theirs}.patch_embeddings.projection", f"{ours}.projection"),
            positions_rule(config, f"{theirs}.position_embeddings", "embedding.parts.patch_pos.table"),
        ]


def layer_keys(options: TransformerOptions, hidden_size: int, prefix: str = "") -> dict[str, Any]:
    """Keys of a config.json for the layers of an encoder, or, with a prefix, of a decoder."""
    dense = parts.part(options, "feed_forward", DenseConfig)
    keys = {
        "num_hidden_layers": options.num_layers,
        "num_attention_heads": parts.part(options, "mixer", AttentionConfig).num_heads,
        "intermediate_size": dense.inner_size(hidden_size),
    }
    named = {f"{prefix}{key}": value for key, value in keys.items()}
    return named if prefix else {**named, "hidden_act": activation_name(dense.activation)}


def layer_rules(layer: str, ours: str) -> list[WeightRule]:
    """Rules for the layers of a transformer, except the projections of queries, keys and values.

    Args:
        layer: prefix of the names in the checkpoint, with ``{layer}``.
        ours: prefix of the names in the model, with ``{layer}``.
    """
    return [
        Same(f"{layer}.attention.output.dense", f"{ours}.mixer.output"),
        Same(f"{layer}.layernorm_before", f"{ours}.mixer_residual.before"),
        Same(f"{layer}.intermediate.dense", f"{ours}.feed_forward.input"),
        Same(f"{layer}.output.dense", f"{ours}.feed_forward.output"),
        Same(f"{layer}.layernorm_after", f"{ours}.feed_forward_residual.before"),
    ]


def projections(layer: str, ours: str, heads: int) -> WeightRule:
    """Rule for the projections of queries, keys and values."""
    return Stacked(below(f"{layer}.attention.attention", "query", "key", "value"), f"{ours}.mixer.qkv", groups=heads)
