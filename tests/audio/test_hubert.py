"""HuBERT: masked prediction of units, the units' processor, and the units that tp makes itself."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from safetensors.torch import save_file
from torch import Tensor

from tests.audio.waveforms import RATE, encoded, melodies, tone
from tests.building import CONTENT, batch_of, build, randomised, tokens
from tests.contexts import targets
from tests.core import runs
from tp_audio.cli_units import units as units_command
from tp_audio.clusters import centres, nearest
from tp_audio.processors.pretraining_options import UnitsProcessorConfig
from tp_core import build_model, load_spec
from tp_core.data.cache.rows import ArrowRows, write_rows
from tp_core.data.sampling.order import TRAIN, generator
from tp_core.errors import TPError
from tp_core.interfaces import IGNORE, Record
from tp_core.options.context import DataContext
from tp_core.testing import check_module

# -- target --------------------------------------------------------------------------------------------------------


def test_the_target_keeps_its_contracts() -> None:
    check_module("units", "target", {"num_units": 7, "projection_size": 6, "unmasked_weight": 0.5})


@pytest.mark.parametrize("weights", [(1.0, 0.0), (1.0, 0.5), (0.0, 2.0)])
def test_the_loss_is_that_of_the_paper(tmp_path: Path, weights: tuple[float, float]) -> None:
    options = {"num_units": 9, "projection_size": 6, "masked_weight": weights[0], "unmasked_weight": weights[1]}
    model = build(
        tmp_path,
        {
            "hidden_size": 12,
            "vocab_size": 41,
            "embedding": [CONTENT],
            "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}},
            "target": [{"units": options}],
        },
    )
    randomised(model)
    labels, masked = tokens(3, 8, high=9, seed=1), tokens(3, 8, high=3, seed=2) == 1
    labels[0, 5:] = IGNORE
    batch = batch_of({"units": {"labels": labels, "masked": masked}}, input_ids=tokens(3, 8))
    with torch.no_grad():
        output = model(batch).outputs["units"]
        states = model.encode(batch).sequence.states
    target: Any = model.targets["units"]
    expected, count = 0.0, 0
    for row in range(3):
        for frame in range(8):
            factor = weights[0] if masked[row, frame] else weights[1]
            if labels[row, frame] == IGNORE or not factor:
                continue
            expected += factor * reference_loss(target, states[row, frame], int(labels[row, frame]))
            count += 1
    assert output.denominator == count
    assert output.loss_sum.item() == pytest.approx(expected, rel=1e-5)


def reference_loss(target: Any, state: Tensor, unit: int) -> float:
    """-log softmax of cosines over the temperature, in double precision."""
    weight, bias = (each.detach().double() for each in (target.projection.weight, target.projection.bias))
    projected, vectors = weight @ state.double() + bias, target.vectors.detach().double()
    cosines = vectors @ projected / (vectors.norm(dim=1) * projected.norm())
    return float(torch.logsumexp(cosines / 0.1, 0) - cosines[unit] / 0.1)


# -- processor -----------------------------------------------------------------------------------------------------


def records(count: int = 4, rate: float = 50.0) -> list[dict[str, Any]]:
    """Tones with units that count up."""
    made = []
    for i in range(count):
        seconds = 0.5 + i / 10
        made.append({"audio": encoded(tone(300 + 50 * i, seconds)), "units": list(range(int(seconds * rate)))})
    return made


def prepared(folder: Path, processor: Any, values: list[dict[str, Any]]) -> tuple[ArrowRows, list[str]]:
    bad: list[str] = []
    source = (Record(value, "some.jsonl", line) for line, value in enumerate(values, 1))
    write_rows(folder / "rows", processor.prepare(source, lambda error: bad.append(str(error))))
    return ArrowRows(folder / "rows"), bad


def test_the_processor_keeps_its_contracts() -> None:
    options = {"crop_seconds": 0.6, "mask_time_length": 3, "mixing_prob": 0.5, "mixing_noise_prob": 0.5}
    check_module("units", "processor", options, records=records())


@pytest.mark.parametrize("rate", [50.0, 100.0, 25.0])
def test_a_frame_has_the_unit_of_its_time_wherever_the_recording_is_cut(tmp_path: Path, rate: float) -> None:
    config = UnitsProcessorConfig(crop_seconds=0.3, unit_rate=rate, mask_time_length=2, normalize=False)
    processor = config.build(DataContext(), None)
    values = [{"audio": encoded(np.arange(RATE) / RATE), "units": " ".join(map(str, range(int(rate))))}]
    rows, _ = prepared(tmp_path, processor, values)
    for epoch in range(5):
        sample = processor.sample(rows, 0, generator(0, TRAIN, epoch, 0))
        assert len(sample["units"]) == len(sample["mask"]) == processor.frames(4800)  # type: ignore[attr-defined]
        # A ramp: each sample is its time.
        starts = sample["input_values"][::320][: len(sample["units"])]
        expected = np.floor(starts * rate + 0.01)  # 16 bits a sample
        np.testing.assert_array_equal(sample["units"], expected)


def test_units_stand_as_a_list_or_as_a_text_and_fill_the_batch(tmp_path: Path) -> None:
    processor = UnitsProcessorConfig(mask_time_length=2).build(DataContext(), None)
    first, second = records(2)
    second["units"] = " ".join(map(str, second["units"]))
    rows, bad = prepared(tmp_path, processor, [first, second])
    assert not bad
    batch = processor.collate([processor.sample(rows, i, generator(0, TRAIN, 0, i)) for i in range(2)])
    labels = batch.labels["units"]
    assert labels["labels"].shape == labels["masked"].shape == batch.inputs["mask_time_indices"].shape
    frames = [processor.frames(int(0.5 * RATE)), processor.frames(int(0.6 * RATE))]  # type: ignore[attr-defined]
    for row, number in enumerate(frames):
        assert labels["labels"][row, :number].tolist() == list(range(number))
        assert bool((labels["labels"][row, number:] == IGNORE).all())
    assert torch.equal(labels["masked"], batch.inputs["mask_time_indices"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"units": None}, "no field 'units'; the fields are audio"),
        ({"units": "1 2 x"}, "'units' are integers, got '1 2 x'"),
        ({"units": [1, -2] * 20}, "'units' are numbers from 0 on"),
        ({"units": []}, "'units' are numbers from 0 on, got '[]'"),
        ({"units": [40] * 30}, "the unit 40 is not below num_units, 40, of the target units"),
        ({"units": [1] * 20}, "20 units for 0.50 seconds; unit_rate 50 needs at least 21"),
    ],
)
def test_records_without_their_units_are_reported(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    data = DataContext(targets=targets(units={"num_units": 40}))
    processor = UnitsProcessorConfig(mask_time_length=2).build(data, None)
    good, wrong = records(1)[0], {**records(1)[0], **change}
    wrong = {name: value for name, value in wrong.items() if value is not None}
    rows, (bad,) = prepared(tmp_path, processor, [good, wrong])
    assert len(rows) == 1
    assert bad.startswith("some.jsonl:2: ")
    assert message in bad


# -- making units --------------------------------------------------------------------------------------------------


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    (tmp_path / "wav").mkdir()
    rows = ["audio\ttext"]
    for number, (samples, _) in enumerate(melodies(6)):
        soundfile.write(tmp_path / "wav" / f"{number}.wav", samples, RATE)
        rows.append(f"wav/{number}.wav\ttone {number}")
    (tmp_path / "train.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return tmp_path / "train.tsv"


def run(*arguments: object) -> str:
    found = CliRunner().invoke(units_command, [str(each) for each in arguments], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.output


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_units_of_tones_tell_the_tones_apart(manifest: Path) -> None:
    folder = manifest.parent
    (folder / "out").mkdir()
    made = folder / "out" / "units.jsonl"
    assert "unit_rate: 100" in run(manifest, "--clusters", 16, "--output", made)
    found = lines(made)
    assert [line["text"] for line in found] == [f"tone {i}" for i in range(6)]
    heard: dict[str, list[int]] = {}
    for line, (_, chosen) in zip(found, melodies(6)):
        assert (folder / "out" / line["audio"]).is_file()
        units = line["units"].split()
        assert len(units) == 98
        for number, each in enumerate(chosen):  # a quarter of a second, away from the changes
            for unit in units[25 * number + 4 : 25 * number + 20]:
                heard.setdefault(unit, []).append(each)
    most = sum(tones.count(max(tones, key=tones.count)) for tones in heard.values())
    assert most > 0.9 * sum(map(len, heard.values()))
    again = folder / "again.jsonl"
    run(manifest, "--centres", folder / "out" / "units.centres.npy", "--output", again)
    assert [line["units"] for line in lines(again)] == [line["units"] for line in found]


def test_recordings_that_cannot_be_read_are_left_out(manifest: Path) -> None:
    with manifest.open("a", encoding="utf-8") as file:
        file.write("wav/9.wav\tmissing\n")
    made = manifest.with_name("units.jsonl")
    output = run(manifest, "--clusters", 4, "--output", made)
    assert output.count("left out: ") == 1
    assert "train.tsv:8: audio 'wav/9.wav' cannot be read" in output
    assert "6 recordings in" in output
    assert "1 left out" in output
    assert len(lines(made)) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either --clusters"),
        (["--clusters", "9", "--model", "runs/hubert"], "--model and --layer must be given together"),
        (["--clusters", "90000"], "the recordings have only 588 frames"),
    ],
)
def test_commands_that_cannot_work_say_why(manifest: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(TPError, match=message):
        run(manifest, "--output", manifest.with_name("units.jsonl"), *arguments)


def test_shards_whose_recordings_no_line_can_name_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "shard.tar", "w") as shard:
        data = encoded(tone(400))
        member = tarfile.TarInfo("0.wav")
        member.size = len(data)
        shard.addfile(member, io.BytesIO(data))
    with pytest.raises(TPError, match=r"shard\.tar:1: the recording is not a file of its own"):
        run(tmp_path / "shard.tar", "--clusters", 4, "--output", tmp_path / "units.jsonl")
    assert [each.name for each in tmp_path.iterdir()] == ["shard.tar"]


def test_the_nearest_centre_is_found() -> None:
    draw = np.random.default_rng(0)
    points, found = draw.standard_normal((500, 5)).astype(np.float32), draw.standard_normal((9, 5)).astype(np.float32)
    expected = np.square(points[:, None] - found).sum(axis=2).argmin(axis=1)
    np.testing.assert_array_equal(nearest(points, found), expected)
    with pytest.raises(TPError, match="only 5 frames"):
        centres(points[:5], 6, 0)


def test_units_of_a_models_layer_are_those_of_its_nearest_centres(manifest: Path) -> None:
    """The second round of HuBERT: clusters of states in place of cepstra."""
    folder = manifest.parent
    (folder / "spec.yaml").write_text(
        "extends: hubert-base\n"
        "model:\n"
        "  hidden_size: 16\n"
        "  embedding: [waveform: {channels: [8, 8], kernels: [10, 8], strides: [5, 64]}, conv_pos: {groups: 2}]\n"
        "  encoder: {transformer: {num_layers: 2, num_heads: 2}}\n",
        encoding="utf-8",
    )
    model = build_model(load_spec(folder / "spec.yaml")).eval()
    (folder / "model").mkdir()
    (folder / "spec.yaml").rename(folder / "model" / "spec.yaml")
    save_file({name: each.contiguous() for name, each in model.weights().items()}, folder / "model/model.safetensors")
    made = folder / "states.jsonl"
    assert "unit_rate: 50" in run(
        manifest, "--model", folder / "model", "--layer", 1, "--clusters", 5, "--output", made
    )
    with pytest.raises(TPError, match="--layer 3: the model has the layers 1 to 2"):
        run(manifest, "--model", folder / "model", "--layer", 3, "--clusters", 5, "--output", folder / "more.jsonl")
    found = np.load(folder / "states.centres.npy")
    samples, _ = soundfile.read(folder / "wav" / "0.wav", dtype="float32")
    states: list[Tensor] = []
    layer: Any = model.encoder.layers[0]  # type: ignore[index]
    layer.register_forward_hook(lambda _, __, output: states.append(output[0]))
    values = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
    with torch.no_grad():
        model.encode(batch_of(input_values=torch.from_numpy(values)[None]))
    expected = torch.cdist(states[0][0], torch.from_numpy(found)).argmin(dim=1)
    assert lines(made)[0]["units"] == " ".join(map(str, expected.tolist()))


@pytest.mark.slow
def test_two_processes_make_the_units_that_one_makes(manifest: Path) -> None:
    folder = manifest.parent
    with manifest.open("a", encoding="utf-8") as file:
        file.write("wav/9.wav\tmissing\n")
    for name, start in (("one", runs.run_tp), ("two", runs.run_group)):
        said = start(folder, "units", "train.tsv", "--clusters", 4, "--max-frames", 300, "--output", f"{name}.jsonl")
        assert said.count("left out: ") == said.count("6 recordings in") == said.count("4 centres of 300 frames") == 1
    for suffix in (".jsonl", ".centres.npy"):
        assert (folder / f"one{suffix}").read_bytes() == (folder / f"two{suffix}").read_bytes()
