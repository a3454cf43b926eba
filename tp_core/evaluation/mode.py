"""The state in which a trained model is used."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import nn


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """A context in which a model computes without dropout and without gradients.

    Afterwards the model and each of its submodules have the mode that they had, also if the block raises. A generator
    leaves the context before it yields: whoever takes the item may train the model in between.
    """
    before = [(module, module.training) for module in model.modules()]
    if any(training for _, training in before):
        model.eval()
    try:
        # Not inference_mode(): a module may keep a tensor that it made, and those of that mode cannot be trained with.
        with torch.no_grad():
            yield
    finally:
        for module, training in before:
            if module.training != training:
                module.train(training)  # with all that it holds, whose turn comes later
        for module, training in before:
            module.training = training
