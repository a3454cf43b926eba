"""``tp show --devices``: which strategies fit, and what they cost."""

from __future__ import annotations

import itertools
import json

import pytest
from click.testing import CliRunner

from tp_core import load_spec
from tp_core.cli.main import cli
from tp_core.cost.devices import cluster_of
from tp_core.cost.distribution import Layout, estimates, memory, sent
from tp_core.cost.model_parts import model_parts
from tp_core.errors import TPError

BERT = ["train.batch_size=2048", "train.precision=bf16"]


@pytest.mark.parametrize(
    ("text", "name", "count", "machines"),
    [
        ("64x80GB", "A100-80GB", 64, 8),
        ("8xh100", "H100", 8, 1),
        ("1x40gb", "A100-40GB", 1, 1),
        ("1024 x H200", "H200", 1024, 128),
        ("12xL40S", "L40S", 12, 2),
    ],
)
def test_devices_are_counted_and_named(text: str, name: str, count: int, machines: int) -> None:
    cluster = cluster_of(text)
    assert (cluster.device.name, cluster.count, cluster.machines) == (name, count, machines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("64", "expected a number and a device, such as 64x80GB or 8xH100"),
        ("0x80GB", "expected a number and a device"),
        ("8x81GB", "there is no known device with 81 GB; known are H200"),
        ("8xH10", "unknown device 'H10'; did you mean 'H100'?"),
    ],
)
def test_unknown_devices_are_refused(text: str, message: str) -> None:
    with pytest.raises(TPError, match=message.replace("?", r"\?")):
        cluster_of(text)


def test_memory_falls_with_what_is_divided() -> None:
    spec = load_spec("bert-base", BERT)
    parts = model_parts(spec, 128)
    assert parts is not None
    names = ["ddp", "zero1", "zero2", "fsdp"]
    found = [memory(spec, Layout(name, *((8, 1) if name == "ddp" else (1, 8))), parts, 4) for name in names]
    assert found == sorted(found, reverse=True)
    assert parts.weights == sum(parts.layers) + parts.root
    assert len(parts.layers) == 12


def test_a_ring_of_many_sends_at_most_the_whole() -> None:
    spec = load_spec("bert-base", BERT)
    parts = model_parts(spec, 128)
    assert parts is not None
    for count in (2, 8, 1024):
        found = sent(spec, Layout("ddp", count, 1), parts, 2, 1)
        assert found.total == pytest.approx(2 * (count - 1) / count * 4 * parts.trained)


def test_a_share_of_a_divided_model_has_fewer_weights_and_activations() -> None:
    spec = load_spec("llama-7b", ["model.encoder.transformer.num_layers=2"])
    whole, half = model_parts(spec, 64), model_parts(spec, 64, 2)
    assert whole is not None
    assert half is not None
    assert half.root == whole.root
    assert sum(half.layers) == pytest.approx(sum(whole.layers) / 2, rel=0.01)
    assert half.per_sample < whole.per_sample
    assert model_parts(spec, 64, 3) is None


@pytest.mark.parametrize("count", [1, 8, 16, 1024])
def test_all_strategies_have_an_estimate_for_any_number_of_devices(count: int) -> None:
    spec = load_spec("bert-tiny", BERT)
    found = estimates(spec, cluster_of(f"{count}x80GB"), 64)
    names = [each.strategy for each in found]
    assert len(names) == len(set(names))
    assert ("{fsdp: {sharding: hybrid}}" in names) == (count > 8)
    assert all(each.fits for each in found if not each.note)
    seconds = [each.seconds for each in found if not each.note]
    assert all(b > 0.9 * a for a, b in itertools.pairwise(seconds))


def test_micro_batches_make_room() -> None:
    spec = load_spec("llama-7b", ["train.batch_size=512", "train.precision=bf16"])
    found = {each.strategy: each for each in estimates(spec, cluster_of("64x80GB"), 2048)}
    assert not found["ddp"].fits
    assert found["fsdp"].fits
    assert found["{deepspeed: {stage: 1}}"].accumulate > 1


def test_the_command_prints_a_table_and_why_others_cannot_be_used() -> None:
    given = ["show", "bert-tiny", "--devices", "64xH100", "train.batch_size=32", "--length", "64"]
    result = CliRunner().invoke(cli, given)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0] == "64 × H100 on 8 machines, 80 GB each"
    assert "train.batch_size 32 is not divisible by 64 processes" in result.output
    (row,) = [line for line in lines if line.startswith("{fsdp: {tensor_parallel: 2}}")]
    assert row.split()[3] == "yes"
    made = json.loads(CliRunner().invoke(cli, [*given, "--json"]).output)
    assert {each["strategy"] for each in made["strategies"]} >= {"ddp", "fsdp"}


def test_devices_and_an_image_are_two_questions() -> None:
    result = CliRunner().invoke(cli, ["show", "bert-tiny", "--devices", "8xH100", "--image", "x.svg"])
    assert result.exit_code == 2
    assert "--image and --devices: choose one of the two" in result.output
