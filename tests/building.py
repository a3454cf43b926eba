"""Models for tests, built as a user builds them: from a spec file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import torch
import yaml
from torch import Tensor

from tp_core import Model, build_model, load_spec
from tp_core.interfaces import Batch

M = TypeVar("M", bound=torch.nn.Module)

#: An embedding of ``input_ids`` that tp-core itself has.
CONTENT = "tp_core.testing.options:ContentConfig"
READOUT = "tp_core.testing.options:ReadoutConfig"

#: Positions of attention by name, as specs write them; with so few buckets, short texts have distances in all of them.
POSITIONS: dict[str, Any] = {
    "none": "none",
    "rotary": "rotary",
    "relative": {"relative": {"buckets": 8, "max_distance": 6}},
    "alibi": "alibi",
}


def attention(**options: Any) -> dict[str, Any]:
    """Options of a transformer whose attention has these; positions may be names of :data:`POSITIONS`."""
    positions = options.get("positions")
    named = {"positions": POSITIONS[positions]} if isinstance(positions, str) else {}
    return {"mixer": {"attention": {**options, **named}}}


def build(folder: Path, model: dict[str, Any], seed: int = 0) -> Model:
    """The model of a spec with this ``model:`` part, in evaluation mode."""
    file = folder / "spec.yaml"
    file.write_text(yaml.safe_dump({"tp": 1, "model": model}, sort_keys=False), encoding="utf-8")
    return build_model(load_spec(file), seed=seed).eval()


def encoder_model(folder: Path, encoder: dict[str, Any], embedding: Iterable[Any] = (), **sizes: Any) -> Model:
    """A model of content, further embeddings and a transformer, with weights large enough to matter."""
    parts = {
        "hidden_size": 16,
        "vocab_size": 41,
        "dropout": 0.0,
        "init_std": 0.3,
        "embedding": {"modules": [CONTENT, *embedding], "norm": "none"},
        "encoder": {"transformer": {"num_layers": 2, "num_heads": 4, **encoder}},
        "target": [READOUT],
    }
    return randomised(build(folder, parts | sizes))


def randomised(module: M, seed: int = 0, std: float = 0.2) -> M:
    """Give every weight a random value: norms about one, the others about zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            norm = parameter.dim() == 1 and not name.endswith("bias")
            parameter.copy_(1 + std * noise if norm else std * noise)
    return module


def tokens(*shape: int, high: int = 41, seed: int = 0) -> Tensor:
    return torch.randint(1, high, shape, generator=torch.Generator().manual_seed(seed))


def batch_of(labels: dict[str, dict[str, Tensor]] | None = None, **source: Tensor | None) -> Batch:
    """A batch of the inputs that are given."""
    given = {name: value for name, value in source.items() if value is not None}
    return Batch.of(given, next(iter(given.values())).shape[0], labels=labels or {})


def mask_of(lengths: list[int], width: int, left: bool = False) -> Tensor:
    """(batch, width) attention mask of samples padded on the right, or on the left."""
    index = torch.arange(width)
    ends = torch.tensor(lengths).unsqueeze(1)
    return (index >= width - ends if left else index < ends).long()


def positions_of(mask: Tensor) -> Tensor:
    """Positions that count the real places of each row."""
    return (mask.cumsum(dim=1) - 1).clamp(min=0)


def worst(ours: Tensor, theirs: Tensor, mask: Tensor | None = None) -> float:
    """The largest absolute difference, at the real positions if a mask is given."""
    assert ours.shape == theirs.shape, f"{tuple(ours.shape)} against {tuple(theirs.shape)}"
    gap = (ours.detach().double() - theirs.detach().double()).abs()
    return (gap if mask is None else gap[mask.bool()]).max().item()
