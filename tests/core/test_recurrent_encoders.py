"""Recurrent encoders compute their papers' formulas, in float64, position by position; padding has no part in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.building import CONTENT, READOUT, batch_of, build, mask_of, randomised, tokens, worst
from tp_core import Model, SpecError
from tp_core.interfaces import KVCache
from tp_core.options.ports import CAUSAL, TWO_DIRECTIONS
from tp_core.testing import check_module

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections")

TOLERANCE = 1e-5
LENGTHS = [9, 4, 1, 6]
ONE_STACK = ["rnn", "lstm", "gru"]
TWO_STACKS = ["birnn", "bilstm", "bigru"]

CASES: list[tuple[str, dict[str, Any]]] = [
    *((name, options) for name in ONE_STACK for options in ({}, {"num_layers": 3}, {"bidirectional": True})),
    *((name, {"num_layers": layers}) for name in TWO_STACKS for layers in (1, 3)),
    ("gru", {"num_layers": 3, "residual": True}),
    ("lstm", {"num_layers": 2, "residual": True, "bidirectional": True}),
    ("lstm", {"num_layers": 2, "cell_size": 20}),
    ("lstm", {"num_layers": 2, "cell_size": 20, "bidirectional": True}),
    ("bilstm", {"num_layers": 3, "cell_size": 11, "residual": True}),
]


def case_name(case: Any) -> str:
    name, options = case
    return "-".join([name, *(f"{k}={v}" for k, v in options.items())])


every_case = pytest.mark.parametrize("case", CASES, ids=case_name)


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
    return randomised(build(folder, parts | sizes), std=0.5)


@torch.no_grad()
def states(model: Model, kv_cache: KVCache | None = None, **source: Tensor | None) -> Tensor:
    return model.encode(batch_of(None, **source), kv_cache).sequence.states


# -- the formulas ------------------------------------------------------------------------------------------------


def read(weights: Mapping[str, Tensor], suffix: str, cell: str, inputs: Tensor) -> Tensor:
    """One direction of one layer over (length, size)."""
    into, over = weights[f"weight_ih_l0{suffix}"], weights[f"weight_hh_l0{suffix}"]
    into_bias, over_bias = weights[f"bias_ih_l0{suffix}"], weights[f"bias_hh_l0{suffix}"]
    state, memory = torch.zeros(over.shape[1]).double(), torch.zeros(over.shape[0] // 4).double()
    found = []
    for x in inputs:
        a, b = into @ x + into_bias, over @ state + over_bias
        if cell == "rnn":
            state = torch.tanh(a + b)
        elif cell == "gru":
            (ra, za, na), (rb, zb, nb) = a.chunk(3), b.chunk(3)
            reset, update = torch.sigmoid(ra + rb), torch.sigmoid(za + zb)
            state = (1 - update) * torch.tanh(na + reset * nb) + update * state
        else:
            i, f, g, o = (a + b).chunk(4)
            memory = torch.sigmoid(f) * memory + torch.sigmoid(i) * torch.tanh(g)
            state = torch.sigmoid(o) * torch.tanh(memory)
            if f"weight_hr_l0{suffix}" in weights:
                state = weights[f"weight_hr_l0{suffix}"] @ state
        found.append(state)
    return torch.stack(found)


def stack(weights: Mapping[str, Tensor], name: str, cell: str, inputs: Tensor, options: Mapping[str, Any]) -> Tensor:
    for number in range(options.get("num_layers", 1)):
        prefix = f"{name}.layers.{number}."
        layer = {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
        outputs = read(layer, "", cell, inputs)
        if options.get("bidirectional"):
            outputs = torch.cat([outputs, read(layer, "_reverse", cell, inputs.flip(0)).flip(0)], dim=1)
        inputs = outputs + inputs if number and options.get("residual") else outputs
    return inputs


def expected(model: Model, case: tuple[str, dict[str, Any]], ids: Tensor) -> Tensor:
    """States (length, hidden) of one unpadded sample."""
    name, options = case
    weights = {n.removeprefix("encoder."): w.double() for n, w in model.weights().items()}
    with torch.no_grad():
        inputs = model.embedding({"input_ids": ids[None]}).states[0].double()
    if name in ONE_STACK:
        return stack(weights, "stack", name, inputs, options)
    ahead = stack(weights, "ahead", name[2:], inputs, options)
    return torch.cat([ahead, stack(weights, "back", name[2:], inputs.flip(0), options).flip(0)], dim=1)


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


@pytest.mark.parametrize("name", ONE_STACK)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_states_are_those_of_one_torch_network_of_several_layers(
    tmp_path: Path, name: str, bidirectional: bool
) -> None:
    model = model_of(tmp_path, (name, {"num_layers": 3, "bidirectional": bidirectional}))
    size = 6 if bidirectional else 12
    theirs = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[name](
        10, size, num_layers=3, bidirectional=bidirectional, batch_first=True
    )
    for key, value in model.weights().items():
        if key.startswith("encoder.stack.layers."):
            number, weight = key.removeprefix("encoder.stack.layers.").split(".")
            theirs.get_parameter(weight.replace("_l0", f"_l{number}")).data.copy_(value)
    ids = tokens(3, 8)
    with torch.no_grad():
        wanted, _ = theirs(model.embedding({"input_ids": ids}).states)
    assert worst(states(model, input_ids=ids), wanted) < TOLERANCE


def test_a_sample_without_any_real_position_harms_no_other(tmp_path: Path) -> None:
    for case in (("lstm", {"bidirectional": True}), ("bigru", {}), ("rnn", {})):
        model = model_of(tmp_path, case)
        ids = tokens(2, 5)
        found = states(model, input_ids=ids, attention_mask=mask_of([5, 0], 5))
        assert worst(found[0], states(model, input_ids=ids[:1])[0]) < TOLERANCE
        assert not found[1].any()


@every_case
def test_packed_documents_are_read_one_by_one(tmp_path: Path, case: Any) -> None:
    model = model_of(tmp_path, case)
    ids, mask = tokens(2, 9), mask_of([9, 7], 9)
    documents = torch.tensor([[0, 0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 1, 1, 1, 1, 2, 2, 2]])
    found = states(model, input_ids=ids, attention_mask=mask, document_ids=documents)
    for row in range(2):
        for document in range(3):
            inside = (documents[row] == document) & mask[row].bool()
            assert worst(found[row][inside], expected(model, case, ids[row][inside])) < TOLERANCE
    assert not found[~mask.bool()].any()


# -- directions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("name", TWO_STACKS)
@pytest.mark.parametrize("padded", [False, True])
def test_no_half_of_two_stacks_sees_what_the_other_reads(
    tmp_path: Path, name: str, residual: bool, padded: bool
) -> None:
    model = model_of(tmp_path, (name, {"num_layers": 3, "residual": residual}))
    ids, at = tokens(2, 9), 4
    mask = mask_of([9, 7], 9) if padded else None
    later, earlier = ids.clone(), ids.clone()
    later[:, at + 1 :] = tokens(2, 4, seed=7)
    earlier[:, :at] = tokens(2, 4, seed=8)
    before = states(model, input_ids=ids, attention_mask=mask)
    after_later = states(model, input_ids=later, attention_mask=mask)
    after_earlier = states(model, input_ids=earlier, attention_mask=mask)
    assert worst(before[:, : at + 1, :6], after_later[:, : at + 1, :6]) < 1e-6
    assert worst(before[:, : at + 1, 6:], after_later[:, : at + 1, 6:]) > 1e-3
    assert worst(before[:, at:, 6:], after_earlier[:, at:, 6:]) < 1e-6
    assert worst(before[:, at:, :6], after_earlier[:, at:, :6]) > 1e-3


def test_layers_that_read_in_both_directions_do_see_everything(tmp_path: Path) -> None:
    model = model_of(tmp_path, ("lstm", {"num_layers": 2, "bidirectional": True}))
    ids = tokens(1, 6)
    changed = ids.clone()
    changed[:, 5] = (changed[:, 5] + 1) % 41
    assert worst(states(model, input_ids=ids)[:, 0, :6], states(model, input_ids=changed)[:, 0, :6]) > 1e-4


@every_case
def test_what_the_states_are_said_to_be(tmp_path: Path, case: Any) -> None:
    name, options = case
    config = model_of(tmp_path, case).spec.model.streams[""].encoder.config
    causal = name in ONE_STACK and not options.get("bidirectional")
    from tp_core.options.context import BuildContext

    wanted = {TWO_DIRECTIONS} if name in TWO_STACKS else {CAUSAL} if causal else set()
    assert set(config.provides(BuildContext())) == wanted


# -- decoding piece by piece -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "case",
    [(name, options) for name, options in CASES if name in ONE_STACK and not options.get("bidirectional")],
    ids=case_name,
)
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


def test_a_cache_that_is_reordered_goes_on_with_the_other_samples(tmp_path: Path) -> None:
    model = model_of(tmp_path, ("lstm", {"num_layers": 2, "cell_size": 20}))
    ids, order = tokens(3, 6), torch.tensor([2, 2, 0, 1])
    kv_cache = KVCache()
    states(model, kv_cache, input_ids=ids[:, :4])
    kv_cache.reorder(order)
    found = states(model, kv_cache, input_ids=ids[order, 4:])
    assert worst(found, states(model, input_ids=ids[order])[:, 4:]) < TOLERANCE


@pytest.mark.parametrize("case", [("gru", {"bidirectional": True}), ("bilstm", {})], ids=case_name)
def test_networks_of_two_directions_refuse_a_cache(tmp_path: Path, case: Any) -> None:
    with pytest.raises(ValueError, match="piece by piece"):
        states(model_of(tmp_path, case), KVCache(), input_ids=tokens(1, 3))


# -- training ----------------------------------------------------------------------------------------------------


@every_case
def test_modules_conform(case: Any) -> None:
    check_module(case[0], "encoder", {"hidden_size": 12, **case[1]})


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
@every_case
def test_lower_precision_runs_and_is_near(tmp_path: Path, case: Any, precision: torch.dtype) -> None:
    """Also on CPUs without kernels for it, with which torch raises."""
    model = model_of(tmp_path, case)
    batch = batch_of(input_ids=tokens(3, 6), attention_mask=mask_of([6, 2, 4], 6))
    exact = model.encode(batch).sequence.states
    with torch.autocast("cpu", dtype=precision):
        output = model(batch)
        assert worst(model.encode(batch).sequence.states.float(), exact) < 0.1
    output.loss.backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in model.parameters())


@pytest.mark.parametrize("case", [("lstm", {"num_layers": 3}), ("gru", {"bidirectional": True}), ("bilstm", {})])
def test_recomputed_activations_give_the_same_gradients_dropout_included(tmp_path: Path, case: Any) -> None:
    model = model_of(tmp_path, case, dropout=0.4).train()
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


def test_dropout_acts_in_training_between_layers_and_on_the_output(tmp_path: Path) -> None:
    model = model_of(tmp_path, ("lstm", {"num_layers": 2, "dropout": 0.5}))
    ids = tokens(64, 8)
    exact = states(model, input_ids=ids)
    model.train()
    torch.manual_seed(0)
    dropped = model.encode(batch_of(input_ids=ids)).sequence.states
    assert (dropped == 0).float().mean().item() == pytest.approx(0.5, abs=0.03)
    kept = dropped != 0
    # Were the output alone dropped, the rest would be twice the exact states.
    assert worst(dropped[kept], 2 * exact[kept]) > 0.1


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (("gru", {"bidirectional": True, "hidden_size": 15}), "gru.hidden_size: must be even"),
        (("bilstm", {"hidden_size": 15}), "bilstm.hidden_size: must be even, as each direction has half of it; got 15"),
        (("lstm", {"cell_size": 12}), "lstm.cell_size: must be greater than 12, the width of the projection; got 12"),
        (("gru", {"cell_size": 12}), "unknown option 'cell_size'"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path: Path, case: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        model_of(tmp_path, case)


def test_an_odd_width_is_fine_for_one_direction(tmp_path: Path) -> None:
    assert states(model_of(tmp_path, ("gru", {"hidden_size": 15})), input_ids=tokens(1, 3)).shape == (1, 3, 15)


@pytest.mark.parametrize(
    ("case", "per_token"),
    [
        # 2 FLOPs for each of the weights that a token meets.
        (("rnn", {"num_layers": 2}), 2 * (10 * 12 + 12 * 12 + 2 * 12 * 12)),
        (("lstm", {"bidirectional": True}), 2 * 2 * 4 * (10 * 6 + 6 * 6)),
        (("bigru", {"num_layers": 2}), 2 * 2 * 3 * (10 * 6 + 6 * 6 + 2 * 6 * 6)),
    ],
)
def test_the_price_counts_every_position_of_every_layer(tmp_path: Path, case: Any, per_token: int) -> None:
    from tp_core.cost.pricing import price

    cost = price(model_of(tmp_path, case).spec, batch_size=2, length=7)
    readout = 2 * 12
    assert cost.note == ""
    assert cost.forward_flops_per_unit == per_token + readout
    assert cost.activation_memory is not None
    assert cost.activation_memory > 0
