"""Fourier mixing is what the paper's formula and FNet of ``transformers`` say; padding takes part only when asked."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.building import batch_of, encoder_model, mask_of, randomised, tokens, worst
from tp_core import Model, SpecError
from tp_core.cost.pricing import price
from tp_core.interfaces import KVCache, Sequence
from tp_core.interfaces.layer_parts import StackPass
from tp_core.modules.mixers.fourier import FourierMixing
from tp_core.modules.mixers.fourier_options import FourierConfig
from tp_core.options.context import BuildContext
from tp_core.testing import check_module

TOLERANCE = 1e-5
LENGTHS = [9, 4, 1, 6]


def by_formula(states: Tensor) -> Tensor:
    """Real part of the double sum, of (length, hidden) in float64."""
    length, hidden = states.shape
    states = states.double()
    k, n = torch.arange(length).double(), torch.arange(hidden).double()
    found = torch.empty(length, hidden).double()
    for i in range(length):
        for j in range(hidden):
            angles = 2 * math.pi * (i * k[:, None] / length + j * n[None, :] / hidden)
            found[i, j] = (states * torch.cos(angles)).sum()
    return found


def mix(sequence: Sequence, padding: bool = False) -> Tensor:
    mixer = FourierMixing(FourierConfig(padding=padding), BuildContext(hidden_size=sequence.states.shape[-1]))
    return mixer.forward(sequence.states, mixer.prepare(StackPass(sequence)))[0]


def random_states(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def states(model: Model, **source: Tensor | None) -> Tensor:
    return model.encode(batch_of(None, **source)).sequence.states


@pytest.mark.parametrize("shape", [(2, 1, 6), (2, 7, 5), (1, 12, 8)])
def test_unpadded_rows_follow_the_formula(shape: tuple[int, int, int]) -> None:
    inputs = random_states(*shape)
    for found, row in zip(mix(Sequence(inputs)), inputs):
        assert worst(found, by_formula(row)) < TOLERANCE


@pytest.mark.parametrize("padding", ["right", "left", "scattered"])
def test_padding_takes_no_part_wherever_it_stands(padding: str) -> None:
    mask = mask_of([*LENGTHS, 0], 11, left=padding == "left").bool()
    if padding == "scattered":
        mask = mask.gather(1, torch.rand(mask.shape, generator=torch.Generator().manual_seed(1)).argsort(1))
    inputs = random_states(5, 11, 6)
    for found, row, real in zip(mix(Sequence(inputs, mask)), inputs, mask):
        assert not found[~real].any()
        if real.any():
            assert worst(found[real], by_formula(row[real])) < TOLERANCE


def test_padding_takes_part_when_asked() -> None:
    inputs = random_states(2, 7, 6)
    assert torch.equal(mix(Sequence(inputs, mask_of([7, 3], 7).bool()), padding=True), mix(Sequence(inputs)))


@pytest.mark.parametrize("padding", [False, True])
def test_packed_documents_are_mixed_one_by_one(padding: bool) -> None:
    inputs, mask = random_states(2, 9, 6), mask_of([9, 7], 9).bool()
    documents = torch.tensor([[0, 0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 1, 1, 1, 1, 2, 2, 2]])
    found = mix(Sequence(inputs, mask, document_ids=documents), padding)
    for row in range(2):
        for document in range(3):
            inside = (documents[row] == document) & (mask[row] | padding)
            assert worst(found[row][inside], by_formula(inputs[row][inside])) < TOLERANCE


@pytest.mark.parametrize("lengths", [[512, 511], [509, 300]])
def test_long_rows_are_as_exact_as_the_fast_transform(lengths: list[int]) -> None:
    inputs, mask = random_states(2, 512, 16), mask_of(lengths, 512).bool()
    found = mix(Sequence(inputs, mask))
    for row, length in enumerate(lengths):
        wanted = torch.fft.fft2(inputs[row, :length].double()).real
        assert worst(found[row, :length], wanted) / wanted.abs().max().item() < 1e-6


@pytest.mark.parametrize("options", [{}, {"norm_position": "pre"}, {"share_layers": True, "num_layers": 3}])
def test_padding_and_batch_mates_change_no_sample_of_an_encoder(tmp_path: Path, options: dict[str, Any]) -> None:
    model = encoder_model(tmp_path, {"mixer": "fourier", **options})
    for left in (False, True):
        mask = mask_of(LENGTHS, 11, left)
        ids = tokens(*mask.shape)
        together = states(model, input_ids=ids, attention_mask=mask)
        assert together.isfinite().all()
        for row, real in enumerate(mask.bool()):
            assert worst(together[row][real], states(model, input_ids=ids[row][real][None])[0]) < TOLERANCE


def fnet(**sizes: int) -> Any:
    import transformers

    config = transformers.FNetConfig(
        vocab_size=41,
        hidden_size=sizes["hidden"],
        num_hidden_layers=3,
        intermediate_size=20,
        max_position_embeddings=sizes["length"],
        tpu_short_seq_length=sizes["length"],
        pad_token_id=0,
    )
    return randomised(transformers.FNetModel(config)).eval()


def load_fnet(model: Model, theirs: Any) -> None:
    """Copy an FNet's weights, embeddings excepted."""
    inner = {
        "fourier.output.LayerNorm": "mixer_residual.after",
        "intermediate.dense": "feed_forward.input",
        "output.dense": "feed_forward.output",
        "output.LayerNorm": "feed_forward_residual.after",
    }
    names = {f"encoder.layer.{i}.{a}": f"layers.{i}.{b}" for i in range(3) for a, b in inner.items()}
    names["embeddings.projection"] = "projection"
    weights = {
        f"encoder.{ours}.{kind}": theirs.state_dict()[f"{name}.{kind}"]
        for name, ours in names.items()
        for kind in ("weight", "bias")
    }
    own = {name: value for name, value in model.weights().items() if not name.startswith("encoder.")}
    assert model.load_weights(own | weights) == ([], [])


@pytest.mark.parametrize(("hidden", "batch", "length"), [(16, 3, 12), (10, 1, 7), (24, 2, 1)])
@pytest.mark.parametrize("padded", [False, True])
@torch.no_grad()
def test_states_are_those_of_fnet_in_transformers(
    tmp_path: Path, record_property: Any, hidden: int, batch: int, length: int, padded: bool
) -> None:
    theirs = fnet(hidden=hidden, length=length)
    options = {
        "mixer": {"fourier": {"padding": padded}},
        "embedding_projection": True,
        "num_layers": 3,
        "feed_forward_size": 20,
        "feed_forward": {"dense": {"activation": "gelu_tanh"}},
    }
    model = encoder_model(tmp_path, options, hidden_size=hidden)
    load_fnet(model, theirs)
    mask = mask_of([length, 5, 3][:batch], length)
    ids = tokens(batch, length) * (mask if padded else 1)
    embedded: list[Tensor] = []
    theirs.embeddings.LayerNorm.register_forward_hook(lambda _, args, output: embedded.append(output))
    wanted = theirs(input_ids=ids, output_hidden_states=True).hidden_states
    found: list[Tensor] = []
    encoder: Any = model.encoder
    for layer in encoder.layers:
        layer.register_forward_hook(lambda _, args, output: found.append(output[0]))
    final = encoder(Sequence(embedded[0], mask.bool() if padded else None)).states
    gaps = [worst(a, b) for a, b in zip([*found, final], [*wanted[1:], wanted[-1]], strict=True)]
    record_property("hidden states", max(gaps))
    assert max(gaps) < TOLERANCE, gaps


@pytest.mark.parametrize(
    "options", [{}, {"embedding_projection": True, "norm_position": "pre", "scale_residual_init": True}]
)
def test_an_encoder_with_fourier_mixing_conforms(options: dict[str, Any]) -> None:
    check_module("transformer", "encoder", {"num_layers": 2, "mixer": "fourier", **options})


@pytest.mark.parametrize("padded", [False, True])
def test_mixing_is_exact_in_lower_precision(tmp_path: Path, padded: bool) -> None:
    inputs = random_states(2, 9, 16).bfloat16()
    mask = mask_of([9, 4], 9).bool() if padded else None
    exact = mix(Sequence(inputs.float(), mask))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = mix(Sequence(inputs, mask))
        assert torch.equal(mix(Sequence(inputs.float(), mask)), exact)
    assert torch.equal(found, exact.bfloat16())
    model = encoder_model(tmp_path, {"mixer": "fourier"})
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model(batch_of(input_ids=tokens(2, 9), attention_mask=None if mask is None else mask.long())).loss
    loss.backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in model.parameters())


def test_recomputed_activations_give_the_same_gradients(tmp_path: Path) -> None:
    model = encoder_model(tmp_path, {"mixer": "fourier", "dropout": 0.3}).train()
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


def test_a_cache_is_refused(tmp_path: Path) -> None:
    model = encoder_model(tmp_path, {"mixer": "fourier"})
    with pytest.raises(ValueError, match="piece by piece"):
        model.encode(batch_of(input_ids=tokens(1, 3)), KVCache())


def test_mixing_has_no_weights_and_the_price_says_so(tmp_path: Path) -> None:
    model = encoder_model(tmp_path, {"mixer": "fourier", "feed_forward_size": 20})
    assert not any("mixer." in name for name in model.weights())
    cost = price(model.spec, batch_size=2, length=7)
    assert cost.note == ""
    assert cost.forward_flops_per_unit == 2 * 2 * (2 * 16 * 20) + 2 * 16  # two layers' matrices, then the readout
    assert cost.activation_memory is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"mask": "causal"},
            "mask: Fourier mixing shows every position to all others and cannot be causal",
        ),
        ({"mask": "causal_with_prefix"}, "mask: .* cannot be causal_with_prefix"),
        *(
            ({"mixer": {"fourier": {option: value}}}, f"fourier.{option}: unknown option .* of the mixer attention")
            for option, value in (
                ("positions", "rotary"),
                ("residual", True),
                ("num_key_value_heads", 2),
                ("head_size", 4),
            )
        ),
        ({"mixer": {"attention": {"padding": True}}}, "attention.padding: unknown option .* of the mixer fourier"),
    ],
)
def test_options_of_attention_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        encoder_model(tmp_path, {"mixer": "fourier", **options})


def test_a_number_of_heads_does_not_matter(tmp_path: Path) -> None:
    model = encoder_model(tmp_path, {"mixer": "fourier", "num_heads": 12}, hidden_size=10)
    assert states(model, input_ids=tokens(1, 3)).shape == (1, 3, 10)
