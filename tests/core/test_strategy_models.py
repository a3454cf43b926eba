"""Models of all modalities under the strategies: two steps as in one process, or as in two with ``ddp``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.core import runs

SCRIPT = Path(__file__).with_name("model_steps.py")

#: Presets: encoders, decoders, both; shared and tied weights; two streams, and pictures with texts; sound.
PRESETS = [
    *("bert-base", "gpt2", "llama-7b", "qwen3-0.6b", "albert-base", "t5-base", "bart-base", "modernbert-base"),
    *("vit-base", "mae-base", "clip-vit-base-patch32", "vilt-b32", "dall-e-base", "s2t-small", "elmo", "gatedcnn"),
    *("sbert-base", "simcse-base"),
]

#: Presets for the strategies that are made of others.
SOME = ["llama-7b", "t5-base", "clip-vit-base-patch32", "s2t-small"]

STRATEGIES: dict[str, tuple[int, Any]] = {
    "fsdp": (2, "fsdp"),
    "tensor_parallel": (2, "tensor_parallel"),
    "both": (4, {"fsdp": {"tensor_parallel": 2}}),
    "zero2": (2, {"deepspeed": {"stage": 2}}),
}


def steps(folder: Path, preset: str, strategy: Any, count: int) -> dict[str, Any]:
    result = folder / f"{preset}-{json.dumps(strategy)}-{count}.pt".replace('"', "").replace(" ", "")
    if not result.exists():
        runs.run_group(folder, preset, json.dumps(strategy), str(result), count=count, script=SCRIPT)
    return dict(torch.load(result, weights_only=True))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "preset"),
    [(name, preset) for name in STRATEGIES for preset in (SOME if name in ("both", "zero2") else PRESETS)],
)
def test_two_steps_of_a_model_are_those_of_other_processes(folder: Path, strategy: str, preset: str) -> None:
    count, written = STRATEGIES[strategy]
    found = steps(folder, preset, written, count)
    # Contrastive losses see the samples of all processes that divide them.
    alone = strategy == "tensor_parallel"
    expected = steps(folder, preset, "single" if alone else "ddp", 1 if alone else 2)
    assert found["losses"] == pytest.approx(expected["losses"], rel=1e-5)
    assert found["norms"] == pytest.approx(expected["norms"], rel=1e-4)
    assert found["weights"].keys() == expected["weights"].keys()
    for name, value in expected["weights"].items():
        torch.testing.assert_close(found["weights"][name], value, rtol=1e-4, atol=2e-6)
