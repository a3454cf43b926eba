"""Every option of a spec has a rule for when a run goes on with another value; keys on the command line find it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.core import runs
from tests.core.installed import names, option_class
from tp_core import TPError
from tp_core.spec.load import load_spec
from tp_core.spec.sections.data import SetOptions
from tp_core.spec.sections.keys import DATA, SHELVES, SLOTS, TOP
from tp_core.spec.sections.train import EarlyStopping, TrainOptions
from tp_core.training.resuming.changes import (
    Change,
    check_keys,
    checked_changes,
    compared,
    differences,
    kind_of,
    path_options,
)
from tp_core.training.resuming.rules import ALLOWED, EVALUATION, FREE, NEVER, RULES, rule_of


def all_options() -> set[str]:
    """The paths of the options that the core has; modules count as a whole where they are never changed."""
    sections = {"train": [*TrainOptions.model_fields, *SLOTS, *SHELVES], "data": DATA}
    found = {f"{section}.{name}" for section, own in sections.items() for name in own}
    found |= {key for key in TOP if key not in (*sections, "extends")}
    found |= {f"train.early_stopping.{name}" for name in EarlyStopping.model_fields}
    found |= {f"data.sets.one.{name}" for name in [*SetOptions.model_fields, "train", "eval", "processor", "columns"]}
    for slot in SLOTS:
        modules = {name: option_class(slot, name) for name in names(slot)}
        found |= {f"train.{slot}.{name}.{option}" for name, config in modules.items() for option in config.model_fields}
    return found


def test_no_option_is_without_a_rule() -> None:
    kinds = {option: rule_of(option).kind for option in all_options()}
    assert set(kinds.values()) == {FREE, EVALUATION, ALLOWED, NEVER}
    assert kinds["train.log_every"] == kinds["train.checkpoint_every"] == kinds["train.workers"] == FREE
    assert (
        kinds["train.optimizer.sgd.lr"] == kinds["train.batch_size"] == kinds["train.schedule.cosine.final"] == ALLOWED
    )
    assert kinds["model"] == kinds["data.tokenizer"] == kinds["train.seed"] == kinds["train.optimizer"] == NEVER


def test_a_plain_option_of_train_or_data_has_a_rule_of_its_own() -> None:
    """An option has a rule of its own; the one of its section would be a guess."""
    own = {f"train.{name}" for name in TrainOptions.model_fields} | {f"data.{name}" for name in DATA}
    assert own <= RULES.keys()


def test_no_rule_is_for_an_option_that_there_is_not() -> None:
    options = all_options()
    for pattern in RULES:
        parts = pattern.split(".")
        assert any(all(p in ("*", o) for p, o in zip(parts, option.split("."))) for option in options), pattern


def test_what_may_not_change_silently_says_what_a_change_does() -> None:
    assert all(rule.note for rule in RULES.values() if rule.kind != FREE)


# -- differences ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = runs.write_project(tmp_path_factory.mktemp("rules"))
    spec = runs.read_spec(folder)
    spec["data"]["eval"] = "held_out.txt"
    runs.write_spec(folder, spec)
    return folder


def plain(home: Path, *changes: str) -> dict[str, Any]:
    return compared(load_spec(home / "spec.yaml", changes))


def asked(home: Path, changes: list[str], allowed: list[str], before: list[str] | None = None) -> list[Change]:
    return checked_changes(plain(home, *changes), plain(home, *(before or [])), None, allowed)


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ("train.optimizer.adamw.lr=0.5", "train.optimizer.adamw.lr (was 0.01, is 0.5)"),
        ("train.clip_norm=null", "train.clip_norm (was 1.0, is unset)"),
        ("train.schedule=constant", "train.schedule (was linear, is constant)"),
        ("train.early_stopping={patience: 2}", "train.early_stopping (was unset, is "),
        ("model.target.mlm.weight=0.5", "model.target.mlm.weight (was 1.0, is 0.5)"),
    ],
)
def test_a_difference_is_named_by_its_option(home: Path, change: str, shown: str) -> None:
    (found,) = differences(plain(home), plain(home, change))
    assert str(found).startswith(shown)


FREE_CHANGES = [
    *("train.log_every=7", "train.workers=2", "train.checkpoint_every=2h", "train.keep_checkpoints=9"),
    *("train.on_nan=skip", "train.loggers=[tensorboard]", "train.prefetch=1", "train.activation_checkpointing=true"),
    *("data.cache=elsewhere", "name=other", "data.train=held_out.txt", "train.eval_every=2", "train.eval_batches=1"),
]


@pytest.mark.parametrize("change", FREE_CHANGES)
def test_what_changes_nothing_that_is_computed_may_change(home: Path, change: str) -> None:
    assert differences(plain(home), plain(home, change))
    assert asked(home, [change], []) == []


@pytest.mark.parametrize("option", ["train.eval_every=2", "train.eval_batches=1"])
def test_evaluations_that_early_stopping_judges_by_change_only_if_allowed(home: Path, option: str) -> None:
    watched = "train.early_stopping={}"
    with pytest.raises(TPError, match="unless you allow it"):
        asked(home, [watched, option], [], before=[watched])
    key = option.partition("=")[0].rpartition(".")[2]
    assert [each.option for each in asked(home, [watched, option], [key], before=[watched])] == [
        option.partition("=")[0]
    ]


@pytest.mark.parametrize("change", ["train.seed=1", "model.dropout=0", "data.columns={text: line}", "data.bucket=4"])
def test_what_would_give_the_checkpoint_another_meaning_never_changes(home: Path, change: str) -> None:
    with pytest.raises(TPError, match=r"cannot change on --resume: .*\n.*start another run with --run DIR"):
        asked(home, [change], [])
    with pytest.raises(TPError, match=r"--allow-change \w+: .* cannot change on --resume: "):
        asked(home, [change], [change.partition("=")[0].rpartition(".")[2]])


@pytest.mark.parametrize(
    "key", ["lr", "adamw.lr", "optimizer.lr", "train.lr", "train.optimizer.adamw.lr", "optimizer", "train.optimizer"]
)
def test_a_key_names_an_option_by_parts_of_its_path(home: Path, key: str) -> None:
    assert [each.option for each in asked(home, ["train.optimizer.adamw.lr=0.5"], [key])] == [
        "train.optimizer.adamw.lr"
    ]


def test_a_key_lets_no_other_option_change(home: Path) -> None:
    with pytest.raises(TPError, match=r"train\.clip_norm \(was 1\.0, is 2\.0\)") as caught:
        asked(home, ["train.optimizer.adamw.lr=0.5", "train.clip_norm=2.0"], ["lr"])
    assert "adamw.lr" not in str(caught.value)
    assert "--allow-change clip_norm;" in str(caught.value)


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("learningrate", "options that it may name: "),
        ("batchsize", "did you mean 'batch_size'"),
        ("train.optimizer.adamw.lt", "did you mean 'train.optimizer.adamw.lr'"),
        ("clip-norm", "did you mean 'clip_norm'"),
    ],
)
def test_a_key_of_no_option_is_refused_with_the_nearest_one(home: Path, key: str, hint: str) -> None:
    with pytest.raises(TPError, match="the spec has no such option") as caught:
        check_keys(plain(home), [key])
    assert hint in str(caught.value)


def test_a_key_may_name_an_option_that_is_unset_or_does_not_change(home: Path) -> None:
    assert asked(home, [], ["epochs", "patience", "hooks", "steps", "eval_batches"]) == []


def test_a_change_that_the_newest_start_had_needs_no_second_word(home: Path) -> None:
    now, before = plain(home, "train.batch_size=4"), plain(home)
    assert [each.new for each in checked_changes(now, before, now, [])] == [4]
    with pytest.raises(TPError, match="batch_size"):
        checked_changes(now, before, plain(home, "train.batch_size=2"), [])
    assert checked_changes(before, before, now, []) == []  # back to what the checkpoint was made with


def test_the_kind_of_an_evaluation_option_depends_on_early_stopping(home: Path) -> None:
    assert kind_of("train.eval_every", plain(home)) == FREE
    assert kind_of("train.eval_every", plain(home), plain(home, "train.early_stopping={}")) == ALLOWED


def test_a_file_may_lie_elsewhere_as_its_content_is_compared(home: Path) -> None:
    (home / "moved").mkdir(exist_ok=True)
    (home / "moved" / "words.txt").write_bytes((home / "vocab.txt").read_bytes())
    now = load_spec(home / "spec.yaml", [f"data.tokenizer.space.vocab={home / 'moved' / 'words.txt'}"])
    assert path_options(now) == {"data.tokenizer.space.vocab"}
    assert [each.option for each in differences(plain(home), compared(now))] == ["data.tokenizer.space.vocab"]
    assert checked_changes(compared(now), plain(home), None, [], path_options(now)) == []
