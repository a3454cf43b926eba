"""Optimizers of parameters that are spread over processes make the updates of whole ones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn

from tests.core.installed import option_class
from tp_core.options.optimizer import OptimizerConfig
from tp_core.training.optimizers import base
from tp_core.training.optimizers.build import build_optimizer

#: Shapes, with the dimension that is divided between two processes; some do not divide evenly.
SHAPES = [((5, 3), 0), ((3, 5), 1), ((7,), 0), ((4, 3, 2), 0), ((1, 4), 0)]

OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("adamw", {}),
    ("adamw", {"bias_correction": False}),
    ("sgd", {"nesterov": True}),
    ("lion", {}),
    ("adafactor", {}),
    ("adafactor", {"scale_parameter": True, "relative_step": True, "beta1": 0.9}),
]


def _train(rank: int, folder: Path) -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor

    dist.init_process_group("gloo", store=dist.FileStore(str(folder / "store"), 2), rank=rank, world_size=2)  # type: ignore[attr-defined]
    base._READ_ON.clear()  # the flag of a step stays on the device, as on GPUs
    mesh = init_device_mesh("cpu", (2,))
    generator = torch.Generator().manual_seed(0)
    worst: dict[str, float] = {}
    for name, options in OPTIONS:
        config = option_class("optimizer", name)(lr=0.05, weight_decay=0.1, **options)
        assert isinstance(config, OptimizerConfig)
        values = [torch.randn(shape, generator=generator) for shape, _ in SHAPES]
        whole = [nn.Parameter(value.clone()) for value in values]
        parts = [nn.Parameter(distribute_tensor(value, mesh, [Shard(dim)])) for value, (_, dim) in zip(values, SHAPES)]
        optimizers = [build_optimizer(config, [{"params": each}]) for each in (whole, parts)]
        for step in range(6):
            bad = step in (0, 3)
            for one, part, (shape, dim) in zip(whole, parts, SHAPES):
                one.grad = torch.randn(shape, generator=generator)
                if bad:
                    one.grad.view(-1)[0] = float("inf")
                part.grad = distribute_tensor(one.grad.clone(), mesh, [Shard(dim)])
            for optimizer in optimizers:
                optimizer.grad_scale, optimizer.found_inf = torch.tensor(2.0), torch.tensor(float(bad))
                optimizer.step()
        gaps = [(one - part.full_tensor()).abs().max().item() for one, part in zip(whole, parts)]  # type: ignore[attr-defined]
        moved = min((one - value).abs().max().item() for one, value in zip(whole, values))
        worst[f"{name} {options}"] = max(gaps) if moved > 0 else float("inf")
    torch.save(worst, folder / f"worst-{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_parts_on_two_processes_are_updated_as_the_whole(tmp_path: Path) -> None:
    children = []
    for rank in range(2):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                _train(rank, tmp_path)
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    for rank in range(2):
        found = torch.load(tmp_path / f"worst-{rank}.pt", weights_only=True)
        assert len(found) == len(OPTIONS)
        assert all(gap < 1e-6 for gap in found.values()), found
