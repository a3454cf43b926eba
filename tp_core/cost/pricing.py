"""The cost of a spec: parameters, FLOPs and memory, measured on the meta device without allocating memory."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from tp_core.cost.invented_batches import invented_batch
from tp_core.cost.saved_activations import autocast_on_meta, saved_bytes
from tp_core.errors import TPError
from tp_core.interfaces import Batch
from tp_core.model import Model, meta_model
from tp_core.spec.context import data_context
from tp_core.spec.schema import Spec

#: A backward pass costs two matrix products for each one of the forward pass.
TRAINING_FACTOR = 3

_DEFAULT_LENGTH = 512
#: The dtype of matrix products by precision.
COMPUTE = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Price:
    """The cost of a model and of one micro-batch. Memory is in bytes, for a single process without sharding.

    Attributes:
        parameters: number of weights; shared weights count once.
        trainable: number of weights that are trained.
        batch_size: number of samples of the micro-batch.
        length: number of positions of each sample, if the inputs have a length.
        unit: ``token``, or ``sample`` for inputs without a length.
        units: number of tokens (padding included, both sides of an encoder-decoder) or samples of the micro-batch.
        forward_flops: floating-point operations of a forward pass with its losses: 2 per multiply-add of a
            matrix product, convolution or attention. None if the model cannot run on the meta device.
        weight_memory: memory of the weights in fp32.
        gradient_memory: memory of their gradients.
        optimizer_memory: memory of the optimizer's state.
        activation_memory: an estimate of the memory that the forward pass keeps for the backward pass, with fused
            attention; None if the model cannot run on the meta device.
        note: the reason why FLOPs and activations are None; empty otherwise.
    """

    parameters: int
    trainable: int
    batch_size: int
    length: int
    unit: str
    units: int
    forward_flops: int | None
    weight_memory: int
    gradient_memory: int
    optimizer_memory: int
    activation_memory: int | None
    note: str = ""

    @property
    def training_flops(self) -> int | None:
        """FLOPs of the forward and the backward pass."""
        return None if self.forward_flops is None else TRAINING_FACTOR * self.forward_flops

    @property
    def forward_flops_per_unit(self) -> float | None:
        return None if self.forward_flops is None else self.forward_flops / self.units

    @property
    def training_flops_per_unit(self) -> float | None:
        """FLOPs of the forward and the backward pass per token (or sample), for model FLOPs utilisation."""
        return None if self.forward_flops is None else TRAINING_FACTOR * self.forward_flops / self.units

    @property
    def memory(self) -> int:
        """The sum of all kinds of memory."""
        fixed = self.weight_memory + self.gradient_memory + self.optimizer_memory
        return fixed + (self.activation_memory or 0)

    def dump(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {
            "training_flops": self.training_flops,
            "forward_flops_per_unit": self.forward_flops_per_unit,
            "training_flops_per_unit": self.training_flops_per_unit,
            "memory": self.memory,
        }


def price(spec: Spec, batch_size: int | None = None, length: int | None = None, model: Model | None = None) -> Price:
    """The cost of training a spec.

    Args:
        spec: the spec.
        batch_size: number of samples of one micro-batch; default ``train.batch_size / train.accumulate``.
        length: number of positions per sample; default the maximum length of the processor, else that of the model,
            else 512.
        model: the spec's model on the meta device; built if None.

    Raises:
        TPError: the length exceeds the model's number of positions.
    """
    options = spec.train.options
    batch_size = batch_size or max(1, options.batch_size // options.accumulate)
    length = length_of(spec, length)
    model = meta_model(spec) if model is None else model
    trained = [p for p in model.parameters() if p.requires_grad]
    fields = model.fields()
    batch = invented_batch(fields, [length] * batch_size, device="meta")
    has_length = any("length" in spec.shape for side in fields.sides.values() for spec in side.values())
    compute, flops, kept, note = COMPUTE[options.precision], None, None, ""
    try:
        flops = _forward_flops(model, batch, compute)
        model.train()
        model.checkpoint_activations(options.activation_checkpointing)
        kept = saved_bytes(model, batch, compute)
    except (NotImplementedError, RuntimeError) as error:
        # Meta tensors have no values, so a module whose shapes depend on values cannot be priced.
        note = f"the model does not run without data: {str(error).strip().partition(chr(10))[0]}"
    size = sum(_bytes(p) for p in trained)
    return Price(
        parameters=sum(p.numel() for p in model.parameters()),
        trainable=sum(p.numel() for p in trained),
        batch_size=batch_size,
        length=length,
        unit="token" if has_length else "sample",
        units=batch.tokens(),
        forward_flops=flops,
        weight_memory=sum(_bytes(p) for p in model.parameters()),
        gradient_memory=size,
        optimizer_memory=spec.train.optimizer.config.state_memory(trained),
        activation_memory=kept,
        note=note,
    )


def training_flops_per_token(spec: Spec) -> float:
    """FLOPs of the forward and the backward pass per token (or sample), at the length of the spec's data.

    This is much faster than :func:`price`. It returns 0 if the model cannot run on the meta device.
    """
    model = meta_model(spec)
    batch = invented_batch(model.fields(), [length_of(spec, None)], device="meta")
    try:
        return TRAINING_FACTOR * _forward_flops(model, batch, torch.float32) / batch.tokens()
    except (NotImplementedError, RuntimeError):
        return 0.0


def length_of(spec: Spec, length: int | None) -> int:
    """The number of positions of a sample (:func:`price`)."""
    limit = data_context(spec).length_limit
    if length is None:
        processor = spec.data.processor
        length = processor.config.sequence_length() if processor is not None else None
        return length or limit or _DEFAULT_LENGTH
    if limit is not None and length > limit:
        raise TPError(f"sequences of {length} are longer than the model's {limit} positions")
    return length


def _forward_flops(model: Model, batch: Batch, compute: torch.dtype) -> int:
    """FLOPs of a forward pass without gradients.

    The loss over a vocabulary computes its gradients in its forward pass if any weight requires gradients. All weights
    are therefore frozen during the measurement.
    """
    model.eval()
    frozen = [(p, p.requires_grad) for p in model.parameters()]
    try:
        for parameter, _ in frozen:
            parameter.requires_grad_(False)
        with torch.no_grad(), autocast_on_meta(compute), FlopCounterMode(display=False) as counter:
            model(batch)
    finally:
        for parameter, wanted in frozen:
            parameter.requires_grad_(wanted)
    return int(counter.get_total_flops())


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
