"""``tp show`` against what a real training step of the paper's models takes: parameters, FLOPs, memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tp_core.cost.pricing import price
from tp_core.interfaces import Batch
from tp_core.model import build_model
from tp_core.spec.load import load_spec
from tp_core.testing.batches import random_batch
from tp_core.training.optimizers.build import build_optimizer
from tp_core.training.optimizers.groups import checked_groups, parameter_groups

#: Presets → samples, positions, and overrides that make them fast to run; all layers are of the published size.
MODELS: dict[str, tuple[int, int, list[str]]] = {
    "bert-base": (4, 128, ["model.encoder.transformer.num_layers=3"]),
    "gpt2": (2, 256, ["model.encoder.transformer.num_layers=3"]),
    "t5-base": (2, 128, ["model.encoder.transformer.num_layers=2", "model.decoder.transformer.num_layers=2"]),
    "vit-base": (2, 197, ["model.encoder.transformer.num_layers=3"]),
    "clip-vit-base-patch32": (
        4,
        77,
        [f"model.streams.{stream}.encoder.transformer.num_layers=2" for stream in ("text", "image")],
    ),
    "wav2vec2-base": (2, 16000, ["model.encoder.transformer.num_layers=2"]),
}

CHECKED = [pytest.param(name, marks=() if name in ("bert-base", "vit-base") else pytest.mark.slow) for name in MODELS]


def added(a: Any, b: Any, c: Any, *_: Any, **__: Any) -> int:
    return 2 * b[0] * b[1] * c[1]


def conv_backward(grad: Any, x: Any, w: Any, *given: Any, **_: Any) -> int:
    return int(2 * math.prod(grad) * math.prod(w[1:]) * sum(given[7][:2]))


#: Torch's counter lacks products that are added in place, and ignores the groups of a convolution in its gradients.
MISSING: dict[Any, Any] = {torch.ops.aten.addmm_: added, torch.ops.aten.convolution_backward: conv_backward}


def tensors_of(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from tensors_of(each)


def bytes_of(tensors: Iterator[Tensor]) -> int:
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())


@pytest.mark.parametrize("preset", CHECKED)
def test_parameters_flops_and_memory_are_within_a_tenth_of_a_real_step(preset: str) -> None:
    samples, length, smaller = MODELS[preset]
    spec = load_spec(preset, [*smaller, "model.dropout=0.0"])
    cost = price(spec, samples, length)
    model = build_model(spec).train()
    batch: Batch = random_batch(model, [length] * samples)
    given = [batch.source, batch.target or {}, batch.labels]
    known = {
        t.untyped_storage().data_ptr()
        for t in [*model.parameters(), *model.buffers(), *tensors_of(dict(enumerate(given)))]
    }
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        place = tensor.untyped_storage().data_ptr()
        if place not in known:
            kept[place] = tensor.untyped_storage().nbytes()
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        model(batch)
    activations = sum(kept.values())
    with FlopCounterMode(display=False, custom_mapping=MISSING) as counter, sdpa_kernel(SDPBackend.MATH):
        model(batch).loss.backward()
    config = spec.train.optimizer.config
    optimizer = build_optimizer(config, checked_groups(model, parameter_groups(model, config)))
    optimizer.step()
    state = (value for own in optimizer.state.values() for value in own.values() if torch.is_tensor(value))
    memory = bytes_of(p.detach() for p in model.parameters()) + bytes_of(state) + activations
    memory += sum(p.grad.nbytes for p in model.parameters() if p.grad is not None)
    assert cost.parameters == sum(p.numel() for p in model.parameters())
    assert cost.training_flops == pytest.approx(counter.get_total_flops(), rel=0.1)
    assert cost.activation_memory == pytest.approx(activations, rel=0.1)
    assert cost.memory == pytest.approx(memory, rel=0.1)
