"""Dual models of the original: two streams."""

from __future__ import annotations

from typing import Any

from tp_core.errors import TPError
from tp_core.interop.rules import WeightRule
from tp_tencentpretrain.mapping.embedding import embedding
from tp_tencentpretrain.mapping.encoder import encoder
from tp_tencentpretrain.mapping.piece import Mirror, Piece
from tp_tencentpretrain.original.checkpoint import NoTensors
from tp_tencentpretrain.original.config import OriginalConfig

_KINDS = {"patch": "image", "masked_patch": "image", "speech": "audio", "word": "text"}


def dual(config: OriginalConfig, checkpoint: NoTensors) -> Piece:
    """The ``streams:`` part of a spec. With ``tie_weights``, both streams have the modules of the first."""
    if config.names("embedding") != ["dual"] or config["encoder"] != "dual":
        raise TPError(f"{config.where}: the embedding and the encoder must both be 'dual'")
    sides = [config.stream(key) for key in ("stream_0", "stream_1")]
    tied = bool(config["tie_weights"])
    if tied and not (same := _norms_equal(sides[1], checkpoint)):
        note = (
            "both streams share their weights in the original, but have a norm of their own after the embedding: the "
        )
        note += "embeddings are two copies now"
    notes = [] if not tied or same else [note]
    trees: dict[str, Any] = {}
    rules: list[WeightRule] = []
    mirrors: list[Mirror] = []
    first, width = "", sides[0].need("hidden_size")
    for number, (name, side) in enumerate(zip(_names(sides), sides)):
        theirs, ours = f"embedding.dual.embedding_{number}", f"streams.{name}"
        if number and tied:
            mirrors.append(Mirror("encoder.encoder_0.", "encoder.encoder_1."))
            mirrors += _mirrors() if same else []
        if number and tied and same:
            trees[name] = first
            break
        twice = f"embedding.dual.stream_{number}_layer_norm"
        own = embedding(side, side.names("embedding"), theirs, f"{ours}.embedding", twice)
        body = encoder(side, f"encoder.encoder_{number}", f"{ours}.encoder")
        of = {"encoder_of": first} if number and tied else {"encoder": _sized(body.tree, side, width)}
        trees[name] = {"embedding": _sized_embedding(own.tree, side, width), **of, "pooling": side["pooling"]}
        rules += own.rules + ([] if number and tied else body.rules)
        notes += own.notes + body.notes
        first = first or name
    return Piece({"hidden_size": width, "streams": trees}, rules, notes, mirrors)


def _mirrors() -> list[Mirror]:
    theirs = "embedding.dual"
    return [
        Mirror(f"{theirs}.embedding_0.", f"{theirs}.embedding_1."),
        Mirror(f"{theirs}.stream_0_layer_norm.", f"{theirs}.stream_1_layer_norm."),
    ]


def _norms_equal(side: OriginalConfig, checkpoint: NoTensors) -> bool:
    """True if dual streams with shared weights have equal norms, so that they can be one."""
    if side["remove_embedding_layernorm"]:
        return True
    pairs = [
        (f"embedding.dual.stream_0_layer_norm.{part}", f"embedding.dual.stream_1_layer_norm.{part}") for part in _NORM
    ]
    stored = [pair for pair in pairs if all(name in checkpoint.shapes for name in pair)]
    return all(checkpoint.equal(*pair) for pair in stored) if stored else checkpoint.one_norm


_NORM = ("gamma", "beta")


def _names(sides: list[OriginalConfig]) -> list[str]:
    """Names of the streams: what they read, or first and second if both read the same."""
    found = [_KINDS.get(side.names("embedding")[0], "") for side in sides]
    return found if all(found) and len(set(found)) == 2 else ["first", "second"]


def _sized(tree: dict[str, Any], side: OriginalConfig, width: int) -> dict[str, Any]:
    """The encoder of a stream, with its width if it is not that of the model."""
    ((name, options),) = tree.items()
    own = side.need("hidden_size")
    return {name: options if own == width else {"hidden_size": own, **options}}


def _sized_embedding(tree: dict[str, Any], side: OriginalConfig, width: int) -> dict[str, Any]:
    """The embedding component of a stream, whose modules have its width if it is not that of the model."""
    size = side.need("emb_size")
    if size == width:
        return tree
    modules = []
    for module in tree["modules"]:
        ((name, options),) = module.items() if isinstance(module, dict) else ((module, {}),)
        modules.append({name: {**options, "embedding_size": size}})
    return {**tree, "modules": modules}
