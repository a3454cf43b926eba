"""Targets of the original."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tp_core.errors import TPError
from tp_core.interop.rules import Copy, Same, Transposed, WeightRule
from tp_core.suggest import did_you_mean
from tp_tencentpretrain.mapping.norms import plain_norm
from tp_tencentpretrain.mapping.piece import Piece
from tp_tencentpretrain.mapping.transformer import activation
from tp_tencentpretrain.original.checkpoint import NoTensors
from tp_tencentpretrain.original.config import OriginalConfig


class Words:
    """The word embeddings that an output matrix may be tied to.

    Attributes:
        theirs: the original's name of the table that our targets are tied to; None if there is none.
        tensors: the checkpoint.
    """

    def __init__(self, theirs: str | None, tensors: NoTensors) -> None:
        self.theirs, self.tensors = theirs, tensors

    def tied(self, config: OriginalConfig, output: str) -> bool:
        """True if an output matrix is the table; the tensors decide if the checkpoint has both.

        Of the targets mlm and lm together, the original ties only the first.
        """
        if self.theirs is None:
            return False
        if output in self.tensors.shapes and self.theirs in self.tensors.shapes:
            return bool(config["tie_weights"]) and self.tensors.equal(output, self.theirs)
        other = output.startswith("target.lm.") and "mlm" in (config["target"] or ())
        return bool(config["tie_weights"]) and not other and not self._third(config)

    def _third(self, config: OriginalConfig) -> bool:
        """True if training makes the output matrix a third one, since words are shared after it is tied."""
        return self.tensors.apart and config["decoder"] is not None and bool(config["share_embedding"])

    def notes(self, config: OriginalConfig, output: str, tied: bool) -> list[str]:
        if not config["tie_weights"] or tied or self.theirs is None:
            return []
        if self._third(config):
            return ["with 'tie_weights' and 'share_embedding', the original's output matrix is a third one, as here"]
        return [
            f"'{output}' is not tied although {config.where} has 'tie_weights': its values differ from those of "
            f"'{self.theirs}' (with 'share_embedding', the original's output matrix is a third one)"
        ]


def targets(config: OriginalConfig, words: Words) -> Piece:
    """The ``target:`` part of a spec: the targets of the config, or those of the checkpoint if they differ."""
    trees, rules = [], []
    names, notes = _present(config, words)
    for name in names:
        piece = _MADE[name](config, words)
        trees.append(piece.tree)
        rules += piece.rules
        notes += piece.notes
    return Piece(trees, rules, notes)


def _present(config: OriginalConfig, words: Words) -> tuple[list[str], list[str]]:
    """The names of the targets, and notes.

    Raises:
        TPError: the config names an unknown target.
    """
    named = config.names("target") if config["target"] else []
    for name in named:
        if name not in _MADE:
            near = did_you_mean(name, _MADE) or f"known: {', '.join(_MADE)}"
            raise TPError(f"{config.where}: unknown target '{name}'; {near}")
    tensors = words.tensors.shapes
    if not tensors:
        return named, []
    stored = [name for name in _MADE if any(each.startswith(f"target.{name}.") for each in tensors)]
    if "lm" in named and "lm" not in stored and words.theirs in tensors and config["tie_weights"]:
        stored.append("lm")  # a tied output matrix may be stored once
    found = [name for name in named if name in stored] + [name for name in stored if name not in named]
    if sorted(found) == sorted(named):
        return named, []
    return found, [
        f"{config.where} has the targets {_listed(named)}, the checkpoint {_listed(found)}: the model has those of the "
        "checkpoint"
    ]


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none"


def _output(config: OriginalConfig, words: Words, theirs: str, ours: str, bias: bool) -> tuple[bool, list[WeightRule]]:
    """True if the output matrix is tied, and the rules of its tensors."""
    matrix = f"{theirs}.weight"
    if not words.tied(config, matrix):
        return False, [Same(theirs, ours, vocabulary=True)]
    assert words.theirs is not None
    rules: list[WeightRule] = [Same(f"{theirs}.bias", f"{ours}.bias", vocabulary=True)] if bias else []
    return True, [*rules, Copy(matrix, of=words.theirs, written=True, output=True)]


def _mlm(config: OriginalConfig, words: Words) -> Piece:
    theirs, ours, norm = "target.mlm", "targets.mlm", plain_norm()
    tied, rules = _output(config, words, f"{theirs}.linear_2", f"{ours}.output", bias=True)
    hidden, wide = config.need("hidden_size"), not config["factorized_embedding_parameterization"]
    different = config.need("emb_size") != hidden
    if tied and wide and different:
        raise TPError(f"{config.where}: a tied target 'mlm' needs 'emb_size' and 'hidden_size' to be equal")
    size = {"dense_size": hidden} if wide and different else {}
    tree = {"mlm": {"activation": activation(config), "norm": norm.tree, "tie": tied, **size}}
    rules += [Same(f"{theirs}.linear_1", f"{ours}.dense"), *norm.rules(f"{theirs}.layer_norm", f"{ours}.norm")]
    return Piece(tree, rules, words.notes(config, f"{theirs}.linear_2.weight", tied))


def _sp(config: OriginalConfig, words: Words) -> Piece:
    """The head for pairs: two sentences that follow each other, or a picture and a text that belong together (ViLT)."""
    ours = "itm" if "word_patch" in config.names("embedding") else "sp"
    rules: list[WeightRule] = [
        Same("target.sp.linear_1", f"targets.{ours}.dense"),
        Same("target.sp.linear_2", f"targets.{ours}.classifier"),
    ]
    return Piece({ours: {"dropout": 0.0}}, rules)


def _lm(config: OriginalConfig, words: Words) -> Piece:
    theirs, ours, bias = "target.lm.output_layer", "targets.lm.output", bool(config["has_lmtarget_bias"])
    tied, rules = _output(config, words, theirs, ours, bias)
    options: dict[str, Any] = {"tie": tied, "bias": bias}
    smoothing = config["label_smoothing"]
    if smoothing:
        # The original spreads it over the other tokens; spread over all, the same distribution needs a little more.
        shape = words.tensors.shapes.get(f"{theirs}.weight") or words.tensors.shapes.get(str(words.theirs))
        options["label_smoothing"] = smoothing * shape[0] / (shape[0] - 1) if shape else smoothing
    return Piece({"lm": options}, rules, words.notes(config, f"{theirs}.weight", tied))


def _bilm(config: OriginalConfig, words: Words) -> Piece:
    bias = bool(config["has_lmtarget_bias"])
    rule = Same("target.bilm.output_layer", "targets.bilm.output", vocabulary=True)
    return Piece({"bilm": {"bias": bias}}, [rule])


def _cls(config: OriginalConfig, words: Words) -> Piece:
    theirs, ours = "target.cls", "targets.cls"
    last = f"{theirs}.linear_2.weight"
    count = words.tensors.shapes[last][0] if last in words.tensors.shapes else config.need("labels_num")
    pooling = {} if config["pooling"] == "first" else {"pooling": config["pooling"]}
    tree = {"cls": {"num_labels": count, **pooling, "dropout": 0.0}}
    rules: list[WeightRule] = [
        Same(f"{theirs}.linear_1", f"{ours}.dense"),
        Same(f"{theirs}.linear_2", f"{ours}.classifier"),
    ]
    return Piece(tree, rules)


def _clr(config: OriginalConfig, words: Words) -> Piece:
    size = config.need("feature_size") if config["projection"] else None
    rules: list[WeightRule] = [Same("target.clr.logit_scale", "targets.clr.logit_scale")]
    if size is not None:
        rules += [
            Transposed(f"target.clr.encoder_{number}_projection", f"targets.clr.projections.{number}.weight")
            for number in (0, 1)
        ]
    return Piece({"clr": {"projection_size": size} if size is not None else {}}, rules)


_MADE: dict[str, Callable[[OriginalConfig, Words], Piece]] = {
    "mlm": _mlm,
    "sp": _sp,
    "lm": _lm,
    "bilm": _bilm,
    "cls": _cls,
    "clr": _clr,
}
