"""Embedding components of the original."""

from __future__ import annotations

from typing import Any

from tp_core.errors import TPError
from tp_core.interop.rules import Same, WeightRule
from tp_core.suggest import did_you_mean
from tp_tencentpretrain.mapping.norms import EPS, plain_norm
from tp_tencentpretrain.mapping.piece import Piece
from tp_tencentpretrain.mapping.rules import Reshaped
from tp_tencentpretrain.original.config import OriginalConfig


def embedding(config: OriginalConfig, names: list[str], theirs: str, ours: str, twice: str = "") -> Piece:
    """An embedding component.

    Args:
        config: the config.
        names: the modules.
        theirs: the beginning of the original's names, such as ``embedding``.
        ours: the beginning of our names.
        twice: name of the second norm of a dual stream, without the last part; empty for other components.
    """
    modules: list[Any] = []
    rules: list[WeightRule] = []
    names = sorted(names, key=lambda name: name not in _FIRST)  # a sum: its order changes nothing
    for before, name in zip(["", *names], names):
        if name not in _MODULES:
            near = did_you_mean(name, _MODULES) or f"known: {', '.join(_MODULES)}"
            raise TPError(f"{config.where}: unknown embedding '{name}'; {near}")
        whole_picture = name == "pos" and before in ("patch", "masked_patch") and _of_patches(config)
        make = _patch_pos if whole_picture else _MODULES[name]
        tree, own = make(config, f"{theirs}.{name}", f"{ours}.parts")
        modules.append(tree)
        rules += own
    dropout = float(config["dropout"])
    # Two dropouts, one after the other, keep a value with the product of their probabilities.
    whole = 1 - (1 - dropout) ** 2 if twice else dropout
    found: dict[str, Any] = {"modules": modules, "norm": "none", "dropout": whole}
    if not config["remove_embedding_layernorm"]:
        norm = plain_norm()
        if twice:
            found |= {"norm": {"unbiased_layernorm_twice": {"eps": EPS, "dropout": dropout}}, "dropout": dropout}
            rules += norm.rules(f"{theirs}.layer_norm", f"{ours}.norm.first")
            rules += norm.rules(twice, f"{ours}.norm.second")
        else:
            found["norm"] = norm.tree
            rules += norm.rules(f"{theirs}.layer_norm", f"{ours}.norm")
    return Piece(found, rules)


Made = tuple[Any, list[WeightRule]]


def _scaled(config: OriginalConfig) -> dict[str, Any]:
    """The factor of word and speech embeddings, which depends on the modules of the source side."""
    return {"scale": True} if "sinusoidalpos" in (config["embedding"] or ()) else {}


def _word(config: OriginalConfig, theirs: str, ours: str) -> Made:
    rule = Same(f"{theirs}.embedding.weight", f"{ours}.word.table.weight", vocabulary=True)
    return {"word": _scaled(config)}, [rule]


def _pos(config: OriginalConfig, theirs: str, ours: str) -> Made:
    length = config["max_seq_length"]
    if "speech" in (config["embedding"] or ()):
        length = max(length, config["max_audio_frames"])
    return {"pos": {"max_length": length}}, [Same(f"{theirs}.embedding.weight", f"{ours}.pos.table.weight")]


def _of_patches(config: OriginalConfig) -> bool:
    """True if the positions are those of one picture and its class token."""
    patch = config["patch_size"]
    rows, columns = config["image_height"] // patch, config["image_width"] // patch
    return bool(config["max_seq_length"] == rows * columns + 1)


def _patch_pos(config: OriginalConfig, theirs: str, ours: str) -> Made:
    return {"patch_pos": {}}, [Same(f"{theirs}.embedding.weight", f"{ours}.patch_pos.table")]


def _seg(config: OriginalConfig, theirs: str, ours: str) -> Made:
    tree = {"padded_segments": {"unused": True} if config.unused_segments else {}}
    return tree, [Same(f"{theirs}.embedding.weight", f"{ours}.padded_segments.table.weight")]


def _sinusoidal(config: OriginalConfig, theirs: str, ours: str) -> Made:
    if config.stored_positions:
        return "sinusoidal", []
    layout = "halves" if "speech" in (config["embedding"] or ()) else "interleaved"
    return {"sinusoidal": {"layout": layout, "frequencies": "tensor2tensor", "offset": 2}}, []


def _picture(config: OriginalConfig) -> dict[str, Any]:
    height, width = config["image_height"], config["image_width"]
    return {
        "image_size": height if height == width else [height, width],
        "patch_size": config["patch_size"],
        "channels": config["channels_num"],
        "bias": False,
    }


def _patches(theirs: str, ours: str) -> list[WeightRule]:
    return [
        Reshaped(f"{theirs}.cls_emb", f"{ours}.class_token"),
        Same(f"{theirs}.projection.weight", f"{ours}.projection.weight"),
    ]


def _patch(config: OriginalConfig, theirs: str, ours: str) -> Made:
    return {"patch": _picture(config)}, _patches(theirs, f"{ours}.patch")


def _masked_patch(config: OriginalConfig, theirs: str, ours: str) -> Made:
    own = f"{ours}.masked_patch"
    rules = [*_patches(theirs, own), Reshaped(f"{theirs}.mask_emb", f"{own}.mask_token")]
    return {"masked_patch": _picture(config)}, rules


def _word_patch(config: OriginalConfig, theirs: str, ours: str) -> Made:
    own = f"{ours}.word_patch"
    words = Same(
        f"{theirs}.language_embedding.embedding.weight", f"{own}.text.parts.word.table.weight", vocabulary=True
    )
    # The original pads every text to the same length, so that the picture begins at the same position.
    patches = config["image_height"] // config["patch_size"] * (config["image_width"] // config["patch_size"])
    length = min(config["seq_length"] or 128, config["max_seq_length"] - patches - 1)
    return {"word_patch": {**_picture(config), "text_length": length}}, [
        words,
        *_patches(f"{theirs}.vision_embedding", f"{own}.picture.parts.patch"),
    ]


def _speech(config: OriginalConfig, theirs: str, ours: str) -> Made:
    channels, sizes = config["conv_channels"], config["conv_kernel_sizes"]
    if not isinstance(channels, list) or not isinstance(sizes, list) or len(channels) != len(sizes):
        raise TPError(f"{config.where}: 'conv_channels' and 'conv_kernel_sizes' must be lists of the same length")
    if not channels or not all(isinstance(each, int) and each > 0 for each in (*channels, *sizes)):
        raise TPError(f"{config.where}: 'conv_channels' and 'conv_kernel_sizes' must have integers above 0")
    if config["data_processor"] not in (None, "s2t"):
        raise TPError(
            f"{config.where}: 'speech' with the data processor '{config['data_processor']}' has no gates; only models "
            "of 's2t' can be converted"
        )
    inner = set(channels[:-1])
    if len(inner) > 1:
        raise TPError(f"{config.where}: 'conv_channels' has different sizes before the last, {channels[:-1]}")
    if channels[-1] != 2 * config.need("emb_size"):
        raise TPError(
            f"{config.where}: the last of 'conv_channels' is {channels[-1]}; expected twice 'emb_size', "
            f"{2 * config['emb_size']}"
        )
    tree = {
        "num_mel_bins": config["audio_feature_size"],
        "kernel_sizes": sizes,
        "strides": [2] * len(sizes),
        **({"channels": channels[0]} if inner else {}),
        "mask_padding": False,
        # The dataloader counts frames / 2 / 2, rounded down, where the convolutions round up.
        **({"whole_steps": True} if len(sizes) == 2 else {}),
        **_scaled(config),
    }
    layer = f"{theirs}.conv.conv_layers.{{layer}}.0"
    return {"speech": tree}, [Same(layer, f"{ours}.speech.convolutions.{{layer}}")]


#: Embeddings that make a sequence, which stands first here.
_FIRST = ("word", "patch", "masked_patch", "word_patch", "speech")

_MODULES = {
    "word": _word,
    "pos": _pos,
    "seg": _seg,
    "sinusoidalpos": _sinusoidal,
    "patch": _patch,
    "masked_patch": _masked_patch,
    "word_patch": _word_patch,
    "speech": _speech,
}
