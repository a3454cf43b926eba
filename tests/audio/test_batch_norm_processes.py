"""Batch norm in several processes is that of one on their batches together (torch's, in double precision)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch import nn

from tests.audio import test_speech_recognition as speech
from tests.core import runs

SCRIPT = Path(__file__).with_name("batch_norm_share.py")


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_statistics_and_gradients_are_those_of_the_whole_batch(tmp_path: Path, processes: int) -> None:
    generator = torch.Generator().manual_seed(3)
    shape = (6, 5, 4)
    lengths = torch.tensor([5, 1, 3, 2, 5, 4])
    mask = torch.arange(shape[1])[None] < lengths[:, None]
    states = torch.randn(shape, generator=generator) * 3 + 5
    factors = torch.randn(shape, generator=generator)
    weight, bias = torch.rand(4, generator=generator) + 0.5, torch.randn(4, generator=generator)
    given = {"states": states, "mask": mask, "factors": factors, "weight": weight, "bias": bias}
    torch.save(given, tmp_path / "given.pt")
    arguments = (str(tmp_path / "given.pt"), str(tmp_path / "found"))
    started = runs.start_group([tmp_path] * processes, *arguments, script=SCRIPT)
    assert [run.wait() for run in started] == [0] * processes, started[0].said()
    found = [torch.load(tmp_path / f"found-{rank}.pt", weights_only=True) for rank in range(processes)]

    norm = nn.BatchNorm1d(4).double()
    with torch.no_grad():
        norm.weight.copy_(weight)
        norm.bias.copy_(bias)
    real = states.double()[mask].requires_grad_()  # padding does not count: torch's sees the real positions only
    expected = norm(real)
    (expected * factors.double()[mask]).sum().backward()
    output, gradient = (torch.cat([each[name] for each in found]) for name in ("output", "gradient"))
    assert real.grad is not None
    torch.testing.assert_close(output[mask].double(), expected.detach(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gradient[mask].double(), real.grad, rtol=1e-4, atol=1e-5)
    for each in found:
        for name, value in (("weight", norm.weight.grad), ("bias", norm.bias.grad)):
            torch.testing.assert_close(each[name].double(), value, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(each["mean"].double(), norm.running_mean, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(each["variance"].double(), norm.running_var, rtol=1e-5, atol=1e-6)
        assert torch.equal(each["mean"], found[0]["mean"])


@pytest.mark.slow
def test_two_processes_train_a_conformer_as_one(tmp_path: Path) -> None:
    """Also where activations are recomputed, with the statistics of both."""
    core = Path(runs.__file__).parent
    plain = yaml.safe_load(speech.spec(tmp_path, "ctc", "speech_ctc", 3).read_text())
    del plain["data"]["bucket"], plain["data"]["eval"]
    plain["train"] |= {"hooks": ["keep_weights:Config"], "optimizer": {"sgd": {"lr": 0.1}}, "checkpoint_every": None}
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(plain, sort_keys=False))
    shutil.copy(core / "keep_weights.py", tmp_path)
    recomputed = {"kept": ["spec.yaml"], "recomputed": ["spec.yaml", "train.activation_checkpointing=true"]}
    (tmp_path / "alone.json").write_text(json.dumps({"alone": ["spec.yaml"]}))
    (tmp_path / "pair.json").write_text(json.dumps(recomputed))
    runs.run_tp(tmp_path, "alone.json", script=core / "many_runs.py")
    said = runs.run_group(tmp_path, "pair.json", script=core / "many_runs.py")
    assert "Warning" not in said
    expected = load_file(str(tmp_path / "alone" / "rank-0.safetensors"))
    for name in recomputed:
        first, second = (load_file(str(tmp_path / name / f"rank-{rank}.safetensors")) for rank in (0, 1))
        runs.assert_same_weights(second, first)
        for key, value in expected.items():
            assert (first[key] - value).float().norm() <= 1e-5 * value.float().norm() + 1e-6, key
