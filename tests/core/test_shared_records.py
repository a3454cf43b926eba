"""Commands that use a model share their records between the processes that torchrun starts."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist

import tp_core
from tests.core import runs
from tp_core import TPError
from tp_core.processes.shared import Processes, shared

TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "tp_core", "--"]
SLOW = pytest.mark.slow
#: The model of the tests and the permission to run its processor, which lies in its folder.
RUN = ["run", "--trust-code"]
LOST = "error: the connection to another process was lost"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a causal model in ``run``, whose processor reads 16 records ahead, and texts of many lengths."""
    folder = tmp_path_factory.mktemp("shared")
    shutil.copy(Path(__file__).with_name("short_reader.py"), folder)
    runs.write_corpus(folder / "corpus.txt", 40)
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in [*runs.SPECIAL, "[EOS]", *runs.WORDS]))
    spec: dict[str, Any] = {
        "model": {
            "hidden_size": 16,
            "embedding": ["word", {"pos": {"max_length": 32}}],
            "encoder": {"transformer": {"num_layers": 2, "num_heads": 2, "mask": "causal"}},
            "target": "lm",
        },
        "data": {
            "tokenizer": {"space": {"vocab": "vocab.txt", "eos_token": "[EOS]"}},
            "processor": {"short_reader:Config": {"max_length": 32}},
            "train": "corpus.txt",
            "cache": "cache",
            "on_bad_record": "skip",
        },
        "train": {"steps": 4, "batch_size": 8, "loggers": [], "optimizer": {"adamw": {"lr": 0.05}}},
    }
    runs.write_spec(folder, spec)
    runs.train(folder, "--run", "run")
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(runs.WORDS, rng.integers(1, 20))) for _ in range(90)]
    (folder / "texts.txt").write_text("\n".join(texts) + "\n")
    records = [{"text": text, "number": number} for number, text in enumerate(texts[:40])]
    records[5] = {"number": 5}
    records[37] = {"number": 37}
    (folder / "some.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


def leftovers(home: Path) -> list[str]:
    return [path.name for path in home.iterdir() if path.name.startswith(".") or "tmp" in path.name]


# -- the same as one process ------------------------------------------------------------------------------------------

COMMANDS: dict[str, list[str]] = {
    "predict": ["predict", *RUN, "--input", "texts.txt", "--output", "OUT.jsonl"],
    "predict a table": ["predict", *RUN, "--input", "some.jsonl", "--output", "OUT.tsv"],
    "embed": ["embed", *RUN, "--input", "texts.txt", "--output", "OUT.npy"],
    "embed a table": ["embed", *RUN, "--input", "texts.txt", "--output", "OUT.parquet", "--pooling", "mean"],
    "generate": ["generate", *RUN, "--input", "some.jsonl", "--output", "OUT.jsonl", "--max-new-tokens", "5"],
    "sample": ["generate", *RUN, "--input", "texts.txt", "--output", "OUT.txt", "--sample", "--max-new-tokens", "5"],
}


#: Of the default suite; the others are slow tests.
QUICK = {"predict a table", "embed", "sample", "check", "input that is missing", "unknown option", "form of the output"}


def cases(of: dict[str, Any]) -> list[Any]:
    """Parameters of a test by their name."""
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), id=name, marks=() if name in QUICK else SLOW)
        for name, case in of.items()
    ]


@pytest.mark.parametrize("command", cases(COMMANDS))
def test_two_processes_write_what_one_writes(home: Path, tmp_path: Path, command: list[str]) -> None:
    name = next(word for word in command if word.startswith("OUT"))
    said = {}
    for run, start in (("one", runs.run_tp), ("two", runs.run_group)):
        own = [str(tmp_path / f"{run}{Path(name).suffix}") if word == name else word for word in command]
        said[run] = start(home, *own, "--batch-size", "4", "--device", "cpu").replace(f"{tmp_path}/{run}", "OUT")
    one, two = (tmp_path / f"{run}{Path(name).suffix}" for run in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    assert sorted(said["one"].splitlines()) == sorted(said["two"].splitlines())
    assert not leftovers(tmp_path)


@pytest.mark.slow
def test_three_processes_write_what_one_writes(home: Path, tmp_path: Path) -> None:
    predict = ["predict", *RUN, "--input", "texts.txt", "--batch-size", "4"]
    runs.run_tp(home, *predict, "--output", str(tmp_path / "one.jsonl"))
    runs.run_group(home, *predict, "--output", str(tmp_path / "three.jsonl"), count=3)
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "three.jsonl").read_bytes()


def test_what_is_drawn_for_a_text_depends_on_its_number_and_the_seed(home: Path, tmp_path: Path) -> None:
    """One text many times: the samples differ, and begin the same where fewer are asked for in other batches."""
    (home / "same.txt").write_text("ba be\n" * 40)
    (home / "fewer.txt").write_text("ba be\n" * 20)
    generate = ["generate", *RUN, "--sample", "--max-new-tokens", "8"]
    found = {}
    for name, size, seed in (("same", "4", "1"), ("fewer", "7", "1"), ("same", "4", "2")):
        output = tmp_path / f"{name}-{size}-{seed}.txt"
        runs.run_tp(
            home, *generate, "--input", f"{name}.txt", "--output", str(output), "--batch-size", size, "--seed", seed
        )
        found[name, seed] = output.read_text().splitlines()
    assert len(set(found["same", "1"])) > 30
    assert found["fewer", "1"] == found["same", "1"][:20]
    assert found["same", "2"] != found["same", "1"]


def evaluated(home: Path, *arguments: str) -> list[dict[str, float]]:
    """The figures of one process, and those of two."""
    evaluate = ["evaluate", *arguments, "--trust-code", "--batch-size", "3", "--json"]
    cache = {"TP_CACHE": str(home / "cache")}
    said = [runs.run_tp(home, *evaluate, environment=cache), runs.run_group(home, *evaluate, environment=cache)]
    found = [[json.loads(line) for line in each.splitlines() if line.startswith("{")] for each in said]
    assert list(map(len, found)) == [1, 1]
    return [figures for (figures,) in found]


def test_an_evaluation_has_the_figures_of_one_process(home: Path) -> None:
    one, two = evaluated(home, *RUN, "--data", "corpus.txt")
    assert {"loss", "loss/lm", "lm/accuracy"} <= one.keys()
    assert two == pytest.approx(one, rel=1e-12, abs=0)


def test_metrics_of_all_records_together_are_those_of_one_process(home: Path) -> None:
    """F1 is made of counts, and the area under the ROC curve of the scores of all records."""
    rng = np.random.default_rng(1)
    texts = [" ".join(rng.choice(runs.WORDS, rng.integers(1, 20))) for _ in range(50)]
    labels = [int("ba" in text.split() or rng.random() < 0.3) for text in texts]
    rows = [f"{label}\t{text}\n" for label, text in zip(labels, texts)]
    (home / "labelled.tsv").write_text("".join(["label\ttext_a\n", *rows]))
    spec = runs.read_spec(home)
    spec["model"]["target"] = [{"cls": {"num_labels": 2, "pooling": "last", "metrics": ["f1", "auc"]}}]
    spec["data"] |= {"processor": {"cls": {"max_length": 32}}, "train": "labelled.tsv"}
    (home / "classifier.yaml").write_text(json.dumps(spec))
    runs.train(home, "--run", "classifier", spec="classifier.yaml")
    one, two = evaluated(home, "classifier", "--data", "labelled.tsv")
    assert two == pytest.approx(one, rel=1e-12, abs=0)
    found = list(tp_core.predict(home / "classifier", texts))
    scores, is_one = np.array([each["probabilities"][1] for each in found]), np.array(labels) == 1
    higher = np.subtract.outer(scores[is_one], scores[~is_one])  # of one sample of each class
    assert two["cls/auc"] == pytest.approx(((higher > 0) + 0.5 * (higher == 0)).mean())
    right = (is_one & (scores > 0.5)).sum()
    assert two["cls/f1"] == pytest.approx(2 * right / (is_one.sum() + (scores > 0.5).sum()))


def test_an_evaluation_prepares_its_data_once_for_both_processes(home: Path, tmp_path: Path) -> None:
    cache = {"TP_CACHE": str(tmp_path / "cache")}
    said = runs.run_group(home, "evaluate", *RUN, "--data", "corpus.txt", environment=cache)
    assert said.count("preparing corpus.txt") == 1
    assert said.count("loss/lm\t") == 1


# -- shares -----------------------------------------------------------------------------------------------------------


def batches(folder: Path, rank: int) -> list[tuple[int, int]]:
    """(rows, length) of the batches that a process has computed."""
    path = folder / f"batches-{rank}.txt"
    return [tuple(map(int, line.split())) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.parametrize("order", ["as they come", pytest.param("sorted by length", marks=SLOW)])
def test_each_process_computes_its_share_of_the_batches_and_none_twice(home: Path, tmp_path: Path, order: str) -> None:
    texts = (home / "texts.txt").read_text().splitlines()
    if order == "sorted by length":
        texts.sort(key=lambda text: len(text.split()))
    (home / "ordered.txt").write_text("\n".join(texts) + "\n")
    predict = ["predict", *RUN, "--input", "ordered.txt", "--batch-size", "4", "--overwrite", "--output", "shares.tsv"]
    for name, start in (("one", runs.run_tp), ("two", runs.run_group)):
        (tmp_path / name).mkdir()
        start(home, *predict, environment={"BATCHES": str(tmp_path / name)})
    shares = [batches(tmp_path / "two", rank) for rank in (0, 1)]
    assert sorted(shares[0] + shares[1]) == sorted(batches(tmp_path / "one", 0))
    work = [sum(rows * length for rows, length in share) for share in shares]
    assert max(work) < 0.6 * sum(work)


def test_the_last_records_are_shared_by_batches_that_cost_the_same(home: Path, tmp_path: Path) -> None:
    """Of 3 batches of 2, 2 and 19 tokens, one process computes the long one, and the other the rest."""
    (home / "uneven.txt").write_text("".join(f"{'ba ' * count}\n" for count in (19, 2, 2)))
    predict = ["predict", *RUN, "--input", "uneven.txt", "--batch-size", "1", "--overwrite", "--output", "uneven.tsv"]
    runs.run_group(home, *predict, environment={"BATCHES": str(tmp_path)})
    assert sorted(len(batches(tmp_path, rank)) for rank in (0, 1)) == [1, 2]
    (alone_,) = next(share for share in (batches(tmp_path, 0), batches(tmp_path, 1)) if len(share) == 1)
    assert alone_[1] == 19


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_records_than_processes(home: Path, tmp_path: Path, count: int) -> None:
    (home / "few.tsv").write_text("text\n" + "ba be bi\n" * count)
    for name, start in (("one", runs.run_tp), ("two", runs.run_group)):
        said = start(home, "predict", *RUN, "--input", "few.tsv", "--output", str(tmp_path / f"{name}.jsonl"))
        assert f"{count} predictions in" in said
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()
    assert len((tmp_path / "two.jsonl").read_text().splitlines()) == count


def test_records_that_cannot_be_used_are_counted_once(home: Path, tmp_path: Path) -> None:
    said = runs.run_group(home, "predict", *RUN, "--input", "some.jsonl", "--output", str(tmp_path / "out.jsonl"))
    assert "38 predictions in" in said
    assert said.count("2 of 40 records could not be used:") == 1
    assert said.count("some.jsonl:6: ") == said.count("some.jsonl:38: ") == 1


# -- errors -----------------------------------------------------------------------------------------------------------


def errors(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith("error: ")]


@pytest.fixture
def troubled(home: Path, tmp_path: Path) -> Path:
    """A folder with the model and texts of which the 60th, which the second process computes, is ``zzz``."""
    for name in ("run", "short_reader.py"):
        (tmp_path / name).symlink_to(home / name)
    texts = (home / "texts.txt").read_text().splitlines()
    texts[59] = "zzz"
    (tmp_path / "texts.txt").write_text("\n".join(texts) + "\n")
    return tmp_path


PREDICT = ["predict", *RUN, "--input", "texts.txt", "--output", "out.tsv", "--batch-size", "4"]


def test_memory_that_runs_out_in_one_process_ends_all_with_one_message(troubled: Path) -> None:
    (troubled / "trouble.txt").write_text("zzz memory 1")
    said = runs.run_group(troubled, *PREDICT, status=2)
    assert errors(said) == ["error: memory ran out (no room); a smaller --batch-size may help"]
    assert "Traceback" not in said
    assert not (troubled / "out.tsv").exists()
    assert not leftovers(troubled)


@pytest.mark.parametrize("victim", [0, 1])
def test_a_process_that_is_killed_ends_the_others(troubled: Path, victim: int) -> None:
    if victim == 0:  # which has the 49th text
        texts = (troubled / "texts.txt").read_text().splitlines()
        (troubled / "texts.txt").write_text("\n".join([*texts[:32], "zzz", *texts[33:59], "ba", *texts[60:]]) + "\n")
    (troubled / "trouble.txt").write_text(f"zzz die {victim}")
    found = runs.start_group([troubled] * 2, *PREDICT)
    assert found[victim].wait() == -signal.SIGKILL
    assert found[1 - victim].wait() == 2
    assert errors(found[1 - victim].said()) == [LOST]
    assert not (troubled / "out.tsv").exists()
    assert victim == 0 or not leftovers(troubled)


def test_a_bug_in_one_process_is_shown_by_that_process_alone(troubled: Path) -> None:
    (troubled / "trouble.txt").write_text("zzz bug 1")
    found = runs.start_group([troubled] * 2, *PREDICT)
    assert [run.wait() for run in found] == [2, 2]
    assert found[0].said() == ""
    (message,) = errors(found[1].said())
    assert "short_reader.py" in message
    assert "RuntimeError: a bug" in message
    assert not leftovers(troubled)


@pytest.mark.parametrize("count", [pytest.param(1, marks=SLOW), 2])
def test_a_full_disk_is_a_message_and_leaves_no_file(home: Path, tmp_path: Path, count: int) -> None:
    output = tmp_path / "out.jsonl"
    said = runs.run_group(
        *(home, "predict", *RUN, "--input", "texts.txt", "--output", str(output)),
        count=count,
        status=2,
        file_limit=4000,
    )
    assert errors(said) == [f"error: {output}: cannot be written: File too large"]
    assert not list(tmp_path.iterdir())


MISTAKES: dict[str, tuple[list[str], str]] = {
    "output that exists": (["predict", *RUN, "--input", "texts.txt", "--output", "vocab.txt"], "the file exists"),
    "input that is missing": (["predict", *RUN, "--input", "no.txt", "--output", "a.tsv"], "no.txt: there is no such"),
    "unknown option": (["predict", "run", "--inptu", "texts.txt"], "No such option"),
    "model that is missing": (["embed", "ru", "--input", "texts.txt", "--output", "a.npy"], "ru: there is no such"),
    "form of the output": (
        ["embed", *RUN, "--input", "texts.txt", "--output", "a.txt"],
        "ends in .npy, .parquet or .jsonl",
    ),
    "check": (["check", "spec.yaml"], "'check' runs in one process"),
    "doctor": (["doctor"], "'doctor' runs in one process"),
    "tokenizer": (["tokenizer", "train", "corpus.txt"], "'tokenizer' runs in one process"),
}


@pytest.mark.parametrize(("arguments", "message"), cases(MISTAKES))
def test_a_mistake_that_all_processes_meet_is_told_once(home: Path, arguments: list[str], message: str) -> None:
    said = runs.run_group(home, *arguments, status=2)
    assert said.count(message) == 1, said
    assert "Traceback" not in said


def test_a_pipe_which_only_one_process_can_read_is_refused(home: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    said = runs.run_group(home, "predict", *RUN, "--input", str(tmp_path / "pipe"), "--output", "never.tsv", status=2)
    assert said.count("several processes cannot share what is read once only") == 1


def test_processes_that_read_different_records_are_refused(home: Path, troubled: Path) -> None:
    output = str(troubled / "out.jsonl")
    found = runs.start_group([home, troubled], "predict", *RUN, "--input", "texts.txt", "--output", output)
    assert [run.wait() for run in found] == [2, 2]
    message = "error: the processes read different records; all need the same input files"
    assert errors("".join(run.said() for run in found)) == [message]
    assert not Path(output).exists()


def test_processes_that_find_different_weights_are_refused(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "run", tmp_path / "run")
    shutil.copy(home / "texts.txt", tmp_path)
    weights = runs.weights(home / "run")
    name = next(iter(weights))
    weights[name].view(-1)[0] += 1
    from safetensors.torch import save_file

    save_file(weights, str(tmp_path / "run" / "model" / "model.safetensors"))
    (tmp_path / "run" / "model" / "manifest.json").unlink()  # or the change itself would be told
    found = runs.start_group([home, tmp_path], "embed", *RUN, "--input", "texts.txt", "--output", "never.npy")
    assert [run.wait() for run in found] == [2, 2]
    (message,) = errors("".join(run.said() for run in found))
    assert message.startswith("error: the weights of the model differ between process 0 and process 1")


# -- files ------------------------------------------------------------------------------------------------------------


def test_sigterm_leaves_the_file_that_was_there_and_no_other(troubled: Path) -> None:
    (troubled / "out.tsv").write_text("before")
    (troubled / "texts.txt").write_text("ba be bi\n" * 200_000)
    run = runs.start_tp(troubled, *PREDICT, "--overwrite")
    run.wait_for(lambda: list(troubled.glob(".tmp-out.tsv.*")))  # also the one that tries whether it can be written
    run.kill(signal.SIGTERM)
    assert run.wait() == 143
    assert (troubled / "out.tsv").read_text() == "before"
    assert not leftovers(troubled)
    assert "Traceback" not in run.said()


def test_a_link_to_the_output_stays_a_link(home: Path, tmp_path: Path) -> None:
    (tmp_path / "real.tsv").write_text("before")
    (tmp_path / "link.tsv").symlink_to(tmp_path / "real.tsv")
    runs.run_tp(home, "predict", *RUN, "--input", "texts.txt", "--output", str(tmp_path / "link.tsv"), "--overwrite")
    assert (tmp_path / "link.tsv").is_symlink()
    assert len((tmp_path / "real.tsv").read_text().splitlines()) == 91


@pytest.mark.parametrize("start", [pytest.param(runs.run_tp, marks=SLOW), runs.run_group])
def test_predictions_may_go_to_the_standard_output(home: Path, start: Any) -> None:
    said = start(home, "predict", *RUN, "--input", "texts.txt", "--output", "/dev/stdout")
    assert len([line for line in said.splitlines() if line.startswith("{")]) == 90
    assert stat.S_ISLNK(os.lstat("/dev/stdout").st_mode)


@pytest.mark.parametrize("suffix", ["npy", "parquet"])
def test_vectors_of_a_bad_record_or_on_a_full_disk_leave_no_file(home: Path, tmp_path: Path, suffix: str) -> None:
    output = tmp_path / f"out.{suffix}"
    for source, limit, message in (
        ("some.jsonl", None, "some.jsonl:6: no field"),
        ("texts.txt", 2000, "File too large"),
    ):
        said = runs.run_tp(home, "embed", *RUN, "--input", source, "--output", output, status=2, file_limit=limit)
        (error,) = errors(said)
        assert message in error
        assert "Traceback" not in said
        assert not list(tmp_path.iterdir())


# -- from Python ------------------------------------------------------------------------------------------------------


@pytest.fixture
def one_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables of torchrun for a process that is one of two."""
    given = {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("one_of_two")
def test_calls_from_a_script_work_in_each_process_for_itself(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TP_CACHE", str(home / "cache"))
    texts = (home / "texts.txt").read_text().splitlines()[:20]
    loaded = tp_core.load_model(home / "run", trust_code=True)
    assert len(list(tp_core.predict(loaded, texts))) == 20
    assert tp_core.embed(loaded, texts).shape == (20, 16)
    assert len(list(tp_core.generate(loaded, texts, max_new_tokens=1))) == 20
    assert "loss" in tp_core.evaluate(loaded, str(home / "corpus.txt"))
    assert not dist.is_initialized()


def test_a_script_with_a_process_group_of_its_own_is_refused_when_it_asks_to_share(
    one_of_two: None, tmp_path: Path
) -> None:
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        with pytest.raises(TPError, match="this process has one already"), shared():
            pass
        assert dist.is_initialized()
    finally:
        dist.destroy_process_group()


def test_without_other_processes_sharing_changes_nothing(home: Path) -> None:
    texts = (home / "texts.txt").read_text().splitlines()[:20]
    with shared() as processes:
        assert (processes.rank, processes.count, processes.first) == (0, 1, True)
        found = tp_core.embed(home / "run", texts, processes=processes, trust_code=True)
    assert np.array_equal(found, tp_core.embed(home / "run", texts, trust_code=True))
    assert list(Processes().mapped(lambda x: x * x, range(4))) == [[0], [1], [4], [9]]
    assert torch.is_grad_enabled()


# -- torchrun itself --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_torchrun_shares_a_command(home: Path, tmp_path: Path) -> None:
    predict = ["predict", *RUN, "--input", "texts.txt", "--batch-size", "4", "--output"]
    ended = runs.command(*TORCHRUN, *predict, str(tmp_path / "two.tsv"), folder=home)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("90 predictions in") == 1
    runs.run_tp(home, *predict, str(tmp_path / "one.tsv"))
    assert (tmp_path / "one.tsv").read_bytes() == (tmp_path / "two.tsv").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("trouble", ["memory", "die"])
def test_torchrun_ends_all_when_one_process_fails(troubled: Path, trouble: str) -> None:
    (troubled / "trouble.txt").write_text(f"zzz {trouble} 1")
    ended = runs.command(*TORCHRUN, *PREDICT, folder=troubled)
    assert ended.returncode
    assert len(errors(ended.stderr)) == (trouble == "memory") or errors(ended.stderr) == [LOST]
    assert not (troubled / "out.tsv").exists()
    assert not leftovers(troubled)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["doctor"], ["predict", "run", "--inptu", "x"]])
def test_under_torchrun_a_mistake_is_told_once(home: Path, arguments: list[str]) -> None:
    ended = runs.command(*TORCHRUN, *arguments, folder=home)
    assert ended.returncode
    said = ended.stdout + ended.stderr
    assert said.count("runs in one process") + said.count("No such option") == 1, said
