"""Convolutional encoders compute their papers' formulas, in float64; padding has no part in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.building import CONTENT, READOUT, batch_of, build, mask_of, randomised, tokens, worst
from tp_core import Model, SpecError
from tp_core.cost.pricing import price
from tp_core.interfaces import KVCache
from tp_core.testing import check_module

TOLERANCE = 1e-5
LENGTHS = [9, 4, 1, 6]

CASES: list[tuple[str, dict[str, Any]]] = [
    ("cnn", {}),
    ("cnn", {"kernel_sizes": [2]}),
    ("cnn", {"kernel_sizes": [1, 6], "activation": "tanh"}),
    ("gatedcnn", {"num_layers": 1}),
    ("gatedcnn", {"num_layers": 4, "kernel_size": 3}),
    ("gatedcnn", {"num_layers": 6, "kernel_size": 2, "block_size": 2}),
    ("gatedcnn", {"num_layers": 3, "kernel_size": 1}),
]


def case_name(case: Any) -> str:
    name, options = case
    return "-".join([name, *(f"{k}={v}" for k, v in options.items())])


every_case = pytest.mark.parametrize("case", CASES, ids=case_name)
every_gated_case = pytest.mark.parametrize("case", [c for c in CASES if c[0] == "gatedcnn"], ids=case_name)


def model_of(folder: Path, case: tuple[str, dict[str, Any]], **sizes: Any) -> Model:
    name, options = case
    parts = {
        "hidden_size": 12,
        "embedding_size": 10,
        "vocab_size": 41,
        "dropout": 0.0,
        "embedding": {"modules": [CONTENT], "norm": "none"},
        "encoder": {name: options},
        "target": [READOUT],
    }
    return randomised(build(folder, parts | sizes))


@torch.no_grad()
def states(model: Model, kv_cache: KVCache | None = None, **source: Tensor | None) -> Tensor:
    return model.encode(batch_of(None, **source), kv_cache).sequence.states


def windows(inputs: Tensor, weight: Tensor, bias: Tensor, ahead: int) -> Tensor:
    """(length, size) → (length, filters): each filter over the positions up to ``ahead`` further on."""
    width, length = weight.shape[2], len(inputs)
    found = []
    for at in range(length):
        total = bias.clone()
        for offset in range(width):
            place = at + ahead - (width - 1) + offset
            if 0 <= place < length:
                total += weight[:, :, offset] @ inputs[place]
        found.append(total)
    return torch.stack(found)


def expected(model: Model, case: tuple[str, dict[str, Any]], ids: Tensor) -> Tensor:
    """States (length, hidden) of one unpadded sample."""
    name, options = case
    weights = {n.removeprefix("encoder."): w.double() for n, w in model.weights().items()}
    with torch.no_grad():
        inputs = model.embedding({"input_ids": ids[None]}).states[0].double()
    if name == "cnn":
        each = [
            windows(inputs, weights[f"convolutions.{i}.weight"], weights[f"convolutions.{i}.bias"], width // 2)
            for i, width in enumerate(options.get("kernel_sizes", [3, 4, 5]))
        ]
        joined = torch.cat(each, dim=1)
        return torch.tanh(joined) if options.get("activation") == "tanh" else joined.clamp(min=0)
    outputs, block = inputs, inputs
    for number in range(options["num_layers"]):
        weight, bias = (weights[f"layers.{number}.convolution.{kind}"] for kind in ("weight", "bias"))
        (a_weight, b_weight), (a_bias, b_bias) = weight.chunk(2), bias.chunk(2)
        values, gates = windows(outputs, a_weight, a_bias, 0), windows(outputs, b_weight, b_bias, 0)
        outputs = values * torch.sigmoid(gates)
        if number and number % options.get("block_size", 1) == 0:
            outputs = outputs + block
        if number % options.get("block_size", 1) == 0:
            block = outputs
    return outputs


@every_case
@pytest.mark.parametrize("padding", ["right", "left", "scattered"])
def test_states_follow_the_formulas_wherever_padding_stands(tmp_path: Path, case: Any, padding: str) -> None:
    model = model_of(tmp_path, case)
    mask = mask_of(LENGTHS, 11, left=padding == "left")
    if padding == "scattered":
        mask = mask.gather(1, torch.rand(mask.shape, generator=torch.Generator().manual_seed(1)).argsort(1))
    ids = tokens(*mask.shape)
    found = states(model, input_ids=ids, attention_mask=mask)
    for row, real in enumerate(mask.bool()):
        wanted = expected(model, case, ids[row][real])
        assert worst(found[row][real], wanted) < TOLERANCE
        assert worst(states(model, input_ids=ids[row][real][None])[0], wanted) < TOLERANCE
        assert not found[row][~real].any()


@every_case
def test_packed_documents_are_read_one_by_one(tmp_path: Path, case: Any) -> None:
    model = model_of(tmp_path, case)
    ids, documents = tokens(2, 9), torch.tensor([[0, 0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 1, 1, 1, 1, 2, 2, 2]])
    found = states(model, input_ids=ids, document_ids=documents)
    for row in range(2):
        for document in range(3):
            inside = documents[row] == document
            assert worst(found[row][inside], expected(model, case, ids[row][inside])) < TOLERANCE


def test_max_pooling_gives_the_features_of_kims_classifier(tmp_path: Path) -> None:
    sizes = [3, 4, 5]
    model = model_of(tmp_path, ("cnn", {"kernel_sizes": sizes}))
    mask = mask_of(LENGTHS, 9)
    ids = tokens(*mask.shape)
    with torch.no_grad():
        sequence = model.encode(batch_of(input_ids=ids, attention_mask=mask)).sequence
        embedded = model.embedding({"input_ids": ids}).states.double()
    for row, length in enumerate(LENGTHS):
        inputs = embedded[row, :length].T
        wanted = []
        for number, size in enumerate(sizes):
            weight, bias = (
                model.weights()[f"encoder.convolutions.{number}.{kind}"].double() for kind in ("weight", "bias")
            )
            padded = F.pad(inputs, ((size - 1) // 2, size // 2))
            wanted.append(F.conv1d(padded, weight, bias).relu().amax(dim=1))
        assert worst(sequence.pooled("max")[row], torch.cat(wanted)) < TOLERANCE


@every_gated_case
def test_gated_convolutions_see_no_later_position_and_as_many_earlier_ones_as_they_reach(
    tmp_path: Path, case: Any
) -> None:
    model = model_of(tmp_path, case)
    ids, at = tokens(2, 9), 5
    reach = case[1]["num_layers"] * (case[1].get("kernel_size", 4) - 1)
    later, earlier = ids.clone(), ids.clone()
    later[:, at + 1 :] = (later[:, at + 1 :] + 1) % 41
    outside = max(0, at - reach)
    earlier[:, :outside] = (earlier[:, :outside] + 1) % 41
    before = states(model, input_ids=ids)
    assert worst(before[:, : at + 1], states(model, input_ids=later)[:, : at + 1]) < 1e-6
    assert worst(before[:, at], states(model, input_ids=earlier)[:, at]) < 1e-6
    earlier[:, outside] = (earlier[:, outside] + 1) % 41
    assert worst(before[:, at], states(model, input_ids=earlier)[:, at]) > 0


@every_gated_case
@pytest.mark.parametrize("padding", ["none", "left", "right"])
@pytest.mark.parametrize("chunks", [[1] * 10, [5, 1, 1, 3]], ids=["one by one", "in chunks"])
def test_incremental_decoding_equals_full_decoding(tmp_path: Path, case: Any, padding: str, chunks: list[int]) -> None:
    model = model_of(tmp_path, case)
    width, prompt = sum(chunks), 5
    mask = torch.ones(3, width, dtype=torch.long)
    if padding != "none":
        mask[:, :prompt] = mask_of([5, 2, 0], prompt, left=padding == "left")
    ids = tokens(3, width)
    kv_cache, found, start = KVCache(), [], 0
    for size in chunks:
        part = slice(start, start + size)
        masked = padding != "none" and start < prompt
        found.append(states(model, kv_cache, input_ids=ids[:, part], attention_mask=mask[:, part] if masked else None))
        start += size
    stepwise = torch.cat(found, dim=1)
    for row, real in enumerate(mask.bool()):
        assert worst(stepwise[row][real], states(model, input_ids=ids[row][real][None])[0]) < TOLERANCE


def test_filters_that_see_later_positions_refuse_a_cache(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="piece by piece"):
        states(model_of(tmp_path, ("cnn", {})), KVCache(), input_ids=tokens(1, 3))


@every_case
def test_modules_conform(case: Any) -> None:
    check_module(case[0], "encoder", {"hidden_size": 12, **case[1]})


@every_case
def test_lower_precision_runs_and_is_near(tmp_path: Path, case: Any) -> None:
    model = model_of(tmp_path, case)
    batch = batch_of(input_ids=tokens(3, 6), attention_mask=mask_of([6, 2, 4], 6))
    exact = model.encode(batch).sequence.states
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(batch)
        assert worst(model.encode(batch).sequence.states, exact) < 0.02
    output.loss.backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in model.parameters())


def test_recomputed_activations_give_the_same_gradients_dropout_included(tmp_path: Path) -> None:
    model = model_of(tmp_path, ("gatedcnn", {"num_layers": 3, "dropout": 0.4})).train()
    batch = batch_of(input_ids=tokens(3, 6), attention_mask=mask_of([6, 2, 4], 6))
    gradients = []
    for recompute in (False, True):
        model.zero_grad()
        model.checkpoint_activations(recompute)
        torch.manual_seed(3)
        model(batch).loss.backward()
        gradients.append({n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    assert all(torch.equal(value, gradients[1][name]) for name, value in gradients[0].items())


def test_gated_layers_keep_the_variance_of_their_input_at_the_start(tmp_path: Path) -> None:
    parts = {
        "hidden_size": 200,
        "vocab_size": 500,
        "embedding": {"modules": [CONTENT], "norm": "none", "dropout": 0.0},
        # One block of all layers, so that there is no residual connection.
        "encoder": {"gatedcnn": {"num_layers": 4, "kernel_size": 3, "block_size": 9}},
        "target": [READOUT],
    }
    found = states(build(tmp_path, parts), input_ids=tokens(4, 64, high=500))
    assert found[:, 20:].std().item() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        ({"cnn": {"hidden_size": 100}}, "cnn.hidden_size: 100 is not divisible by the 3 widths.*did you mean 99?"),
        ({"cnn": {"kernel_sizes": []}}, "cnn.kernel_sizes"),
        ({"cnn": {"kernel_sizes": [3, 0]}}, r"cnn.kernel_sizes\[1\]"),
        ({"gatedcnn": {"kernel_size": 0}}, "gatedcnn.kernel_size"),
        ({"identity": {"hidden_size": 12}}, "identity.hidden_size: is 12, but the embeddings.*are 10 wide"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path: Path, encoder: dict[str, Any], message: str) -> None:
    ((name, options),) = encoder.items()
    with pytest.raises(SpecError, match=message):
        model_of(tmp_path, (name, options))


def test_identity_gives_back_the_embeddings(tmp_path: Path) -> None:
    model = model_of(tmp_path, ("identity", {}), hidden_size=10)
    ids, mask = tokens(2, 5), mask_of([5, 3], 5)
    assert torch.equal(states(model, input_ids=ids, attention_mask=mask), model.embedding({"input_ids": ids}).states)
    assert price(model.spec, batch_size=2, length=5).forward_flops_per_unit == 2 * 10  # the readout's
    check_module("identity", "encoder")


@pytest.mark.parametrize(
    ("case", "per_token"),
    [
        # 2 FLOPs for each of the weights that a position meets.
        (("cnn", {}), 2 * 10 * 4 * (3 + 4 + 5)),
        (("gatedcnn", {"num_layers": 3, "kernel_size": 2}), 2 * 2 * 2 * (10 * 12 + 2 * 12 * 12)),
    ],
)
def test_the_price_counts_every_position_of_every_layer(tmp_path: Path, case: Any, per_token: int) -> None:
    cost = price(model_of(tmp_path, case).spec, batch_size=2, length=7)
    assert cost.note == ""
    assert cost.forward_flops_per_unit == per_token + 2 * 12
