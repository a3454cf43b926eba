"""The plan of a sweep: its file, its combinations, its searches and its tables."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.core import reviews, runs
from tp_core import SpecError, TPError
from tp_core.spec.tree.yaml_loader import parse
from tp_core.sweep.axes import Axis, Range, flow, grid_setting
from tp_core.sweep.checked import Measure
from tp_core.sweep.children import cuda_devices, failure_in
from tp_core.sweep.combinations import SweepRun, draws, grid, runs_of, short_keys, trial, within
from tp_core.sweep.folder import SweepFolder
from tp_core.sweep.plan import Plan, read_plan
from tp_core.sweep.prepare import prepared_sweep
from tp_core.sweep.results import Result, evaluations, rows_of, write_rows
from tp_core.sweep.search import Trials
from tp_core.sweep.summary import best_of, shown, summarised, summary_rows

LR = "train.optimizer.adamw.lr"
ACCURACY = Measure("cls/accuracy", high=True)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(reviews.write_project(tmp_path / "project"))
    return tmp_path / "project"


def prepared(*grid: str, settings: Sequence[str] = (), resume: bool = False, **given: Any) -> Any:
    return prepared_sweep(read_plan("spec.yaml", settings, grid, given), resume, lambda _: None)


# -- values and combinations -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", [1e-4, 3e-05, 5, "adamw", "a: b", "1e-4", True, None, {"cosine": {"warmup": 0.1}}, []]
)
def test_a_value_is_read_back_from_its_text(value: Any) -> None:
    assert parse(flow(value), "test").plain() == value


def test_a_grid_on_the_command_line_is_a_list_of_yaml_values_or_a_range() -> None:
    assert grid_setting(f"{LR}=1e-4, 3e-4")[1].plain() == [1e-4, 3e-4]
    assert grid_setting("train.schedule=linear,{cosine: {warmup: 0.1}}")[1].plain() == [
        "linear",
        {"cosine": {"warmup": 0.1}},
    ]
    assert grid_setting("model.embedding=[word, pos],[word]")[1].plain() == [["word", "pos"], ["word"]]
    assert grid_setting(f"{LR}={{low: 1e-5, high: 1e-3}}")[1].plain() == {"low": 1e-5, "high": 1e-3}


def test_all_combinations_have_short_names_and_seeds_and_folds_are_repetitions() -> None:
    axes = [Axis(LR, ("0.0001", "3.0e-05")), Axis("train.schedule", ("linear", "{cosine: {warmup: 0.1}}"))]
    found = grid(axes)
    assert [each.name for each in found] == [
        "lr=0.0001_schedule=linear",
        "lr=0.0001_schedule=cosine-warmup-0.1",
        "lr=3e-05_schedule=linear",
        "lr=3e-05_schedule=cosine-warmup-0.1",
    ]
    assert found[1].settings() == [f"{LR}=0.0001", "train.schedule={cosine: {warmup: 0.1}}"]
    own = runs_of(found[0], ["1", "2"], 2)
    assert [run.name.removeprefix(found[0].name) for run in own] == [
        "_seed=1_fold=0",
        "_seed=1_fold=1",
        "_seed=2_fold=0",
        "_seed=2_fold=1",
    ]
    assert own[2].settings() == [*found[0].settings(), "train.seed=2"]
    assert [run.name for run in runs_of(grid([])[0], [], 2)] == ["fold=0", "fold=1"]


def test_names_that_would_be_equal_or_too_long_are_numbers() -> None:
    assert [each.name for each in grid([Axis("a.b", ("x y", "x-y"))])] == ["b=x-y", "combination=1"]
    assert [each.name for each in grid([Axis("a.b", ("x" * 300,))])] == ["combination=0"]
    assert short_keys(["a.lr", "b.c.lr", "b.steps"]) == ["a.lr", "c.lr", "steps"]


# -- searches ----------------------------------------------------------------------------------------------------------


def test_random_draws_are_inside_the_range_different_and_do_not_depend_on_their_count() -> None:
    axes = [Axis(LR, (), Range(low=1e-5, high=1e-3, log=True)), Axis("model.num_layers", (), Range(low=1, high=3))]
    found = draws(axes, 30, seed=3)
    rates = [float(each.values[LR]) for each in found]
    assert all(1e-5 <= rate <= 1e-3 for rate in rates)
    assert 8 <= sum(rate < 1e-4 for rate in rates) <= 22  # the logarithm is drawn evenly
    assert {each.values["model.num_layers"] for each in found} == {"1", "2", "3"}
    assert len({tuple(each.values.items()) for each in found}) == 30
    assert draws(axes, 10, seed=3) == found[:10]
    assert draws(axes, 10, seed=4) != found[:10]
    with pytest.raises(TPError, match="--trials 7: the grid has only 6 combinations"):
        draws([Axis("a", ("1", "2")), Axis("b", (), Range(low=1, high=3))], 7, seed=0)


def test_the_ends_of_a_range_are_reached_and_not_exceeded() -> None:
    assert [within(Range(low=1, high=3), share) for share in (0.0, 0.34, 0.999999)] == [1, 2, 3]
    assert [within(Range(low=1, high=100, log=True), share) for share in (0.0, 0.5, 0.999999)] == [1, 10, 100]
    assert within(Range(low=0.1, high=0.30000001), 0.999999) == 0.3
    assert within(Range(low=0.12354, high=0.2), 0.0) == 0.12354


def optuna_search(path: Path, trials: int = 12) -> Any:
    pytest.importorskip("optuna")
    from tp_core.sweep.optuna_search import OptunaSearch

    path.with_name("spec.yaml").write_text("model: {}")
    grid = [f"{LR}={{low: 1e-5, high: 1e-1, log: true}}", "a=x,y", "b={low: 1, high: 4}"]
    plan = read_plan(str(path.with_name("spec.yaml")), [], grid, {"search": "optuna", "trials": trials})
    return OptunaSearch(plan, True, Trials(path))


def score(values: dict[str, str]) -> float:
    return -abs(math.log10(float(values[LR])) + 3) + (values["a"] == "y") + 0.1 * int(values["b"])


def searched(search: Any, count: int, values: dict[int, float | None]) -> list[dict[str, str]]:
    found = []
    while len(found) < count and (each := search.next(values, [])) is not None:
        values[each.number] = score(each.values)
        found.append(each.values)
    return found


def test_optuna_finds_better_values_and_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    whole = searched(optuna_search(tmp_path / "whole.jsonl", 30), 30, {})
    assert len(whole) == 30
    assert max(map(score, whole[15:])) > max(map(score, whole[:5]))
    assert all(1e-5 <= float(each[LR]) <= 0.1 and each["a"] in "xy" and 1 <= int(each["b"]) <= 4 for each in whole)
    searched(optuna_search(tmp_path / "parts.jsonl"), 7, values := {})
    again = optuna_search(tmp_path / "parts.jsonl", 30)
    assert [each.number for each in again.known()] == list(range(7))
    assert searched(again, 30, values) == whole


def test_optuna_takes_failed_and_unfinished_trials_and_a_line_that_was_cut_short(tmp_path: Path) -> None:
    search = optuna_search(tmp_path / "trials.jsonl")
    first = [search.next({}, []), search.next({0: None}, []), search.next({0: None}, [1])]
    assert [each.number for each in first] == [0, 1, 2]
    with open(tmp_path / "trials.jsonl", "a") as file:
        file.write('{"a": "x"')
    assert optuna_search(tmp_path / "trials.jsonl").known() == first


def test_without_optuna_the_message_says_what_to_install(home: Path) -> None:
    code = (
        "import sys; sys.modules['optuna'] = None; from tp_core.cli.start import run; "
        f"sys.argv = ['tp', 'sweep', 'spec.yaml', '--grid', '{LR}=1,2', '--search', 'optuna', '--trials', '2']; run()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=home, env=runs.environment(), capture_output=True, text=True
    )
    assert ended.returncode == 2
    assert "--search optuna needs the library optuna: pip install 'tp-core[optuna]'" in ended.stderr


# -- the file ----------------------------------------------------------------------------------------------------------


def test_a_file_and_options_give_the_same_plan_and_options_override_the_file(home: Path) -> None:
    content = {
        "spec": "spec.yaml",
        "settings": ["train.steps=5"],
        "grid": {LR: [0.1, 0.2], "train.seed": [1, 2]},
        "folds": 3,
        "metric": "loss",
        "run": "out",
    }
    (home / "sweep.yaml").write_text(yaml.safe_dump(content))
    file = read_plan("sweep.yaml")
    lists = [f"{LR}=0.1,0.2", "train.seed=1,2"]
    options = read_plan("spec.yaml", ["train.steps=5"], lists, {"folds": 3, "metric": "loss", "run": "out"})
    assert (file.settings, file.axes, file.seeds) == (options.settings, options.axes, options.seeds)
    assert file.axes == (Axis(LR, ("0.1", "0.2")),)
    assert file.seeds == ("1", "2")
    assert (file.spec, file.run) == (str(home / "spec.yaml"), home / "out")
    other = read_plan("sweep.yaml", ["train.batch_size=4"], [f"{LR}=0.3"], {"folds": 2, "run": "there"})
    assert other.settings == ("train.steps=5", "train.batch_size=4")
    assert (other.axes, other.options.folds, other.run) == ((Axis(LR, ("0.3",)),), 2, Path("there"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"spec": "spec.yaml", "gird": {"a": [1]}},
            r"sweep\.yaml:2:1: gird: unknown option 'gird'; did you mean 'grid'",
        ),
        ({"grid": {"train.seed": [1]}}, r"spec: is required"),
        ({"spec": "spec.yaml", "grid": [1]}, r"grid: expected keys with lists of values, got a list"),
        ({"spec": "spec.yaml", "grid": {"train.seed": 1}}, r"train\.seed: expected a list of values, or a range"),
        ({"spec": "spec.yaml", "grid": {"train.seed": []}}, r"train\.seed: expected a list of values.*an empty list"),
        ({"spec": "spec.yaml", "grid": {"a": [1, 1]}}, r"a: lists 1 twice"),
        ({"spec": "spec.yaml", "grid": {"a": {"low": 1}}}, r"a\.high: is required"),
        ({"spec": "spec.yaml", "grid": {"a": {"low": 2, "high": 1}}}, r"a: low is 2 and high is 1"),
        ({"spec": "spec.yaml", "grid": {"a": {"low": 0, "high": 1, "log": True}}}, r"with log, it must be greater"),
        ({"spec": "spec.yaml", "grid": {"train.seed": {"low": 0, "high": 1}}}, r"seeds are repetitions"),
        ({"spec": "spec.yaml", "folds": 1}, r"folds: must be at least 2, got 1"),
        ({"spec": "spec.yaml", "search": "optna"}, r"search: expected one of grid, random, optuna"),
        ({"spec": "speck.yaml", "folds": 2}, r"there is no such file; did you mean 'spec\.yaml'"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_line(home: Path, content: dict[str, Any], message: str) -> None:
    (home / "sweep.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    with pytest.raises(SpecError, match=message):
        prepared_sweep(read_plan("sweep.yaml"), False, print)


@pytest.mark.parametrize(
    ("grid", "given", "message"),
    [
        ((), {}, "nothing differs between runs; give --grid KEY=VALUE,VALUE, or --folds"),
        (("train.seed",), {}, "expected KEY=VALUE,VALUE, for example train.seed=1,2,3"),
        ((f"{LR}={{low: 1, high: 2}}",), {}, f"{LR} has a range; give --search random or optuna"),
        ((f"{LR}={{low: 1, high: 2}}",), {"search": "random"}, "--search random needs --trials"),
        ((f"{LR}=1,2",), {"trials": 3}, "--trials is about --search random and --search optuna"),
        (("train.seed=1,2",), {"search": "random", "trials": 2}, "--search random needs a key with values"),
        (("train.seed=1,2",), {"stratify": True}, "--stratify is about folds; give --folds, too"),
        (("train.seed=1,2",), {"group": "author"}, "--group is about folds; give --folds, too"),
        (("data.train.tsv.path=a,b",), {"folds": 2}, "data.train.tsv.path is in the grid, and --folds sets data.train"),
        (("train.steps=1,2",), {}, "train.steps is in the grid, and is set for all runs, too"),
    ],
)
def test_options_that_do_not_go_together_are_one_message(
    home: Path, grid: Sequence[str], given: dict[str, Any], message: str
) -> None:
    with pytest.raises(TPError, match=message):
        read_plan("spec.yaml", ["train.steps=5"], grid, given)


# -- checks before anything trains -------------------------------------------------------------------------------------


def test_every_wrong_key_and_value_is_told_before_anything_trains(home: Path) -> None:
    with pytest.raises(SpecError) as caught:
        prepared(f"{LR}=0.1,-1", "train.seed=1,x", "train.btach_size=8")
    said = str(caught.value)
    assert "train.optimizer.adamw.lr: must be greater than 0, got -1" in said
    assert "train.btach_size: unknown key 'btach_size'; did you mean 'batch_size'?" in said
    assert said.count("btach_size: unknown key") == 1
    with pytest.raises(SpecError, match=r"train\.seed: expected an integer, got the text 'x'"):
        prepared(f"{LR}=0.1", "train.seed=1,x")
    assert not (home / "runs").exists()


def test_the_metric_is_known_or_follows_from_the_spec(home: Path) -> None:
    assert prepared("train.seed=1,2").measure == ACCURACY
    assert prepared("train.seed=1,2", metric="loss").measure == Measure("loss", high=False)
    early = ["train.early_stopping={metric: loss/cls}"]
    assert prepared("train.seed=1,2", settings=early).measure == Measure("loss/cls", high=False)
    with pytest.raises(
        TPError, match=r"--metric cls/acuracy: no evaluation of this spec has it; did you mean 'cls/acc"
    ):
        prepared("train.seed=1,2", metric="cls/acuracy")
    with pytest.raises(TPError, match=r"a sweep compares evaluations, and this spec has no data\.eval"):
        prepared("train.seed=1,2", settings=["data.eval=null"])


def test_folds_are_settings_of_an_ordinary_spec(home: Path) -> None:
    made = prepared(folds=3, group="author")
    train, held_out = (made.spec.dump()["data"][key]["fold"] for key in ("train", "eval"))
    assert train == held_out | {"held_out": False}
    assert held_out["of"] == [str(home / "train.tsv")]
    assert (held_out["folds"], held_out["stratify"], held_out["group"]) == (3, "label", "author")
    assert len(made.folds.division) == 60
    assert made.describe().startswith(
        "3 runs (1 combination × 3 folds, each evaluated on the held-out fold) in runs/rev"
    )
    assert prepared(folds=3, stratify=False).spec.dump()["data"]["train"]["fold"]["stratify"] is None


def test_folds_of_data_that_cannot_be_divided_are_told_before_anything_trains(home: Path) -> None:
    with pytest.raises(TPError, match=r"train\.tsv: 50 folds need at least 50 records of each class, and 'good' has "):
        prepared(folds=50)
    assert len(prepared(folds=50, stratify=False).folds.division) == 60
    with pytest.raises(
        TPError, match=r"train\.tsv:2: there is no 'autor', which tells the group; did you mean 'author'\?"
    ):
        prepared(folds=2, group="autor")
    masked = ["model.target=[mlm]", "data.processor=bert", "data.processor.bert.max_length=16"]
    with pytest.raises(
        TPError, match="--stratify needs records with class labels, and this spec has the processor 'bert'"
    ):
        prepared(folds=2, stratify=True, settings=masked)
    sets = ["data.sets={one: {train: train.tsv, eval: test.tsv}}"]
    with pytest.raises(TPError, match=r"--folds divides data\.train, and this spec has data\.sets"):
        prepared(folds=2, settings=sets)


def test_a_key_with_values_in_two_places_is_refused(home: Path) -> None:
    with pytest.raises(TPError, match=r"--grid train\.seed is given twice; give all values at once"):
        prepared("train.seed=1,2", "train.seed=3")


def test_folds_of_a_local_source_are_those_of_the_folder_of_the_spec(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "odd.py").write_text(
        "from typing import ClassVar\nfrom tp_core import Record, Source, SourceConfig\n"
        "class OddConfig(SourceConfig):\n    'Odd.'\n    implementation: ClassVar[str] = 'Odd'\n"
        "class Odd(Source):\n    def records(self, report):\n"
        "        yield from (Record({'label': 'bad', 'text_a': 'ba'}, 'odd', line) for line in range(1, 8))\n"
    )
    spec = runs.read_spec(home)
    spec["data"]["train"] = {"odd:OddConfig": {}}
    runs.write_spec(home, spec)
    assert len(prepared(folds=7).folds.division) == 7
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        TPError, match=f"the source 'odd:OddConfig' is in a file beside the spec; call tp sweep .*{home}"
    ):
        prepared_sweep(read_plan(str(home / "spec.yaml"), [], [], {"folds": 2}), False, print)


def test_a_folder_of_something_else_is_refused(home: Path) -> None:
    made = prepared("train.seed=1,2")
    made.folder.path.mkdir(parents=True)
    made.folder.write(made.identity)
    with pytest.raises(TPError, match="already holds a sweep; continue it with --resume"):
        prepared("train.seed=1,2")
    prepared("train.seed=1,2", resume=True)
    prepared("train.seed=1,2", resume=True, metric="loss", parallel=2)
    with pytest.raises(TPError, match=r"holds another sweep \(seeds differs\)"):
        prepared("train.seed=1,3", resume=True)
    with pytest.raises(TPError, match=r"holds another sweep \(train\.steps differs\)"):
        prepared("train.seed=1,2", settings=["train.steps=7"], resume=True)
    reviews.write_table(home / "train.tsv", 50)
    prepared("train.seed=1,2", resume=True)  # no run has begun: all have failed because of the data, for example
    (made.folder.path / "seed=1").mkdir()
    (made.folder.path / "seed=1" / "metrics.jsonl").touch()
    with pytest.raises(TPError, match=r"holds another sweep \(the data have changed since it began\)"):
        prepared("train.seed=1,2", resume=True)
    (home / "other").mkdir()
    (home / "other" / "file").touch()
    for path, message in (("other", "is not empty and holds no sweep"), ("train.tsv", "this is a file")):
        with pytest.raises(TPError, match=message):
            prepared("train.seed=1,2", run=path)


# -- results -----------------------------------------------------------------------------------------------------------


def result(number: int, seed: str, accuracy: float | None, status: str = "finished") -> Result:
    run = SweepRun(trial(number, {LR: f"0.{number + 1}"}), seed)
    metrics = {} if accuracy is None else {"cls/accuracy": accuracy, "loss": 1 - accuracy}
    return Result(run, status, metrics, 10, None if accuracy is None else (accuracy, 10))


def test_a_summary_has_means_and_deviations_and_the_best_of_the_complete_combinations() -> None:
    results = [result(0, "1", 0.5), result(0, "2", 0.7), result(1, "1", 0.9), result(1, "2", None, "failed")]
    results += [result(2, "1", 0.7), result(2, "2", 0.7), result(3, "1", math.nan), result(3, "2", 0.99)]
    found = summarised(results, {"trial=002_seed=1": {"cls/accuracy": 0.6}, "trial=002_seed=2": {"cls/accuracy": 0.8}})
    assert found[0].mean["cls/accuracy"] == pytest.approx(0.6)
    assert found[0].deviation["cls/accuracy"] == pytest.approx(math.sqrt(0.02))
    assert (found[1].finished, found[1].total, found[1].complete) == (1, 2, False)
    assert math.isnan(found[1].deviation["cls/accuracy"])
    assert found[2].pooled == {"cls/accuracy": pytest.approx(0.7)}
    best = best_of(found, ACCURACY)
    assert best is found[2]
    assert best_of(found, Measure("loss", high=False)) is found[2]
    assert best_of(found[1:2], ACCURACY) is None
    lines = shown(found, best, ACCURACY)
    assert lines[0].split() == ["lr", "runs", "cls/accuracy", "loss", "all", "folds", "cls/accuracy"]
    assert lines[1].split() == ["0.1", "2", "0.6000", "±", "0.1414", "0.4000", "±", "0.1414", "-"]
    assert lines[2].split()[:5] == ["0.2", "1", "of", "2", "0.9000"]
    assert lines[3].startswith("*")
    assert [row["best"] for row in summary_rows(found, best)] == ["", "", "*", ""]


def test_the_table_of_runs_has_a_row_per_run_and_the_same_columns(tmp_path: Path) -> None:
    results = [result(0, "1", None, "failed"), result(1, "1", math.nan), result(2, "1", 0.25)]
    write_rows(tmp_path / "results", rows_of(results, ACCURACY))
    lines = [line.split("\t") for line in (tmp_path / "results.tsv").read_text().splitlines()]
    head = ["run", "status", LR, "train.seed", "step", "cls/accuracy", "loss"]
    assert lines[0] == [*head, "best cls/accuracy", "best step", "message"]
    assert lines[1][:2] == ["trial=000_seed=1", "failed"]
    assert lines[2][5] == ""
    assert lines[3][5:7] == ["0.25", "0.75"]
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 3


def test_evaluations_are_read_from_the_figures_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(
        '{"step": 5, "loss": 1}\n{"step": 5, "eval/loss": 0.5, "eval/cls/f1": null}\nno\n{"step": 9, "eval/loss": 2}\n'
    )
    found = evaluations(tmp_path / "metrics.jsonl")
    assert found[9] == {"loss": 2.0}
    assert found[5]["loss"] == 0.5
    assert math.isnan(found[5]["cls/f1"])


def test_the_reason_of_a_failure_is_the_last_error_that_was_told(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("step 1\nerror: first\nresuming\nerror: the loss\n  is not finite\n")
    assert failure_in(log, 2) == "the loss is not finite"
    log.write_text("step 1\nValueError: odd\n\n")
    assert failure_in(log, 1) == "ValueError: odd"
    assert failure_in(log, -9) == "ended by SIGKILL"
    assert failure_in(tmp_path / "none", 1) == ""


def test_devices_are_those_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, 3")
    assert cuda_devices() == ["2", "3"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert cuda_devices() == []


def test_a_sweep_knows_its_paths(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path)
    assert folder.log("a=1") == tmp_path / "logs" / "a=1.log"
    assert folder.out_of_fold("") == tmp_path / "out_of_fold" / "all"
    assert isinstance(read_plan("bert-tiny", [], ["train.seed=1,2"]), Plan)
