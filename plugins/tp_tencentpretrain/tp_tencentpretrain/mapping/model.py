"""Models of the original: from a config and the tensors to a spec's ``model:`` part and a table of weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tp_core.interop.rules import Copy, Ignored, WeightRule
from tp_tencentpretrain.mapping.embedding import embedding
from tp_tencentpretrain.mapping.encoder import encoder
from tp_tencentpretrain.mapping.head import head
from tp_tencentpretrain.mapping.piece import Mirror, Piece
from tp_tencentpretrain.mapping.streams import dual
from tp_tencentpretrain.mapping.target import Words, targets
from tp_tencentpretrain.mapping.transformer import transformer_decoder
from tp_tencentpretrain.original.checkpoint import NoTensors
from tp_tencentpretrain.original.config import OriginalConfig


@dataclass(frozen=True)
class Converted:
    """A model of the original in our terms.

    Attributes:
        model: the ``model:`` part of a spec.
        rules: the table of weights.
        notes: sentences for the user.
        mirrors: tensors that the original stores twice.
    """

    model: dict[str, Any]
    rules: list[WeightRule]
    notes: list[str]
    mirrors: list[Mirror]


def converted(config: OriginalConfig, checkpoint: NoTensors, task: str | None = None) -> Converted:
    """Convert a config, with those facts that only the tensors show.

    Args:
        config: the config.
        checkpoint: the tensors.
        task: the task of a fine-tuned model (:func:`tp_tencentpretrain.mapping.head.task_of`); None for a pre-trained
            model, whose targets the config names.

    Raises:
        TPError: the config does not describe a model of the original, or one that cannot be converted.
    """
    model: dict[str, Any] = {"dropout": float(config["dropout"])}
    rows = _rows(checkpoint)
    if rows is not None:
        model["vocab_size"] = rows
    if any(name.endswith(_STORED) for name in checkpoint.shapes):
        config.stored_positions = True
    if task == "chid":
        config.unused_segments = True
    if config["encoder"] == "dual" or config.names("embedding") == ["dual"]:
        piece = dual(config, checkpoint)
        model |= piece.tree
        words = Words(None, checkpoint)
    else:
        piece = _single(config, checkpoint, model)
        words = Words(_table(config, checkpoint), checkpoint)
    notes = [_OF_CONVERTER] if _from_converter(checkpoint) else []
    notes += [_UNUSED] if task == "chid" and "seg" in config.names("embedding") else []
    heads = targets(config, words) if task is None else head(config, words, task)
    if heads.tree:
        model["target"] = heads.tree
    notes += weigh_segments(config, model)
    if "lm" not in [next(iter(each)) for each in heads.tree]:  # whose data have prefixes of their own
        show_first_text(config, model)
    return Converted(model, [*piece.rules, *heads.rules], [*notes, *piece.notes, *heads.notes], piece.mirrors)


_UNUSED = (
    "ChID models of the original have the segment 0 everywhere and see padding, so that their predictions depend on "
    "the length that texts are padded to: set data.processor.chid_padded.max_length to --seq_length"
)


def weigh_segments(config: OriginalConfig, model: dict[str, Any]) -> list[str]:
    """Add the weights of segments to a ``model:`` part with targets that pool pairs; returns notes.

    The original multiplies the states by the number of their segment, 1 or 2, before it pools. This is a weighted mean.
    For a pair, ``last`` reads a position behind the text, where states are zero, and ``max`` is the same large number
    for all texts, so that a model learns nothing from pairs.
    """
    pools = {options.get("pooling") for each in model.get("target", []) for options in each.values()} - {None, "first"}
    if not pools or not {"word", "word_patch"} & {*config.names("embedding")}:
        return []
    (pooling,) = pools
    if pooling == "mean":
        model["embedding"]["modules"].append("segment_weights")
        return [
            "the pooling 'mean' of the original gives the second text of a pair twice the weight: 'segment_weights'"
        ]
    return [
        f"the pooling '{pooling}' of the original is wrong for pairs of texts, and gives constants; the converted "
        "model pools the whole pair, so that only single texts have the same predictions"
    ]


def show_first_text(config: OriginalConfig, model: dict[str, Any]) -> None:
    """Make the first text of a ``model:`` part the prefix of its mask, if the mask has one.

    In the original, a prefix is the segment 1 under any data. The processors of the heads name no prefix.
    """
    if (
        "embedding" in model
        and config["encoder"] == "transformer"
        and config["mask"] not in ("fully_visible", "causal")
    ):
        model["embedding"]["modules"].append("segment_prefix")


_OF_CONVERTER = (
    "the checkpoint was made by the original's own converter from Hugging Face, which stores the encoder's positions "
    "where the original does not read them; the converted model uses them"
)


def _from_converter(checkpoint: NoTensors) -> bool:
    """True for a T5 that the original has never trained: its table of positions has the name that nothing reads."""
    table = "relative_pos_emb.relative_attention_bias.weight"
    return f"encoder.{table}" in checkpoint.shapes and f"encoder.transformer.0.{table}" not in checkpoint.shapes


def _single(config: OriginalConfig, checkpoint: NoTensors, model: dict[str, Any]) -> Piece:
    """Everything but the targets of a model without streams; its sizes are added to ``model``."""
    hidden, size = config.need("hidden_size"), config.need("emb_size")
    model["hidden_size"] = hidden
    if size != hidden:
        model["embedding_size"] = size
    made = {"embedding": embedding(config, config.names("embedding"), "embedding", "embedding")}
    made["encoder"] = encoder(config, "encoder", "encoder")
    rules: list[WeightRule] = []
    notes: list[str] = []
    if config["decoder"] is not None:
        config.one_of("decoder", "transformer")
        names = config.names("tgt_embedding")
        made["target_embedding"] = embedding(config, names, "tgt_embedding", "target_embedding")
        made["decoder"] = transformer_decoder(config)
        shared, note = _shared(config, checkpoint)
        model["share_embeddings"] = shared
        notes += note
        if shared:
            rules.append(Copy(_TARGET, of=_SOURCE, written=True))
        elif _TARGET in checkpoint.shapes and _SOURCE in checkpoint.shapes:
            size = checkpoint.shapes[_TARGET][0]
            model |= {"target_vocab_size": size} if size != checkpoint.shapes[_SOURCE][0] else {}
    for part, piece in made.items():
        model[part] = piece.tree
        rules += piece.rules
        notes += piece.notes
    if model.get("share_embeddings"):
        rules = [rule for rule in rules if getattr(rule, "ours", "") != "target_embedding.parts.word.table.weight"]
    return Piece({}, [*rules, *_sinusoids(checkpoint)], notes)


#: The end of the names of positions that old versions store.
_STORED = "sinusoidalpos.pe"

_SOURCE, _TARGET = "embedding.word.embedding.weight", "tgt_embedding.word.embedding.weight"


def _shared(config: OriginalConfig, checkpoint: NoTensors) -> tuple[bool, list[str]]:
    """True if the words of both sides are one table, and notes."""
    if not config["share_embedding"] or "word" not in config.names("tgt_embedding"):
        return False, []
    if _SOURCE in checkpoint.shapes and _TARGET in checkpoint.shapes and not checkpoint.equal(_SOURCE, _TARGET):
        note = f"the words of both sides differ although {config.where} has 'share_embedding': they are two tables"
        return False, [note]
    return True, []


def _table(config: OriginalConfig, checkpoint: NoTensors) -> str | None:
    """The original's name of the word embedding that our targets are tied to."""
    if config["decoder"] is not None and "word" in config.names("tgt_embedding"):
        return _SOURCE if config["share_embedding"] and _shared(config, checkpoint)[0] else _TARGET
    return _SOURCE if "word" in config.names("embedding") else None


def _rows(checkpoint: NoTensors) -> int | None:
    """The number of tokens: rows of the word embedding, or else of an output matrix."""
    ends = ("word.embedding.weight", "language_embedding.embedding.weight", "mlm.linear_2.weight")
    found = [shapes for end in ends for name, shapes in checkpoint.shapes.items() if name.endswith(end)]
    return found[0][0] if found else None


def _sinusoids(checkpoint: NoTensors) -> list[WeightRule]:
    """Positions that old versions store: sines and cosines as in the paper, from position 0."""
    names = [name for name in checkpoint.shapes if name.endswith(_STORED)]
    return [Ignored(name) for name in names]
