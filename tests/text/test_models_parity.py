"""Models built from specs compute what the reference implementations in ``transformers`` compute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.building import batch_of, build, mask_of, positions_of, tokens
from tests.text import hf_weights
from tests.text.parity import (
    VOCABULARY,
    Record,
    check,
    check_states,
    masked_labels,
    ours,
    real,
    reference,
    vocabulary_logits,
)

pytest.importorskip("transformers")

#: (real lengths of the samples, hidden size, heads, layers)
SHAPES = [
    ([9, 4, 1], 24, 4, 2),
    ([1], 16, 2, 1),
    ([21, 21, 13, 20], 48, 6, 3),
]


@pytest.mark.parametrize(("lengths", "hidden", "heads", "layers"), SHAPES)
def test_bert_for_pre_training(
    tmp_path: Path, record_property: Record, lengths: list[int], hidden: int, heads: int, layers: int
) -> None:
    theirs = reference(
        "BertForPreTraining",
        {
            "hidden_size": hidden,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "intermediate_size": 3 * hidden,
            "max_position_embeddings": 32,
        },
    )
    model = ours(
        tmp_path,
        {
            "hidden_size": hidden,
            "embedding": ["word", {"pos": {"max_length": 32}}, "seg"],
            "encoder": {"transformer": {"num_layers": layers, "num_heads": heads, "feed_forward_size": 3 * hidden}},
            "target": ["mlm", "sp"],
        },
        hf_weights.bert(theirs.state_dict(), heads),
    )
    mask = mask_of(lengths, max(lengths))
    ids, types = tokens(*mask.shape, high=VOCABULARY), tokens(*mask.shape, high=2, seed=1) % 2
    mlm, sp = masked_labels(ids, mask), torch.arange(len(lengths)) % 2
    output = theirs(
        input_ids=ids,
        attention_mask=mask,
        token_type_ids=types,
        labels=mlm,
        next_sentence_label=sp,
        output_hidden_states=True,
    )
    labels = {"mlm": {"labels": mlm}, "sp": {"labels": sp}}
    batch = batch_of(labels, input_ids=ids, attention_mask=mask, token_type_ids=types)
    check_states(model, batch, output, mask, record_property)
    target: Any = model.targets["sp"]
    check(
        record_property,
        logits=(real(vocabulary_logits(model, batch), mask), real(output.prediction_logits, mask)),
        sentence_logits=(target.class_logits(model.encode(batch)), output.seq_relationship_logits),
        loss=(model(batch).loss, output.loss),
    )


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize(("lengths", "hidden", "heads", "layers"), SHAPES)
def test_roberta_for_masked_lm(
    tmp_path: Path,
    record_property: Record,
    lengths: list[int],
    hidden: int,
    heads: int,
    layers: int,
    left: bool,
) -> None:
    theirs = reference(
        "RobertaForMaskedLM",
        {
            "hidden_size": hidden,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "intermediate_size": 2 * hidden,
            "max_position_embeddings": 34,
            "type_vocab_size": 1,
            "layer_norm_eps": 1e-5,
            "pad_token_id": 1,
        },
    )
    model = ours(
        tmp_path,
        {
            "hidden_size": hidden,
            "norm": {"layernorm": {"eps": 1e-5}},
            "embedding": ["word", {"pos": {"max_length": 32, "offset": 2}}],
            "encoder": {"transformer": {"num_layers": layers, "num_heads": heads, "feed_forward_size": 2 * hidden}},
            "target": "mlm",
        },
        hf_weights.roberta(theirs.state_dict(), heads),
    )
    mask = mask_of(lengths, max(lengths), left)
    ids = (tokens(*mask.shape, high=VOCABULARY - 2) + 2).masked_fill(mask == 0, 1).clamp(max=VOCABULARY - 1)
    labels = masked_labels(ids, mask)
    output = theirs(input_ids=ids, attention_mask=mask, labels=labels, output_hidden_states=True)
    positions = positions_of(mask) if left else None
    batch = batch_of({"mlm": {"labels": labels}}, input_ids=ids, attention_mask=mask, position_ids=positions)
    check_states(model, batch, output, mask, record_property)
    check(
        record_property,
        logits=(real(vocabulary_logits(model, batch), mask), real(output.logits, mask)),
        loss=(model(batch).loss, output.loss),
    )


@pytest.mark.parametrize(("lengths", "hidden", "heads", "layers"), SHAPES)
def test_albert_for_pre_training(
    tmp_path: Path, record_property: Record, lengths: list[int], hidden: int, heads: int, layers: int
) -> None:
    theirs = reference(
        "AlbertForPreTraining",
        {
            "embedding_size": 12,
            "hidden_size": hidden,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "intermediate_size": 2 * hidden,
            "max_position_embeddings": 32,
            "hidden_act": "gelu_new",
        },
    )
    model = ours(
        tmp_path,
        {
            "hidden_size": hidden,
            "embedding_size": 12,
            "embedding": ["word", {"pos": {"max_length": 32}}, "seg"],
            "encoder": {
                "transformer": {
                    "num_layers": layers,
                    "num_heads": heads,
                    "feed_forward_size": 2 * hidden,
                    "share_layers": True,
                }
            },
            "activation": "gelu_tanh",
            "target": ["mlm", "sp"],
        },
        hf_weights.albert(theirs.state_dict(), heads),
    )
    mask = mask_of(lengths, max(lengths))
    ids, types = tokens(*mask.shape, high=VOCABULARY), tokens(*mask.shape, high=2, seed=1) % 2
    mlm, sp = masked_labels(ids, mask), torch.arange(len(lengths)) % 2
    output = theirs(
        input_ids=ids,
        attention_mask=mask,
        token_type_ids=types,
        labels=mlm,
        sentence_order_label=sp,
        output_hidden_states=True,
    )
    labels = {"mlm": {"labels": mlm}, "sp": {"labels": sp}}
    batch = batch_of(labels, input_ids=ids, attention_mask=mask, token_type_ids=types)
    check_states(model, batch, output, mask, record_property)
    target: Any = model.targets["sp"]
    check(
        record_property,
        logits=(real(vocabulary_logits(model, batch), mask), real(output.prediction_logits, mask)),
        sentence_logits=(target.class_logits(model.encode(batch)), output.sop_logits),
        loss=(model(batch).loss, output.loss),
    )


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize(("buckets", "distance"), [(32, 128), (8, 20), (4, 3)])
def test_t5_encoder(
    tmp_path: Path, record_property: Record, buckets: int, distance: int, gated: bool, left: bool
) -> None:
    theirs = reference(
        "T5EncoderModel",
        {
            "d_model": 24,
            "d_kv": 10,
            "num_heads": 3,
            "d_ff": 40,
            "num_layers": 3,
            "feed_forward_proj": "gated-gelu" if gated else "relu",
            "relative_attention_num_buckets": buckets,
            "relative_attention_max_distance": distance,
        },
    )
    positions = {"relative": {"buckets": buckets, "max_distance": distance}}
    activation = "gelu_tanh" if gated else "relu"
    feed_forward = {"gated" if gated else "dense": {"activation": activation, "bias": False}}
    model = ours(
        tmp_path,
        {
            "hidden_size": 24,
            "embedding": {"modules": ["word"], "norm": "none"},
            "encoder": {
                "transformer": {
                    "num_layers": 3,
                    "num_heads": 3,
                    "feed_forward_size": 40,
                    "mixer": {"attention": {"head_size": 10, "positions": positions, "scale": 1.0, "bias": False}},
                    "feed_forward": feed_forward,
                    "norm": "rmsnorm",
                    "norm_position": "pre",
                }
            },
            "target": "cls",
        },
        hf_weights.t5_encoder(theirs.state_dict(), gated, heads=3)
        | {f"targets.cls.{n}": torch.zeros(s) for n, s in CLASSIFIER.items()},
    )
    mask = mask_of([40, 29, 2], 40, left)
    ids = tokens(*mask.shape, high=VOCABULARY)
    output = theirs(input_ids=ids, attention_mask=mask, output_hidden_states=True)
    check_states(model, batch_of(input_ids=ids, attention_mask=mask), output, mask, record_property)


CLASSIFIER = {
    "dense.weight": (24, 24),
    "dense.bias": (24,),
    "classifier.weight": (2, 24),
    "classifier.bias": (2,),
}


def test_speech2text_positions(tmp_path: Path, record_property: Record) -> None:
    from transformers.models.speech_to_text import modeling_speech_to_text as speech

    theirs = speech.Speech2TextSinusoidalPositionalEmbedding(64, 20, padding_idx=1)
    options = {"layout": "halves", "frequencies": "tensor2tensor", "offset": 2}
    model = build(
        tmp_path,
        {
            "hidden_size": 20,
            "embedding": {"modules": ["word", {"sinusoidal": options}], "norm": "none"},
            "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}},
            "target": "mlm",
        },
    )
    part: Any = model.embedding.parts["sinusoidal"]
    ids = torch.full((2, 50), 7)
    check(record_property, positions=(part.table(torch.arange(50)), theirs(ids)[0]))
