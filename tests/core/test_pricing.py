"""The cost of a spec, compared with counts by hand and with the activations that a real forward pass keeps."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from tp_core.cost.invented_batches import invented_batch
from tp_core.cost.model_tree import model_tree
from tp_core.cost.pricing import price, training_flops_per_token
from tp_core.cost.saved_activations import saved_bytes
from tp_core.errors import TPError
from tp_core.interfaces import Batch
from tp_core.model import build_model, meta_model
from tp_core.spec.load import load_spec
from tp_core.spec.schema import Spec

IMAGES = """\
from tp_core.options.embedding import EmbeddingConfig
from tp_core.options.facts import FieldSpec
from tp_vision.ports import PIXEL_VALUES
from tp_core.interfaces import Embedding, Sequence

class ImageConfig(EmbeddingConfig):
    '''Each row of an image as one vector.'''
    def requires(self, context):
        return {PIXEL_VALUES: FieldSpec(("batch", 3, 4, 8), "float32")}
    def build(self, context):
        return Image()

class Image(Embedding):
    def forward(self, inputs, sequence):
        return Sequence(inputs["pixel_values"].flatten(1, 2))
"""


def test_flops_of_bert_base_equal_the_count_by_hand() -> None:
    spec = load_spec("bert-base")
    batch, length, hidden, layers, vocabulary = 2, 128, 768, 12, 30522
    cost = price(spec, batch_size=batch, length=length)
    masked = math.ceil(0.15 * length)
    per_layer = 2 * length * 12 * hidden**2 + 4 * length**2 * hidden  # projections, then scores and mixing
    predicted = 2 * masked * (hidden**2 + hidden * vocabulary)
    sentence = 2 * (hidden**2 + 2 * hidden)
    read = masked + 1  # the last layer computes only these positions, from the keys and values of all
    last = 2 * (length * 3 + read * 9) * hidden**2 + 4 * read * length * hidden
    whole = batch * ((layers - 1) * per_layer + last + predicted + sentence)
    assert cost.forward_flops == whole
    assert cost.training_flops == 3 * whole
    assert cost.training_flops_per_unit == pytest.approx(cost.training_flops / (batch * length))
    assert (cost.unit, cost.units) == ("token", batch * length)


def test_flops_of_gpt2_are_two_per_weight_and_token_plus_attention() -> None:
    cost = price(load_spec("gpt2"), batch_size=1, length=1024)
    matrices = 12 * 12 * 768**2 + 768 * 50257
    assert cost.forward_flops_per_unit == 2 * matrices + 12 * 4 * 1024 * 768


def test_the_trainers_figure_is_that_of_the_whole_price() -> None:
    spec = load_spec("bert-tiny")
    assert training_flops_per_token(spec) == pytest.approx(price(spec).training_flops_per_unit)


def test_pricing_leaves_the_random_state_and_the_default_device_alone() -> None:
    before = torch.get_rng_state()
    price(load_spec("bert-tiny"), 2, 16)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.empty(()).device.type == "cpu"
    assert not torch.is_autocast_enabled("cpu")


def test_shared_layers_cost_their_flops_each_time_and_their_memory_once() -> None:
    shared, own = price(load_spec("albert-base"), 1, 64), price(load_spec("bert-base"), 1, 64)
    assert shared.forward_flops is not None
    assert own.forward_flops is not None
    assert shared.parameters < own.parameters / 9
    assert shared.forward_flops > own.forward_flops / 2


def test_tied_weights_are_counted_once_and_named_where_they_are_tied() -> None:
    spec = load_spec("bert-tiny")
    tree = model_tree(meta_model(spec))
    assert tree.parameters == price(spec, 1, 8).parameters == sum(p.numel() for p in build_model(spec).parameters())
    (targets,) = [branch for branch in tree.children if branch.name == "targets"]
    output = targets.children[0].children[-1]
    assert output.tied == {"weight": "embedding.parts.word.table.weight"}
    assert output.parameters == 30522  # the bias alone


def test_a_module_that_stands_twice_is_counted_once_in_the_tree() -> None:
    one = nn.Linear(3, 5)
    tree = model_tree(nn.ModuleDict({"first": one, "rest": nn.ModuleList([one, nn.Linear(3, 5), nn.Linear(3, 5)])}))
    assert tree.parameters == 3 * 20
    again, others = tree.children[1].children
    assert (again.parameters, again.shared) == (0, "first")
    assert (others.name, others.count, others.parameters) == ("1-2", 2, 20)


@pytest.mark.parametrize(
    ("optimizer", "factor"),
    [
        ("adamw", 2.0),
        ("lion", 1.0),
        ("sgd", 1.0),
        ("{sgd: {momentum: 0.0}}", 0.0),
        ("adafactor", 0.02),
        ("{adafactor: {beta1: 0.9}}", 1.02),
    ],
)
def test_memory_of_the_optimizer_follows_its_state(optimizer: str, factor: float) -> None:
    cost = price(load_spec("bert-tiny", [f"train.optimizer={optimizer}"]), 1, 8)
    assert cost.weight_memory == cost.gradient_memory == 4 * cost.parameters
    assert cost.optimizer_memory == pytest.approx(factor * cost.weight_memory, abs=0.015 * cost.weight_memory)


def real_batch(spec: Spec, batch_size: int, length: int) -> Batch:
    """The batch that is priced, with values: zeros fit every vocabulary and every position."""
    shapes = invented_batch(meta_model(spec).fields(), [length] * batch_size, device="meta")

    def filled(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: torch.zeros(t.shape, dtype=t.dtype) for name, t in tensors.items()}

    return Batch.of(filled(shapes.inputs), batch_size, None, {k: filled(v) for k, v in shapes.labels.items()})


@pytest.mark.parametrize("preset", ["bert-tiny", "gpt2"])
def test_activations_on_the_meta_device_are_those_that_a_real_forward_pass_keeps(preset: str) -> None:
    small = [
        "model.hidden_size=128",
        "model.encoder.transformer.num_layers=2",
        "model.encoder.transformer.num_heads=2",
    ]
    still = ["model.dropout=0.0", "model.vocab_size=1000"]
    spec = load_spec(preset, [*small, *still])
    model, batch = build_model(spec).train(), real_batch(spec, 4, 64)
    known = {p.untyped_storage().data_ptr() for p in [*model.parameters(), *model.buffers()]}
    known |= {t.data_ptr() for t in [*batch.inputs.values(), *(v for d in batch.labels.values() for v in d.values())]}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in known:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        output = model(batch)
    real = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    del output
    assert price(spec, 4, 64).activation_memory == pytest.approx(real, rel=0.02)


def test_lower_precision_and_checkpointing_keep_less() -> None:
    def kept(*overrides: str) -> int:
        small = ["model.encoder.transformer.num_layers=4", "model.vocab_size=1000"]
        cost = price(load_spec("gpt2", [*small, *overrides]), 8, 256)
        assert cost.activation_memory is not None
        return cost.activation_memory

    full = kept()
    assert 0.4 * full < kept("train.precision=bf16") < 0.9 * full
    assert kept("train.activation_checkpointing=true") < 0.6 * full


def test_a_dropout_mask_takes_one_byte_per_element() -> None:
    with torch.device("meta"):
        model, states = nn.Dropout(0.5), torch.empty(10, 10, requires_grad=True)
    assert saved_bytes(model, states) == 100


def test_without_a_batch_size_the_price_is_of_one_micro_batch_of_the_spec() -> None:
    cost = price(load_spec("bert-tiny", ["train.batch_size=24", "train.accumulate=3"]))
    assert (cost.batch_size, cost.length) == (8, 128)


def test_a_length_beyond_the_positions_is_refused() -> None:
    with pytest.raises(TPError, match="sequences of 513 are longer than the model's 512 positions"):
        price(load_spec("bert-tiny"), 1, 513)


def test_inputs_without_a_length_are_priced_per_sample(tmp_path: Path) -> None:
    (tmp_path / "rows.py").write_text(IMAGES)
    (tmp_path / "spec.yaml").write_text(
        "model: {hidden_size: 8, embedding: rows:ImageConfig, encoder: {transformer: {num_layers: 1, num_heads: 2}}}"
    )
    cost = price(load_spec(tmp_path / "spec.yaml"), batch_size=3)
    assert (cost.unit, cost.units) == ("sample", 3)
    assert cost.forward_flops_per_unit == 2 * 12 * 12 * 8**2 + 4 * 12**2 * 8


def test_a_module_whose_shapes_depend_on_values_is_priced_without_flops_and_says_why(tmp_path: Path) -> None:
    body = IMAGES.replace("return Sequence(", "rows = int(inputs['pixel_values'].sum()); return Sequence(")
    (tmp_path / "values.py").write_text(body)
    (tmp_path / "spec.yaml").write_text(
        "model: {hidden_size: 8, embedding: values:ImageConfig, encoder: {transformer: {num_layers: 1, num_heads: 2}}}"
    )
    cost = price(load_spec(tmp_path / "spec.yaml"))
    assert cost.forward_flops is None
    assert cost.activation_memory is None
    assert cost.parameters > 0
    assert "does not run without data" in cost.note
