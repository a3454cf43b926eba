"""Every option of a strategy: all processes end with the same weights, those of one process on the same batches."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.core import runs
from tp_core import build_model, load_spec
from tp_core.errors import TPError
from tp_core.spec.checks.run import check_run

HERE = Path(__file__).parent
STEPS = 6


def ddp(**options: Any) -> str:
    return f"train.strategy={json.dumps({'ddp': options})}"


ODD = ["odd.yaml"]
SETS = ["sets.yaml"]
CHECKPOINTED = "train.activation_checkpointing=true"

#: Runs in one process, which the others are compared with.
ALONE = {
    "alone": ["spec.yaml"],
    "alone unclipped": ["spec.yaml", "train.clip_norm=null"],
    "alone bf16": ["spec.yaml", "train.precision=bf16"],
    "alone fp16": ["spec.yaml", "train.precision=fp16"],
    "alone odd": ODD,
    "alone sets": SETS,
}

#: Runs in two processes → the run in one, the relative difference that rounding explains, the spec and its overrides.
TOGETHER: dict[str, tuple[str, float, list[str]]] = {
    "accumulate": ("alone", 1e-5, ["spec.yaml", ddp(bucket_mb=1e3), "train.accumulate=2"]),
    "static": ("alone", 1e-5, ["spec.yaml", ddp(static_graph=True)]),
    "static accumulate": ("alone", 1e-5, ["spec.yaml", ddp(static_graph=True), "train.accumulate=2", CHECKPOINTED]),
    "static buckets": ("alone", 1e-5, ["spec.yaml", ddp(static_graph=True, bucket_mb=0.01), "train.accumulate=4"]),
    "least buckets": ("alone", 1e-5, ["spec.yaml", ddp(bucket_mb=1e-9), CHECKPOINTED]),
    "unclipped": ("alone unclipped", 1e-5, ["spec.yaml", ddp(static_graph=True), "train.clip_norm=null"]),
    # Rounded to 8 and 11 bits, sums depend on how a batch is cut.
    "bf16": ("alone bf16", 2e-2, ["spec.yaml", ddp(static_graph=True), "train.precision=bf16"]),
    "fp16": ("alone fp16", 3e-3, ["spec.yaml", ddp(), "train.precision=fp16", "train.accumulate=2"]),
    # AdamW divides a gradient by its size, and so makes differences of the smallest as large as any.
    "odd": ("alone odd", 5e-5, [*ODD, ddp()]),
    "odd accumulate": ("alone odd", 5e-5, [*ODD, ddp(bucket_mb=1e-3), "train.accumulate=2"]),
    "sets": ("alone sets", 1e-5, [*SETS, "train.accumulate=2", CHECKPOINTED]),
}


def write_home(folder: Path) -> Path:
    """A project with the specs ``spec.yaml``, ``odd.yaml`` (parts without a gradient) and ``sets.yaml``."""
    options = {"steps": STEPS, "log_every": STEPS, "checkpoint_every": None, "hooks": ["keep_weights:Config"]}
    runs.write_project(folder, optimizer={"sgd": {"lr": 0.5}}, **options)
    for name in ("keep_weights.py", "odd_parts.py"):
        shutil.copy(HERE / name, folder)
    spec = runs.read_spec(folder)
    spec["model"]["dropout"] = 0.0
    runs.write_spec(folder, spec)
    odd = {**spec, "model": {**spec["model"], "target": ["mlm", "sp", "odd_parts:Config"]}}
    odd["train"] = {**spec["train"], "optimizer": {"adamw": {"lr": 0.01, "weight_decay": 0.1}}}
    (folder / "odd.yaml").write_text(json.dumps(odd))
    lines = [f"{a} {b} {c}\t{number % 2}" for number, (a, b, c) in enumerate(zip(*[iter(runs.WORDS)] * 3))]
    (folder / "labelled.tsv").write_text("\n".join(["text\tlabel", *lines]) + "\n")
    running = {"processor": {"bert": {"max_length": 32}}, "train": "corpus.txt", "targets": ["mlm", "sp"]}
    labelled = {"processor": {"cls": {"max_length": 16}}, "train": "labelled.tsv", "targets": ["cls"]}
    data = {key: value for key, value in spec["data"].items() if key not in running}
    sets = {**spec, "model": {**spec["model"], "target": ["mlm", "sp", "cls"]}}
    (folder / "sets.yaml").write_text(json.dumps({**sets, "data": {**data, "sets": {"one": running, "two": labelled}}}))
    return folder


def run_all(folder: Path, wanted: dict[str, list[str]], processes: int, seconds: float = 120) -> None:
    """Train runs one after the other, in one group of processes."""
    file = folder / f"runs-{processes}.json"
    file.write_text(json.dumps(wanted))
    if processes == 1:
        started = [runs.start_tp(folder, file.name, script=HERE / "many_runs.py")]
    else:
        started = runs.start_group([folder] * processes, file.name, script=HERE / "many_runs.py")
    ended = [run.wait(seconds) for run in started]
    assert ended == [0] * processes, "".join(run.said() for run in started)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_home(tmp_path_factory.mktemp("strategies"))
    run_all(folder, ALONE, 1)
    run_all(folder, {name: run for name, (_, _, run) in TOGETHER.items()}, 2)
    return folder


def weights(run: Path, rank: int = 0) -> dict[str, torch.Tensor]:
    return load_file(str(run / f"rank-{rank}.safetensors"))


def difference(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> float:
    """The largest relative difference of a weight, by the norm."""
    assert found.keys() == expected.keys()
    return max(float((found[name] - value).norm() / value.norm().clamp(min=1e-3)) for name, value in expected.items())


@pytest.mark.parametrize("name", TOGETHER)
def test_two_processes_end_with_the_same_weights_and_those_of_one(home: Path, name: str) -> None:
    alone, tolerance, _ = TOGETHER[name]
    runs.assert_same_weights(weights(home / name, 1), weights(home / name, 0))
    runs.assert_same_weights(runs.weights(home / name), weights(home / name))
    assert difference(weights(home / name), weights(home / alone)) < tolerance


@pytest.mark.parametrize("name", ALONE)
def test_the_runs_that_others_are_compared_with_have_learned(home: Path, name: str) -> None:
    before = build_model(load_spec(home / ALONE[name][0])).weights()
    assert difference(weights(home / name), before) > 0.1


def test_three_processes_learn_as_one(home: Path) -> None:
    size = "train.batch_size=6"
    run_all(home, {"alone by six": ["odd.yaml", size]}, 1)
    run_all(home, {"three": ["odd.yaml", size, ddp()]}, 3)
    for rank in (1, 2):
        runs.assert_same_weights(weights(home / "three", rank), weights(home / "three"))
    assert difference(weights(home / "three"), weights(home / "alone by six")) < 5e-5


@pytest.mark.slow
def test_compiled_processes_learn_as_one_that_is_not(home: Path) -> None:
    compiled = {
        "compiled": ["spec.yaml", ddp(), "train.compile=true"],
        "compiled static": ["spec.yaml", ddp(static_graph=True), "train.compile=true"],
        "compiled accumulate": ["spec.yaml", ddp(bucket_mb=1), "train.accumulate=2", "train.compile=true"],
        "compiled static accumulate": ["spec.yaml", ddp(static_graph=True), "train.accumulate=2", "train.compile=true"],
        "compiled odd": ["odd.yaml", ddp(), "train.compile=true"],
    }
    run_all(home, compiled, 2, seconds=1800)
    for name, (spec, *_) in compiled.items():
        runs.assert_same_weights(weights(home / name, 1), weights(home / name))
        alone = home / ("alone odd" if spec == "odd.yaml" else "alone")
        assert difference(weights(home / name), weights(alone)) < 5e-5, name


# -- parts without a gradient ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", ["alone odd", "odd", "odd accumulate"])
def test_a_part_without_a_gradient_stays_as_it_was_drawn(home: Path, run: str) -> None:
    before, after = build_model(load_spec(home / "odd.yaml")).weights(), weights(home / run)
    own = {name: value for name, value in before.items() if "odd_parts" in name}
    assert len(own) == 8
    for name, value in own.items():
        unchanged = ".never." in name or name.endswith(("hollow.weight", "hollow.bias"))
        assert torch.equal(after[name], value) == unchanged, name


def test_the_part_that_is_used_now_and_then_was_used_and_was_not(home: Path) -> None:
    """The layer ``sometimes`` decays at each step where it has a gradient, in one process and in two."""
    before = build_model(load_spec(home / "odd.yaml")).weights()
    name = next(name for name in before if name.endswith("sometimes.weight"))
    for run in ("alone odd", "odd"):
        state = load_file(home / run / "checkpoints" / f"step_{STEPS:06d}" / "optimizer.safetensors")
        steps = {float(value) for key, value in state.items() if key.endswith("/step")}
        assert float(STEPS) in steps
        assert any(0 < each < STEPS for each in steps), "a word that fewer texts have would do"
    assert not torch.equal(weights(home / "odd")[name], before[name])


# -- promises -------------------------------------------------------------------------------------------------------


def test_a_promise_that_a_batch_breaks_ends_the_run(home: Path) -> None:
    pair = runs.start_group([home] * 2, "train", "odd.yaml", "--run", "broken", ddp(static_graph=True))
    assert [run.wait() for run in pair] == [2, 2]
    said = "".join(run.said() for run in pair)
    (error,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert error.startswith("error: train.strategy.ddp.static_graph: true promises that every step trains the same")
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("spec", "overrides", "message"),
    [
        (
            "sets.yaml",
            [ddp(static_graph=True)],
            r"train.strategy.ddp.static_graph: promises that every step trains .*, and data.sets are trained in turn",
        ),
        (
            "spec.yaml",
            [ddp(bucket_mb=0.5), "train.compile=true"],
            r"train.strategy.ddp.bucket_mb: is 0.5, and a compiled model needs buckets of 1 MB or more",
        ),
    ],
)
def test_options_that_cannot_be_combined_are_refused(home: Path, spec: str, overrides: list[str], message: str) -> None:
    with pytest.raises(TPError, match=message):
        check_run(load_spec(home / spec, overrides))


def test_options_that_can_be_combined_are_not_refused(home: Path) -> None:
    check_run(load_spec(home / "sets.yaml", [ddp(bucket_mb=0.5)]))
    check_run(load_spec(home / "spec.yaml", [ddp(static_graph=True), "train.compile=true"]))
