"""The mode in which a trained model is used."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import nn


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """A context in which a model computes without dropout and without gradients.

    Afterwards, the model and each of its submodules return to their previous mode, also if the block raises. A
    generator must leave the context before it yields, since the caller may train the model in between.
    """
    before = [(module, module.training) for module in model.modules()]
    if any(training for _, training in before):
        model.eval()
    try:
        # Not inference_mode(): a module may keep a tensor that it made, and inference tensors cannot be used in
        # training.
        with torch.no_grad():
            yield
    finally:
        for module, training in before:
            if module.training != training:
                module.train(training)  # also sets its submodules, which are restored later
        for module, training in before:
            module.training = training
