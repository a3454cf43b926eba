"""Cross entropy over a large vocabulary, without storing all logits at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tp_core.interfaces import IGNORE
from tp_core.modules.layers.maxima import row_maxima

#: Maximum number of logits that exist at the same time; small enough for the caches.
_CPU_ELEMENTS = 2**23
_DEVICE_ELEMENTS = 2**26


class _LinearCrossEntropy(torch.autograd.Function):
    """Loss and all gradients in one pass over chunks of rows.

    The gradient of the summed loss with respect to the logits is softmax - onehot, up to a factor from the backward
    pass. It is therefore computed in the forward pass, so that the logits of a chunk need not be kept.
    """

    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        labels: Tensor,
        smoothing: float,
        z_loss: float,
        soft_cap: float | None,
        compute: torch.dtype,
        training: bool,
    ) -> tuple[Tensor, Tensor]:
        rows, vocabulary = states.shape[0], weight.shape[0]
        limit = _CPU_ELEMENTS if states.device.type == "cpu" else _DEVICE_ELEMENTS
        chunk = max(1, limit // vocabulary)
        wanted = [training and needed for needed in ctx.needs_input_grad]
        matrix, inputs = weight.to(compute), states.to(compute)
        grad_states = torch.empty_like(inputs) if wanted[0] else None
        grad_weight = torch.zeros_like(weight, dtype=torch.float32) if wanted[1] else None
        grad_bias = torch.zeros_like(bias, dtype=torch.float32) if bias is not None and wanted[2] else None
        loss = states.new_zeros((), dtype=torch.float32)
        correct = states.new_zeros((), dtype=torch.float32)
        for start in range(0, rows, chunk):
            part, label = inputs[start : start + chunk], labels[start : start + chunk]
            scores = F.linear(part, matrix).float()
            if bias is not None:
                scores += bias
            slope = None
            if soft_cap is not None:
                scores = scores.div_(soft_cap).tanh_()
                slope = 1 - scores.square() if any(wanted[:3]) else None
                scores = scores.mul_(soft_cap)
            counted = label != IGNORE
            index = label.clamp(min=0).unsqueeze(1)
            gold = scores.gather(1, index)
            highest, best = row_maxima(scores)
            correct += ((best == index).squeeze(1) & counted).sum()
            mean = scores.mean(dim=1, keepdim=True) if smoothing else None
            exponentials = scores.sub_(highest).exp_()
            total = exponentials.sum(dim=1, keepdim=True)
            normaliser = total.log() + highest
            each = normaliser - gold
            if mean is not None:
                each = (1 - smoothing) * each + smoothing * (normaliser - mean)
            if z_loss:
                each = each + z_loss * normaliser.square()
            loss += torch.where(counted, each.squeeze(1), 0.0).sum()
            if not any(wanted[:3]):
                continue
            factor = counted.unsqueeze(1) / total
            if z_loss:
                factor = factor * (1 + 2 * z_loss * normaliser)
            gradient = exponentials.mul_(factor)
            if smoothing:
                gradient.sub_(counted.unsqueeze(1) * (smoothing / vocabulary))
            gradient.scatter_add_(1, index, -(1 - smoothing) * counted.unsqueeze(1).float())
            if slope is not None:
                gradient.mul_(slope)
            if grad_bias is not None:
                grad_bias += gradient.sum(dim=0)
            gradient = gradient.to(compute)
            if grad_states is not None:
                torch.mm(gradient, matrix, out=grad_states[start : start + chunk])
            if grad_weight is not None:
                if compute == torch.float32:
                    grad_weight.addmm_(gradient.t(), part)
                else:
                    grad_weight += gradient.t() @ part
        ctx.save_for_backward(grad_states, grad_weight, grad_bias)
        ctx.dtypes = states.dtype, weight.dtype, None if bias is None else bias.dtype
        ctx.mark_non_differentiable(correct)
        return loss, correct

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        factor = grads[0]
        given = [
            None if saved is None else (saved * factor).to(dtype) for saved, dtype in zip(ctx.saved_tensors, ctx.dtypes)
        ]
        return (*given, *(None,) * 6)


def linear_cross_entropy(
    states: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    labels: Tensor,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    soft_cap: float | None = None,
) -> tuple[Tensor, Tensor]:
    """``cross_entropy(states @ weight.T + bias, labels)``, summed, in chunks of rows.

    Args:
        states: (rows, size).
        weight: (vocabulary, size).
        bias: (vocabulary,) or None.
        labels: (rows,), ``IGNORE`` for rows without a label.
        label_smoothing: share of the probability that is spread over the vocabulary.
        z_loss: factor of the squared log normaliser.
        soft_cap: if given, logits are ``soft_cap * tanh(logits / soft_cap)``.

    Returns:
        The sum of the losses, and the number of rows whose label is the ``argmax`` of the logits (the first of equal
        maxima). Both are float32 scalars; only the first has a gradient.
    """
    device = states.device.type
    compute = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else states.dtype
    training = torch.is_grad_enabled()  # inside an autograd function, the grad mode is not known
    options = label_smoothing, z_loss, soft_cap, compute, training
    loss, correct = _LinearCrossEntropy.apply(states, weight, bias, labels, *options)
    return loss, correct
