"""``train.strategy`` for a command line of the original."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tp_core.files.bounded_reads import read_json
from tp_tencentpretrain.spec_import.given import Given

#: The stage of the original's own deepspeed_config.json.
_STAGE = 1


def strategy_of(given: Given, precision: str, notes: list[str]) -> Any:
    """The strategy that takes the place of DeepSpeed or of tensor parallelism; None for the default.

    Args:
        precision: ``train.precision`` of the spec.
        notes: gets sentences for the user.
    """
    if "use_mp" in given and "tensor_model_parallel_size" in given and given["use_mp"]:
        return {"fsdp": {"tensor_parallel": given["tensor_model_parallel_size"]}}
    if not given.get("deepspeed"):
        return None
    stage = 3 if given.get("enable_zero3") else _stage_in(given.get("deepspeed_config"))
    if precision == "fp16":
        notes.append("--deepspeed with --fp16 is the strategy fsdp, which divides the same; deepspeed takes bf16 here")
        return "fsdp"
    notes.append(f"--deepspeed is the strategy deepspeed with stage {stage}: pip install 'tp-core[deepspeed]'")
    return {"deepspeed": {"stage": stage}}


def _stage_in(path: str | None) -> int:
    """The stage in a configuration of DeepSpeed; that of the original's own file if it cannot be read."""
    try:
        stage = read_json(Path(path or ""))["zero_optimization"]["stage"]
    except (OSError, ValueError, KeyError, TypeError):
        return _STAGE
    return stage if stage in (0, 1, 2, 3) else _STAGE
