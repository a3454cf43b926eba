"""Several data sets trained in turn: a step's set is a function of (seed, step), and each set keeps its own order."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.core import runs
from tp_core import evaluate, load_model, load_spec, predict
from tp_core.data.routing import Feed, Route
from tp_core.data.sampling.loader import BatchPlan, training_batches
from tp_core.data.sampling.mixture import DataSet, SetSchedule
from tp_core.errors import TPError
from tp_core.interfaces import Batch, Processor, Rows

WORD = runs.WORDS[3]


class Numbers(Rows):
    """Rows that hold their own numbers."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def get(self, column: str, index: int) -> int:
        return index


class Plain(Processor):
    """Samples are the rows; a batch carries them as labels."""

    def prepare(self, records, report):  # type: ignore[no-untyped-def]
        yield {}

    def sample(self, rows, index, generator):  # type: ignore[no-untyped-def]
        return {"index": rows.get("", index)}

    def encode(self, records):  # type: ignore[no-untyped-def]
        return []

    def collate(self, samples):  # type: ignore[no-untyped-def]
        import torch

        return Batch.of({"input_ids": torch.tensor([[s["index"]] for s in samples])}, len(samples))


def drawn(steps: range, shares: tuple[float, ...] = (2.0, 1.0), total: int = 300) -> list[tuple[str, list[int]]]:
    sets = [
        DataSet("a", Numbers(10), Feed(Plain(), Route(targets=("one",))), shares[0]),
        DataSet("b", Numbers(7), Feed(Plain(), Route(stream="image", targets=("two",))), shares[1]),
    ]
    turns = SetSchedule(shares, total, seed=3)
    found = []
    for (batch,) in training_batches(sets, BatchPlan(batch_size=2, seed=3), turns, steps):
        assert batch.targets is not None
        found.append((batch.targets[0], batch.inputs["input_ids"].flatten().tolist()))
    return found


def test_sets_are_drawn_by_their_shares() -> None:
    counts = Counter(target for target, _ in drawn(range(300)))
    assert counts["one"] == pytest.approx(200, abs=20)


def test_each_set_goes_through_its_own_rows_epoch_by_epoch() -> None:
    for target, size in (("one", 10), ("two", 7)):
        seen = [index for name, rows in drawn(range(300)) if name == target for index in rows]
        for start in range(0, len(seen) - size, size):
            assert sorted(seen[start : start + size]) == list(range(size))


def test_a_step_is_the_same_wherever_training_starts_and_however_long_it_is() -> None:
    whole = drawn(range(300))
    assert drawn(range(100, 120)) == whole[100:120]
    assert drawn(range(50), total=80) == whole[:50]


def test_a_batch_goes_to_the_targets_and_the_stream_of_its_set() -> None:
    batch = Feed(Plain(), Route(stream="image", targets=("two",), number=1)).collate([{"index": 4}, {"index": 5}])
    assert batch.targets == ("two",)
    assert set(batch.source) == {"image"}
    assert batch.source["image"]["task_ids"].tolist() == [1, 1]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tasks over one tiny encoder: BERT's, and the classification of sentences by their first word."""
    folder = runs.write_project(tmp_path_factory.mktemp("sets"), log_every=4, checkpoint_every=4, eval_every=8)
    rng = np.random.default_rng(0)
    lines = ["text\tlabel"]
    for _ in range(40):
        words = rng.choice(runs.WORDS, 4).tolist()
        lines.append(" ".join(words) + f"\t{runs.WORDS.index(words[0]) % 2}")
    (folder / "labelled.tsv").write_text("\n".join(lines) + "\n")
    spec = runs.read_spec(folder)
    spec["model"]["embedding"].append({"task": {"num_tasks": 2}})
    spec["model"]["target"] = ["mlm", "sp", "cls"]
    data = spec["data"]
    running = {"processor": data.pop("processor"), "train": data.pop("train"), "targets": ["mlm", "sp"], "share": 2}
    labelled = {"processor": {"cls": {"max_length": 16}}, "train": "labelled.tsv", "targets": ["cls"]}
    data["sets"] = {"running": {**running, "eval": "held_out.txt"}, "labelled": {**labelled, "eval": "labelled.tsv"}}
    runs.write_spec(folder, spec)
    runs.train(folder, "--run", "whole")
    return folder


def test_every_target_is_trained_on_its_own_sets_batches(home: Path) -> None:
    lines = runs.metrics(home / "whole")
    last = [line for line in lines if "eval/loss" in line][-1]
    assert {"eval/loss/running/mlm", "eval/loss/running/sp", "eval/loss/labelled/cls"} <= last.keys()
    mean = (2 * (last["eval/loss/running/mlm"] + last["eval/loss/running/sp"]) + last["eval/loss/labelled/cls"]) / 3
    assert last["eval/loss"] == pytest.approx(mean)
    accuracies = [last["eval/running/mlm/accuracy"], last["eval/labelled/cls/accuracy"]]
    assert last["eval/mean"] == pytest.approx(sum(accuracies) / 2)
    assert {"loss/mlm", "loss/cls"} <= set().union(*lines)


def test_a_killed_run_of_two_sets_goes_on_as_if_it_had_not_been(home: Path) -> None:
    shutil.copy(Path(__file__).with_name("sudden_death.py"), home)
    death = "train.hooks=[sudden_death:Config]"
    (home / "death.json").write_text('["step_end", 10]')
    runs.train(home, "--run", "killed", death, status=-9)
    runs.train(home, "--run", "killed", death, "--resume")
    assert runs.metrics(home / "killed") == runs.metrics(home / "whole")
    expected = runs.weights(home / "whole")
    assert all(bool((found == expected[name]).all()) for name, found in runs.weights(home / "killed").items())


def test_two_processes_take_the_same_turns(home: Path) -> None:
    runs.train(home, "--run", "single", "model.dropout=0")
    runs.train_pair(home, "--run", "pair", "model.dropout=0")
    pairs = zip(runs.metrics(home / "pair"), runs.metrics(home / "single"), strict=True)
    assert all(found == pytest.approx(expected, rel=1e-5) for found, expected in pairs)


def test_a_trained_model_is_used_as_one_of_its_sets(home: Path) -> None:
    labelled = load_model(home / "whole", data_set="labelled")
    assert set(evaluate(labelled, str(home / "labelled.tsv"))) == {"loss", "loss/cls", "cls/accuracy"}
    (prediction,) = predict(labelled, [{"text": WORD}])
    assert set(prediction) == {"label", "probabilities"}
    assert "loss/mlm" in evaluate(load_model(home / "whole"), str(home / "held_out.txt"))
    with pytest.raises(TPError, match=r"no data set 'labeled'; did you mean 'labelled'\?"):
        load_model(home / "whole", data_set="labeled")


def test_the_resolved_spec_loads_again_to_the_same_spec(home: Path) -> None:
    first = load_spec(home / "spec.yaml")
    again = load_spec(home / "whole" / "spec.yaml")
    assert again.dump() == first.dump()
