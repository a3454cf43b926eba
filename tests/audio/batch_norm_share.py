"""Batch norm of one process's share of a batch, forward and backward: ``batch_norm_share.py INPUTS OUTPUTS``."""

from __future__ import annotations

import os
import sys

import torch
import torch.distributed as dist

from tp_audio.encoders.batch_norm import MaskedBatchNorm

if __name__ == "__main__":
    dist.init_process_group("gloo")
    rank, count = dist.get_rank(), dist.get_world_size()
    given = torch.load(sys.argv[1], weights_only=True)
    share = [value.chunk(count)[rank] for value in (given["states"], given["mask"], given["factors"])]
    states, mask, factors = share
    norm = MaskedBatchNorm(states.shape[-1])
    with torch.no_grad():
        norm.weight.copy_(given["weight"])
        norm.bias.copy_(given["bias"])
    states.requires_grad_()
    output = norm(states, mask)
    (output * factors * mask[..., None]).sum().backward()
    for parameter in (norm.weight, norm.bias):  # as the run's strategy adds them up
        assert parameter.grad is not None
        dist.all_reduce(parameter.grad)
    found = {"output": output.detach(), "gradient": states.grad, "weight": norm.weight.grad, "bias": norm.bias.grad}
    torch.save({**found, "mean": norm.running_mean, "variance": norm.running_var}, f"{sys.argv[2]}-{rank}.pt")
    dist.destroy_process_group()
    os._exit(0)
