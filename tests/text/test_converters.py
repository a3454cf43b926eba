"""Models of Hugging Face, converted to tp and back, compute what they computed."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import tp_core
from tests.building import worst
from tests.text import checkpoints
from tests.text.checkpoints import CASES, SHAPES, Case, Example, counted, example, make
from tests.text.parity import TOLERANCE, Record, check, check_states, real, vocabulary_logits
from tp_core import Model, load_model

transformers = pytest.importorskip("transformers")


def to_tp(source: Path, target: Path, **options: Any) -> Model:
    return load_model(tp_core.convert("huggingface", source, "tp", target, **options), "cpu").model


def to_huggingface(source: Path, target: Path, **options: Any) -> Path:
    return tp_core.convert("tp", source, "huggingface", target, **options)


def reloaded(case: Case, folder: Path) -> Any:
    """The model that transformers makes of a folder, every tensor of which it must find and want."""
    cls = getattr(transformers, case.cls)
    checkpoints.quiet()
    model, info = cls.from_pretrained(folder, attn_implementation="eager", output_loading_info=True)
    lacking = {name for name in info["missing_keys"] if not (case.cls == "BertModel" and name.startswith("pooler."))}
    assert not lacking
    assert not info["unexpected_keys"]
    assert not info["mismatched_keys"]
    return model.eval()


def outputs(model: Any, batch: Example) -> Any:
    given = batch.theirs
    if "labels" in given and "labels" not in inspect.signature(model.forward).parameters:
        given = {name: value for name, value in given.items() if name != "labels"}
    with torch.no_grad():
        return model(**given, output_hidden_states=True)


def compare(model: Model, case: Case, found: Any, batch: Example, record: Record) -> None:
    """States after every layer, logits of every head, and the loss."""
    if case.kind == "seq2seq":
        compare_both_sides(model, found, batch, record)
        return
    check_states(model, batch.ours, found, batch.mask, record)
    if case.kind in ("mlm", "pretraining", "sop", "lm"):
        theirs = found.logits if "logits" in found else found.prediction_logits
        check(record, logits=(real(vocabulary_logits(model, batch.ours), batch.mask), real(theirs, batch.mask)))
    for name, key in (("sp", {"sop": "sop_logits", "nsp": "logits"}.get(case.kind, "")), ("cls", "logits")):
        if name in model.targets:
            target: Any = model.targets[name]
            key = key or "seq_relationship_logits"
            check(record, **{name: (target.class_logits(model.encode(batch.ours)), found[key])})
    if case.kind == "tokens":
        token_logits: Any = model.targets["token_cls"].token_logits  # type: ignore[union-attr]
        own, _ = token_logits(model.encode(batch.ours), batch.ours)
        check(record, logits=(real(own, batch.mask), real(found.logits, batch.mask)))
    if case.kind == "qa":
        theirs = torch.stack([found.start_logits, found.end_logits], dim=1)
        span_logits: Any = model.targets["qa"].span_logits  # type: ignore[union-attr]
        mask = batch.mask.unsqueeze(1).expand_as(theirs)
        check(record, qa=(real(span_logits(model.encode(batch.ours)), mask), real(theirs, mask)))
        if not bool(batch.mask.all()):
            return  # transformers' softmax is over the padding, too
    if "choice" in model.targets:
        choosing: Any = model.targets["choice"]
        check(record, choice=(choosing.scores(model.encode(batch.ours), batch.ours), found.logits))
    if case.kind in ("multi_label", "regression"):
        head: Any = model.targets[case.kind]
        scores = (head.class_logits if case.kind == "multi_label" else head.values)(model.encode(batch.ours))
        check(record, logits=(scores, found.logits))
    if case.kind != "states" and counted(batch):
        check(record, loss=(model(batch.ours).loss, found.loss))


@torch.no_grad()
def compare_both_sides(model: Model, found: Any, batch: Example, record: Record) -> None:
    """States after every layer of the encoder and the decoder; logits and loss, if there is a head."""
    states: dict[str, list[Tensor]] = {"encoder": [], "decoder": []}
    handles = [
        layer.register_forward_hook(lambda _, args, output, side=side: states[side].append(output[0]))
        for side in states
        for layer in getattr(model, side).layers
    ]
    features = model.encode(batch.ours)
    for handle in handles:
        handle.remove()
    assert features.memory is not None
    assert batch.source_mask is not None
    for side, final, mask in (
        ("encoder", features.memory.states, batch.source_mask),
        ("decoder", features.sequence.states, batch.mask),
    ):
        ours = torch.stack([s[mask.bool()] for s in (*states[side][:-1], final)])
        theirs = torch.stack([s[mask.bool()] for s in found[f"{side}_hidden_states"][1:]])
        # What layers with norms before them add up to is far above 1, and float32 has seven digits of it.
        largest = theirs.abs().max().clamp(min=1)
        check(record, **{side: (ours / largest, theirs / largest)})
    if "lm" in model.targets:
        target: Any = model.targets["lm"]
        check(
            record,
            logits=(real(target.token_logits(features.sequence.states), batch.mask), real(found.logits, batch.mask)),
        )
        if counted(batch):
            check(record, loss=(model(batch.ours).loss, found.loss))


def values_of(found: Any) -> list[Tensor]:
    flat: list[Tensor] = []
    for value in found.values():
        flat += [each for each in (value if isinstance(value, tuple) else [value]) if isinstance(each, Tensor)]
    return flat


@pytest.mark.parametrize(("lengths", "hidden", "heads", "layers"), SHAPES, ids=["padded", "one token", "long"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_model_is_the_same_after_each_way(
    tmp_path: Path,
    record_property: Record,
    case: Case,
    lengths: list[int],
    hidden: int,
    heads: int,
    layers: int,
) -> None:
    theirs = make(case, hidden, heads, layers)
    theirs.save_pretrained(tmp_path / "first")
    model = to_tp(tmp_path / "first", tmp_path / "ours")
    again = reloaded(case, to_huggingface(tmp_path / "ours", tmp_path / "second"))
    for left in (False, True)[: 2 if case.left else 1]:
        batch = example(case, theirs, lengths, left)
        found = outputs(theirs, batch)
        compare(model, case, found, batch, record_property)
        skipped = "pooler_output"  # of the bare model, which has no target that would keep its weights
        before = [v for k, v in found.items() if k != skipped]
        after = [v for k, v in outputs(again, batch).items() if k != skipped]
        for one, other in zip(values_of(dict(enumerate(before))), values_of(dict(enumerate(after))), strict=True):
            finite = torch.isfinite(one)  # the loss of a batch without labels is none
            assert worst(one[finite], other[finite]) < TOLERANCE if bool(finite.any()) else True
